//! What a compiler does not see and the house style wants: how files open, how long they
//! are, what they are called, and who may name whom. It must not know what the files do.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

mod files;
mod foreign_crates;
mod imports;
mod layers;
mod names;
mod words;

/// Something to put right.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file from the root on, with the line where there is one.
    pub place: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// A file of the repository, read.
struct SourceFile {
    /// From the root on, with slashes.
    path: String,
    text: String,
}

/// Looks at every file of the repository that is text of ours.
pub fn findings(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in files::list(root)? {
        findings.extend(names::check(&path));
        let bytes = fs::read(root.join(&path)).with_context(|| format!("cannot read {path}"))?;
        // What is no text, a picture or a component, has no style.
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let file = SourceFile { path, text };
        for check in CHECKS {
            findings.extend(check(&file));
        }
    }
    Ok(findings)
}

/// One line per finding.
pub fn listing(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(|finding| format!("{}: {}", finding.place, finding.message)).collect();
    lines.join("\n")
}

type Check = fn(&SourceFile) -> Vec<Finding>;

const CHECKS: &[Check] = &[opens_with_its_purpose, is_short, words::check, foreign_crates::check, layers::check];

/// The longest a file may be. From 400 lines on it is a question whether to split it.
const LINES_MAX: usize = 500;

fn opens_with_its_purpose(file: &SourceFile) -> Vec<Finding> {
    if !file.is_rust() || file.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![file.finding(1, "does not open with `//!`: say what the file is, and what it must not know")]
}

fn is_short(file: &SourceFile) -> Vec<Finding> {
    let lines = file.text.lines().count();
    if !file.is_rust() || lines <= LINES_MAX {
        return Vec::new();
    }
    vec![file.finding(LINES_MAX, &format!("has {lines} lines, over {LINES_MAX}: split it by concept"))]
}

impl SourceFile {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Lines with their numbers, without those that are comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn finding(&self, line: usize, message: &str) -> Finding {
        Finding { place: format!("{}:{line}", self.path), message: message.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::{SourceFile, is_short, opens_with_its_purpose};

    #[test]
    fn a_file_without_purpose_is_found() {
        let file = |text: &str| SourceFile { path: "host/src/name.rs".to_owned(), text: text.to_owned() };
        assert_eq!(opens_with_its_purpose(&file("use std::fs;\n")).len(), 1);
        assert!(opens_with_its_purpose(&file("//! Names.\n")).is_empty());
    }

    #[test]
    fn a_long_file_is_found() {
        let file = |lines| SourceFile { path: "host/src/name.rs".to_owned(), text: "x\n".repeat(lines) };
        assert_eq!(is_short(&file(501)).len(), 1);
        assert!(is_short(&file(500)).is_empty());
    }
}
