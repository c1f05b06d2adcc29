//! `cargo xtask faults`: builds the fault suite and what it breaks, and runs it. It must not know
//! what a fault is.

use std::path::PathBuf;

use anyhow::Result;

use crate::artifacts::{self, Profile};
use crate::{nats_server, workspace};

/// The host that can be told to break its promises.
pub(crate) const SABOTAGED: &str = "agent-service-sabotaged";

/// Runs the suite; arguments are its own, `--dev` excepted, which takes the host of the tests instead
/// of a release build.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let server = nats_server::find()?;
    let plugins = artifacts::plugins()?;
    artifacts::run(workspace::cargo().args(["build", "--workspace", "--bin", "faults"]))?;
    let own = arguments.iter().filter(|argument| *argument != "--dev");
    let mut suite = std::process::Command::new(artifacts::binary("faults", Profile::Dev)?);
    suite
        .args(["--logs".into(), workspace::target_dir().join("faults")])
        .args(own)
        .env("NATS_SERVER", server)
        .envs(host(arguments)?)
        .env("AGENT_PLUGINS", plugins);
    artifacts::run(&mut suite)
}

/// Builds the host, and tells the suite where it is.
fn host(arguments: &[String]) -> Result<Option<(&'static str, PathBuf)>> {
    let told = |name: &str| arguments.iter().any(|argument| argument == name);
    if told("--help") {
        return Ok(None);
    }
    if told("--sabotage") {
        artifacts::run(workspace::cargo().args(sabotaged_build()))?;
        return Ok(Some(("AGENT_SERVICE_SABOTAGED_BIN", artifacts::binary(SABOTAGED, Profile::Dev)?)));
    }
    let profile = if told("--dev") { Profile::Dev } else { Profile::Release };
    Ok(Some(("AGENT_SERVICE_BIN", artifacts::host(profile)?)))
}

/// The call of cargo that builds the sabotaged host: beside the right one, from the same dependencies.
pub(crate) fn sabotaged_build() -> [&'static str; 6] {
    ["build", "--workspace", "--features", "agent-service/sabotage", "--bin", SABOTAGED]
}
