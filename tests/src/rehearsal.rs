//! A page of the book done as a reader would do it: in a directory like that of an unpacked release, with
//! the programs in the search path, one block after the other. Addresses and absolute paths are this
//! test's own, so that rehearsals do not meet; nothing else is changed. It must not know any page.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use xtask::nats_server::{self, free_port};

use crate::book::{Block, Run, page};
use crate::deployment::repository;
use crate::plugins::{plugin, service_binary};
use crate::shell::Shell;
use crate::transcript::{agrees, steps};

/// Nothing runs yet.
const EMPTY: &str = "empty";
/// One server and one host, as the page of this name has a reader start them.
const PRACTICE: &str = "practice";
/// Hosts after which addresses of the book stand; where another is named, nobody listens.
const HOSTS: [&str; 2] = ["localhost:", "127.0.0.1:"];
/// Directories of the machine that the book names.
const PATHS: [&str; 3] = ["/var/lib/", "/backup/", "/etc/agent-service/"];
/// Files whose end is shown where a block fails.
const LOG_LINES_SHOWN: usize = 15;

/// Runs the blocks of a page that are marked with `<!-- run -->`.
///
/// # Errors
/// Names the block, what it printed, and what it should have.
pub fn rehearse(name: &str) -> Result<()> {
    let blocks = page(name)?.blocks;
    let here: Vec<&Block> = blocks.iter().filter(|block| matches!(block.run, Some(Run::Here))).collect();
    ensure!(!here.is_empty(), "{name} has no block to run");
    let mut current: Option<(usize, Rehearsal)> = None;
    for block in here {
        let place = || format!("docs/{name}:{}", block.line);
        let (line, site) =
            block.site.as_ref().with_context(|| format!("{}: no <!-- site: … --> before it", place()))?;
        let mut rehearsal = match current.take() {
            Some((begun, rehearsal)) if begun == *line => rehearsal,
            _ => Rehearsal::on(site).with_context(place)?,
        };
        rehearsal.play(block).with_context(place)?;
        current = Some((*line, rehearsal));
    }
    Ok(())
}

struct Rehearsal {
    shell: Shell,
    dir: TempDir,
    ports: Ports,
}

/// The ports of the book, with those that are free here.
#[derive(Default)]
struct Ports(RefCell<BTreeMap<u16, u16>>);

impl Rehearsal {
    fn on(site: &str) -> Result<Self> {
        let (dir, ports) = (TempDir::with_prefix("agent-service-book-")?, Ports::default());
        let programs = dir.path().join("bin");
        fs::create_dir(&programs)?;
        symlink(service_binary()?.canonicalize()?, programs.join("agent-service"))?;
        symlink(nats_server::find()?.canonicalize()?, programs.join("nats-server"))?;
        for path in PATHS {
            fs::create_dir_all(dir.path().join(path.trim_start_matches('/')))?;
        }
        fs::create_dir(dir.path().join("plugins"))?;
        for domain in ["agent", "counter"] {
            fs::copy(plugin(domain)?, dir.path().join("plugins").join(format!("{domain}.wasm")))?;
        }
        let path = std::env::var("PATH").context("PATH")?;
        let env = [
            ("PATH", format!("{}:{path}", programs.display())),
            ("HOME", dir.path().display().to_string()),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("NATS_URL", format!("nats://localhost:{}", ports.here(4222)?)),
            ("HTTP_ADDR", format!("127.0.0.1:{}", ports.here(8080)?)),
        ];
        let shell = Shell::start(dir.path(), &env)?;
        let mut rehearsal = Self { shell, dir, ports };
        let deploy = rehearsal.dir.path().join("deploy");
        rehearsal.copy(&repository().join("deploy"), &deploy)?;
        match site {
            EMPTY => {}
            PRACTICE => {
                // That page ends with how the site is taken down.
                let start = |block: &Block| {
                    matches!(block.run, Some(Run::Here)) && block.site.as_ref().is_some_and(|(_, site)| site == EMPTY)
                };
                for block in page("practice.md")?.blocks.iter().filter(|block| start(block)) {
                    rehearsal.play(block).context("the practice site")?;
                }
            }
            other => bail!("there is no site `{other}`: it takes {EMPTY} or {PRACTICE}"),
        }
        Ok(rehearsal)
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let (path, to) = {
                let entry = entry?;
                (entry.path(), to.join(entry.file_name()))
            };
            if path.is_dir() {
                self.copy(&path, &to)?;
            } else {
                fs::write(to, self.fitted(&fs::read_to_string(path)?)?)?;
            }
        }
        Ok(())
    }

    fn play(&mut self, block: &Block) -> Result<()> {
        for step in steps(&block.language, &block.text)? {
            let (printed, code) = self.shell.run(&self.fitted(&step.command)?).with_context(|| step.command.clone())?;
            let printed = self.as_in_the_book(&printed);
            let as_promised = step.printed.as_ref().is_none_or(|promised| agrees(promised, &printed));
            ensure!(
                code == 0 && as_promised,
                "{}\nexit code {code}, printed:\n{printed}\n--- the page says:\n{}\n--- {}",
                step.command,
                step.printed.unwrap_or_default(),
                self.logs()
            );
        }
        Ok(())
    }

    /// The text with addresses and paths of this rehearsal.
    fn fitted(&self, text: &str) -> Result<String> {
        let mut text = text.to_owned();
        for host in HOSTS {
            let mut so_far = String::new();
            let mut rest = text.as_str();
            while let Some((head, tail)) = rest.split_once(host) {
                let digits = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                so_far.push_str(head);
                so_far.push_str(host);
                match tail[..digits].parse() {
                    Ok(port) => so_far.push_str(&self.ports.here(port)?.to_string()),
                    Err(_) => so_far.push_str(&tail[..digits]),
                }
                rest = &tail[digits..];
            }
            text = so_far + rest;
        }
        for path in PATHS {
            // Not where it is the end of a longer path.
            for before in [" ", "\"", "'", "=", "\n"] {
                text =
                    text.replace(&format!("{before}{path}"), &format!("{before}{}{path}", self.dir.path().display()));
            }
        }
        Ok(text)
    }

    /// The text as it were without the changes.
    fn as_in_the_book(&self, text: &str) -> String {
        let mut text = text.replace(&self.dir.path().display().to_string(), "");
        for (there, here) in self.ports.0.borrow().iter() {
            text = text.replace(&format!(":{here}"), &format!(":{there}"));
        }
        text
    }

    /// The ends of what background processes have logged.
    fn logs(&self) -> String {
        let files = fs::read_dir(self.dir.path()).into_iter().flatten().flatten();
        let logs = files.filter(|file| file.path().extension().is_some_and(|end| end == "log"));
        let shown = logs.map(|log| {
            let text = fs::read_to_string(log.path()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            format!("{}:\n{}\n", log.file_name().to_string_lossy(), last.join("\n"))
        });
        shown.collect()
    }
}

impl Ports {
    fn here(&self, there: u16) -> Result<u16> {
        if let Some(here) = self.0.borrow().get(&there) {
            return Ok(*here);
        }
        let here = free_port()?;
        self.0.borrow_mut().insert(there, here);
        Ok(here)
    }
}
