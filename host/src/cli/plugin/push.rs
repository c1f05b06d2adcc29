//! `plugin push`: stores a plugin file in NATS, and activates it where that is asked.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::candidate::{self, Candidate};
use super::rollout::{self, Activation, Ground};
use super::spans::Wait;
use crate::cli::client::Client;
use crate::cli::output::{ASIDE, GOOD, NAME, OutputFlags, harmless, remark};
use crate::cli::{CliError, Exit};
use crate::config::{Connection, Service};
use crate::fleet::Fleet;
use crate::plugin::Limits;

/// `plugin push`
#[derive(Debug, Args)]
pub(in crate::cli) struct Push {
    /// The plugin, a .wasm file
    file: PathBuf,
    /// Have the hosts that take their plugins from NATS serve it, as `activate` does
    #[arg(long)]
    activate: bool,
    /// Go live though recorded events give other states than with the live code
    #[arg(long, requires = "activate")]
    accept_drift: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) async fn run(asked: Push, connection: &Connection, service: &Service) -> Result<Exit, CliError> {
    let candidate = candidate::read(&asked.file, service)?;
    let client = Client::connect(connection).await?;
    let fleet = store(&client, &candidate, service).await?;
    let rollout = if asked.activate {
        let ground = Ground::survey(&client).await?;
        for host in ground.with_directory() {
            remark(&format!("{} takes its plugins from a directory: put the file there", host.label()));
        }
        let activation =
            Activation { domain: &candidate.domain, digest: candidate.digest, accept_drift: asked.accept_drift };
        Some(rollout::activate_in_fleet(&client, &fleet, &ground, &activation, asked.wait.limit).await?)
    } else {
        None
    };

    let Candidate { domain, version, digest, bytes } = &candidate;
    let output = asked.output.open();
    if output.is_json() {
        let document = json!({
            "domain": domain.as_str(),
            "version": version,
            "digest": format!("sha256:{digest}"),
            "size": bytes.len(),
            "activated": rollout.as_ref().map(rollout::Rollout::document),
        });
        output.document(document.to_string().as_bytes())?;
    } else {
        let activated = rollout.as_ref().map(rollout::Rollout::in_words).unwrap_or_default();
        output.text(&format!(
            "{GOOD}ok{GOOD:#}  {NAME}{domain}{NAME:#} {} is stored\n    {ASIDE}digest{ASIDE:#}  sha256:{digest}\n{activated}",
            harmless(version)
        ))?;
    }
    Ok(rollout.map_or(Exit::Ok, |rollout| rollout.exit()))
}

/// Stores a candidate, where needed in buckets that are made for it.
pub(super) async fn store(client: &Client, candidate: &Candidate, service: &Service) -> Result<Fleet, CliError> {
    let fleet = Fleet::open(&client.jetstream, usize::from(service.stream_replicas)).await?;
    fleet.store(&candidate.bytes, Limits::default().file_bytes_max).await?;
    Ok(fleet)
}
