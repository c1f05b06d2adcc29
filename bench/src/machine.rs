//! Where and with what the figures were made. It must not know the figures.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// The dependencies as this binary was built with them.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The machine and the versions.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// The machine's load over the last minute, before anything was measured.
    pub(crate) load_before: String,
    pub(crate) nats_server: String,
    pub(crate) wasmtime: String,
    pub(crate) async_nats: String,
    pub(crate) rustc: String,
    /// Whether this binary was built without optimisation, so that its figures mean nothing.
    pub(crate) unoptimised: bool,
}

/// Looks around.
pub(crate) fn describe() -> Result<Machine> {
    let server = xtask::nats_server::find()?;
    let told = |command: &mut Command| {
        let output = command.output().ok().filter(|output| output.status.success());
        output.map_or_else(unknown, |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let server = told(Command::new(server).arg("--version"));
    Ok(Machine {
        processor: first_line("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
        cores: std::thread::available_parallelism().context("the system does not tell its processors")?.into(),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| unknown(), |text| text.trim().into()),
        load_before: fs::read_to_string("/proc/loadavg")
            .ok()
            .and_then(|text| text.split(' ').next().map(str::to_owned))
            .unwrap_or_else(unknown),
        nats_server: server.trim_start_matches("nats-server: v").to_owned(),
        wasmtime: locked("wasmtime").unwrap_or_else(unknown),
        async_nats: locked("async-nats").unwrap_or_else(unknown),
        rustc: told(Command::new("rustc").arg("--version")),
        unoptimised: cfg!(debug_assertions),
    })
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// What stands behind the colon in the first line of that name.
fn first_line(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

/// The version of a package in the lock file.
fn locked(package: &str) -> Option<String> {
    let head = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = LOCK.split_once(&head)?;
    rest.split_once('"').map(|(version, _)| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::locked;

    #[test]
    fn versions_come_from_the_lock_file() {
        assert!(locked("wasmtime").is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit())));
        assert_eq!(locked("no-such-package"), None);
    }
}
