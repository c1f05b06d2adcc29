//! The list of files that are ours to keep tidy. It must not know what tidy means.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Directories that cargo, git and editors fill.
const NOT_OURS: &[&str] = &["target", ".git", ".idea", ".vscode", ".direnv", "node_modules", "__pycache__"];

/// Written by cargo.
const GENERATED: &[&str] = &["Cargo.lock"];

/// Paths from the root on, with slashes, in order.
pub(super) fn list(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    collect(root, "", &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(directory: &Path, prefix: &str, found: &mut Vec<String>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", directory.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().with_context(|| format!("cannot look at {}", entry.path().display()))?;
        if kind.is_dir() && !NOT_OURS.contains(&name.as_str()) {
            collect(&entry.path(), &format!("{prefix}{name}/"), found)?;
        } else if kind.is_file() && !GENERATED.contains(&name.as_str()) {
            found.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}
