//! `cargo xtask bench`: builds the benchmark and what it measures, and runs it. It must not
//! know what is measured.

use anyhow::Result;

use crate::artifacts::{self, Profile};
use crate::{nats_server, workspace};

/// Runs the benchmark; arguments are its own.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let server = nats_server::find()?;
    let plugins = artifacts::plugins()?;
    // In one call, so that both are built with the same features of what they share.
    let packages = ["--package", "bench", "--package", "agent-service"];
    artifacts::run(workspace::cargo().args(["build", "--release"]).args(packages))?;
    let mut bench = std::process::Command::new(artifacts::binary("bench", Profile::Release)?);
    bench
        .args(arguments)
        .env("NATS_SERVER", server)
        .env("AGENT_SERVICE_BIN", artifacts::binary("agent-service", Profile::Release)?)
        .env("AGENT_PLUGINS", plugins);
    artifacts::run(&mut bench)
}
