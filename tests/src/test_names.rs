//! The names of all tests of the repository, as the runner calls them. It must not run any.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::deployment::repository;

/// Crates with tests that pages name.
const CRATES: [&str; 4] = ["tests", "bench", "host", "xtask"];

/// `module::test` of each.
pub fn test_names() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for directory in CRATES.iter().flat_map(|name| ["src", "tests"].map(|kind| repository().join(name).join(kind))) {
        for file in files(&directory)? {
            let module = module(file.strip_prefix(&directory)?);
            names.extend(tests_in(&fs::read_to_string(&file)?).into_iter().map(|test| format!("{module}::{test}")));
        }
    }
    ensure!(names.contains("test_names::tests_are_found"), "it does not find its own tests");
    Ok(names)
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !directory.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

/// `it/fleet/moving.rs` is the module `fleet::moving`.
fn module(path: &Path) -> String {
    let path = path.strip_prefix("it").unwrap_or(path).with_extension("");
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("::")
}

fn tests_in(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let (true, Some((_, after))) = (marked, line.split_once("fn ")) {
            names.extend(after.split('(').next().map(str::to_owned));
            marked = false;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{module, tests_in};

    #[test]
    fn tests_are_found() {
        let source =
            "fn no() {}\n#[test]\n#[ignore]\nfn one() {}\n  #[tokio::test(x)]\n  async fn two() {}\nfn three() {}\n";
        assert_eq!(tests_in(source), ["one", "two"]);
        assert_eq!(module("it/fleet/moving.rs".as_ref()), "fleet::moving");
    }
}
