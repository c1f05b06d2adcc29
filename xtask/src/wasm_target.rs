//! The compilation target of plugins, added to the toolchain where it is missing. It must
//! not know what is built for it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::terminal::Terminal;
use crate::workspace;

/// The target of plugins.
pub(crate) const NAME: &str = "wasm32-wasip2";

/// Adds the target through rustup if the toolchain does not have it.
pub(crate) fn ensure() -> Result<()> {
    if sysroot()?.join("lib/rustlib").join(NAME).join("lib").is_dir() {
        return Ok(());
    }
    Terminal::stderr().note(&format!("adding the target {NAME} to the toolchain"))?;
    let status =
        Command::new("rustup").args(["target", "add", NAME]).current_dir(workspace::root()).status().with_context(
            || format!("the toolchain lacks the target {NAME} and there is no rustup; install it with your toolchain"),
        )?;
    if !status.success() {
        bail!("`rustup target add {NAME}` failed ({status}); plugins cannot be built without that target");
    }
    Ok(())
}

fn sysroot() -> Result<PathBuf> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(workspace::root())
        .output()
        .context("cannot start rustc; is Rust installed?")?;
    let text = String::from_utf8(output.stdout).context("rustc prints a sysroot that is no text")?;
    Ok(PathBuf::from(text.trim()))
}
