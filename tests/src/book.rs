//! The book in `docs/`, read: blocks of commands with what is said about running them, headings, links.
//! It must not know what any command does.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::deployment::repository;

/// What readers see before a block that no test runs; a reason follows.
const NOT_RUN: &str = "Not run here: ";
/// The shortest reason that says something, in characters.
const REASON_MIN: usize = 10;
/// Languages of blocks that are meant to be typed.
const COMMANDS: [&str; 2] = ["sh", "console"];
/// A block that begins with one of these is meant to be typed, whatever its language says.
const PROGRAMS: [&str; 8] = ["$ ", "agent-service ", "nats ", "nats-server ", "cargo ", "sudo ", "kubectl ", "docker "];

/// One page.
pub struct Page {
    /// Its file's name: `backup.md`.
    pub name: String,
    /// What links may lead to within it.
    pub anchors: BTreeSet<String>,
    /// Where its links lead.
    pub links: Vec<String>,
    /// Its blocks of commands, in order.
    pub blocks: Vec<Block>,
    /// Its text.
    pub text: String,
}

/// A block of commands.
#[derive(Clone, Debug)]
pub struct Block {
    /// Where it begins.
    pub line: usize,
    /// `console` where each command begins with `$ ` and what it prints follows; else `sh`.
    pub language: String,
    /// What is typed, and printed.
    pub text: String,
    /// On what it is run: the last `<!-- site: … -->` before it, with the line of that.
    pub site: Option<(usize, String)>,
    /// Who runs it.
    pub run: Option<Run>,
}

/// Who runs a block.
#[derive(Clone, Debug)]
pub enum Run {
    /// The test of the page: `<!-- run -->`.
    Here,
    /// Tests of another file: `<!-- run by module::test, … -->`.
    By(Vec<String>),
    /// Nobody, and the reader is told why: a paragraph with "Not run here: …".
    Not,
}

/// All pages, by name.
pub fn pages() -> Result<Vec<Page>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(repository().join("docs"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") {
            names.push(name);
        }
    }
    names.sort();
    names.iter().map(|name| page(name)).collect()
}

/// The page in this file.
pub fn page(name: &str) -> Result<Page> {
    let text = fs::read_to_string(repository().join("docs").join(name)).with_context(|| name.to_owned())?;
    read(name, text)
}

/// Reads a page.
pub fn read(name: &str, text: String) -> Result<Page> {
    let mut page =
        Page { name: name.to_owned(), anchors: BTreeSet::new(), links: Vec::new(), blocks: Vec::new(), text };
    let text = page.text.clone();
    // What stands directly before a block, and the site that was named last.
    let (mut before, mut site) = ("", None);
    let (mut heading, mut block): (Option<String>, Option<Block>) = (None, None);
    for (event, range) in Parser::new_ext(&text, Options::ENABLE_TABLES).into_offset_iter() {
        let line = text[..range.start].lines().count() + 1;
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                page.anchors.extend(heading.take().map(|words| anchor(&words)));
                before = "";
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.into_string())
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                let language = info.split_whitespace().next().unwrap_or_default().to_owned();
                let run = run(before).with_context(|| format!("{name}:{line}"))?;
                block = Some(Block { line, language, text: String::new(), site: site.clone(), run });
            }
            Event::End(TagEnd::CodeBlock) => {
                if let Some(block) = block.take().filter(is_commands) {
                    ensure!(
                        COMMANDS.contains(&block.language.as_str()),
                        "{name}:{}: commands stand in a block `sh`, or with what they print in one `console`",
                        block.line
                    );
                    page.blocks.push(block);
                }
                before = "";
            }
            Event::Text(words) | Event::Code(words) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&words);
                }
                if let Some(block) = &mut block {
                    block.text.push_str(&words);
                }
            }
            Event::End(TagEnd::Paragraph | TagEnd::Table | TagEnd::HtmlBlock) => {
                before = text[range].trim();
                if let Some(named) = comment(before).and_then(|words| words.strip_prefix("site: ")) {
                    site = Some((line, named.to_owned()));
                }
            }
            Event::End(TagEnd::Item | TagEnd::List(_)) => before = "",
            _ => {}
        }
    }
    Ok(page)
}

fn is_commands(block: &Block) -> bool {
    let first = block.text.trim_start();
    COMMANDS.contains(&block.language.as_str()) || PROGRAMS.iter().any(|program| first.starts_with(program))
}

/// The words of a comment.
fn comment(text: &str) -> Option<&str> {
    Some(text.strip_prefix("<!--")?.strip_suffix("-->")?.trim())
}

/// What the text before a block says of running it.
fn run(before: &str) -> Result<Option<Run>> {
    if let Some(words) = comment(before) {
        return Ok(Some(match words.strip_prefix("run by ") {
            Some(tests) => Run::By(tests.split(',').map(|name| name.trim().to_owned()).collect()),
            None if words == "run" => Run::Here,
            None if words.starts_with("site: ") => return Ok(None),
            None => bail!("`{words}` is no mark of a block: it takes `run`, `run by module::test` or `site: name`"),
        }));
    }
    let flat = before.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((_, reason)) = flat.split_once(NOT_RUN) else { return Ok(None) };
    ensure!(reason.chars().count() >= REASON_MIN, "`{NOT_RUN}` without a reason");
    Ok(Some(Run::Not))
}

/// The anchor that a heading gets where the book is read.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{Run, read};

    #[test]
    fn a_block_has_the_site_and_the_mark_before_it() {
        let text = "# A\n<!-- site: practice -->\n\nWords.\n\n<!-- run -->\n```sh\ntrue\n```\n\n- x\n\n  <!-- run by a::b, c::d -->\n  ```sh\n  one\n  two\n  ```\n\nIt is so. Not run here:\nneeds systemd.\n\n```sh\nsystemctl\n```\n\n```sh\nbare\n```\n";
        let page = read("a.md", text.to_owned()).unwrap();
        let blocks = &page.blocks;
        assert!(matches!(blocks[0].run, Some(Run::Here)) && blocks[0].site == Some((2, "practice".to_owned())));
        assert!(matches!(&blocks[1].run, Some(Run::By(tests)) if *tests == ["a::b", "c::d"]));
        assert_eq!(blocks[1].text, "one\ntwo\n");
        assert!(matches!(blocks[2].run, Some(Run::Not)) && blocks[3].run.is_none());
    }

    #[test]
    fn what_is_no_mark_and_what_hides_as_no_commands_is_an_error() {
        for text in [
            "<!-- runn -->\n```sh\ntrue\n```\n",
            "Not run here: no\n\n```sh\nx\n```\n",
            "```\nnats sub x\n```\n",
            "```bash\n$ x\n```\n",
        ] {
            assert!(read("a.md", text.to_owned()).is_err(), "{text}");
        }
        assert!(read("a.md", "```json\n{}\n```\n".to_owned()).unwrap().blocks.is_empty());
    }

    #[test]
    fn headings_become_anchors() {
        let page = read("a.md", "## The unit's `sh`, and more\n[x](b.md#c)\n".to_owned()).unwrap();
        assert!(page.anchors.contains("the-units-sh-and-more"), "{:?}", page.anchors);
        assert_eq!(page.links, ["b.md#c"]);
    }
}
