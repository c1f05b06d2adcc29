//! Where things are in this repository, and how cargo is called. It must not know what is
//! built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// What the front door leaves behind lies here, wherever cargo itself was told to build.
pub(crate) fn target_dir() -> PathBuf {
    root().join("target")
}

/// Programs that were fetched.
pub(crate) fn tools_dir() -> PathBuf {
    target_dir().join("tools")
}

/// Where cargo builds: its own answer, since settings and environment may change it.
pub(crate) fn cargo_target_dir() -> Result<PathBuf> {
    let metadata = metadata()?;
    let directory = metadata.get("target_directory").and_then(Value::as_str);
    Ok(PathBuf::from(directory.context("`cargo metadata` names no target directory")?))
}

/// The names of a package's examples.
pub(crate) fn examples(package: &str) -> Result<Vec<String>> {
    let metadata = metadata()?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.filter(|one| one["name"] == package).filter_map(|one| one["targets"].as_array()).flatten();
    let examples = targets.filter(|target| target["kind"][0] == "example");
    let names: Vec<String> = examples.filter_map(|target| Some(target["name"].as_str()?.to_owned())).collect();
    if names.is_empty() {
        bail!("the package {package} has no examples");
    }
    Ok(names)
}

fn metadata() -> Result<Value> {
    let output =
        cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("`cargo metadata` printed no JSON")
}

/// A call of cargo in the root of the repository.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}
