//! The book as a whole: whatever can be typed is run or says why not, and nothing it points to is missing.
//! It must not run any command; `book_commands` does.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use tests::book::{Page, Run, page, pages, read};
use tests::deployment::repository;
use tests::test_names::test_names;

/// The headings of the deployment guide that the project began with, in their order.
const GUIDE: &str = include_str!("book/guide_headings.txt");

#[test]
fn every_block_of_commands_says_who_runs_it_or_why_nobody_does() -> Result<()> {
    let mut silent = Vec::new();
    for page in pages()? {
        let unmarked = page.blocks.iter().filter(|block| block.run.is_none());
        silent.extend(unmarked.map(|block| format!("docs/{}:{}", page.name, block.line)));
    }
    ensure!(
        silent.is_empty(),
        "before each block stands `<!-- run -->`, `<!-- run by module::test -->` or a paragraph with \
         `Not run here: ` and a reason: {silent:#?}"
    );
    Ok(())
}

#[test]
fn a_test_that_is_said_to_run_a_block_exists() -> Result<()> {
    let known = test_names()?;
    for page in pages()? {
        for block in &page.blocks {
            let Some(Run::By(names)) = &block.run else { continue };
            for name in names {
                ensure!(known.contains(name), "docs/{}:{}: there is no test {name}", page.name, block.line);
            }
        }
    }
    Ok(())
}

#[test]
fn every_page_with_blocks_to_run_has_its_test() -> Result<()> {
    let tests = include_str!("book_commands.rs");
    for page in pages()? {
        let runs = page.blocks.iter().any(|block| matches!(block.run, Some(Run::Here)));
        let has = tests.contains(&format!("rehearse(\"{}\")", page.name));
        ensure!(runs == has, "docs/{}: blocks to run: {runs}, a test in book_commands: {has}", page.name);
    }
    Ok(())
}

#[test]
fn every_link_leads_somewhere() -> Result<()> {
    let mut all: Vec<Page> = pages()?;
    for (name, at) in [("../README.md", "README.md"), ("../ARCHITECTURE.md", "ARCHITECTURE.md")] {
        all.push(read(name, std::fs::read_to_string(repository().join(at))?)?);
    }
    let anchors: BTreeMap<&str, _> = all.iter().map(|page| (page.name.as_str(), &page.anchors)).collect();
    for page in &all {
        for link in page.links.iter().filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let from = repository().join("docs").join(&page.name);
            let to = if path.is_empty() { from.clone() } else { from.with_file_name("").join(path) };
            let to = to.canonicalize().with_context(|| format!("{}: {link} leads nowhere", page.name))?;
            if anchor.is_empty() {
                continue;
            }
            let same = |name: &&&str| repository().join("docs").join(name).canonicalize().is_ok_and(|path| path == to);
            let name = anchors.keys().find(same).with_context(|| format!("{}: {link}", page.name))?;
            ensure!(anchors[name].contains(anchor), "{}: {link}: there is no such heading", page.name);
        }
    }
    Ok(())
}

/// The rows of the table: heading, where ours is, which test runs it.
fn rows(page: &Page) -> Vec<Vec<&str>> {
    let lines = page.text.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let rows = lines.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter(|row| !row[0].starts_with("---") && row[0] != "heading").collect()
}

#[test]
fn every_heading_of_the_guide_has_its_place_and_its_test() -> Result<()> {
    let (page, known) = (page("guide.md")?, test_names()?);
    let rows = rows(&page);
    let headings: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let wanted: Vec<&str> = GUIDE.lines().collect();
    ensure!(headings == wanted, "it has {headings:#?}\ninstead of {wanted:#?}");
    for row in &rows {
        ensure!(row.len() == 3 && row[1].contains("]("), "{}: no link", row[0]);
        let named = row[2].split('`').skip(1).step_by(2);
        let tests: Vec<&str> = named.collect();
        ensure!(!tests.is_empty() || row[2].starts_with("not run here: "), "{}: neither a test nor a reason", row[0]);
        for test in tests {
            ensure!(known.contains(test), "{}: there is no test {test}", row[0]);
        }
    }
    Ok(())
}
