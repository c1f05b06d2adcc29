//! `plugin activate`: has the hosts serve a component that they have, or that is stored in NATS.

use clap::Args;

use super::known_digests;
use super::rollout::{self, Activation, Ground};
use super::spans::Wait;
use crate::cli::client::Client;
use crate::cli::output::OutputFlags;
use crate::cli::{CliError, Exit};
use crate::config::Connection;
use crate::name::Name;

/// `plugin activate`
#[derive(Debug, Args)]
pub(in crate::cli) struct Activate {
    /// The domain
    domain: String,
    /// The component's digest, or at least its first 8 digits
    digest: String,
    /// Go live though recorded events give other states than with the live code
    #[arg(long)]
    accept_drift: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) async fn run(asked: Activate, connection: &Connection) -> Result<Exit, CliError> {
    let domain = Name::new(&asked.domain).map_err(|error| CliError::Invalid(error.to_string()))?;
    let client = Client::connect(connection).await?;
    let ground = Ground::survey(&client).await?;
    ground.check()?;
    let digest = known_digests::resolve(&asked.digest, &ground.digests().await?)?;
    let activation = Activation { domain: &domain, digest, accept_drift: asked.accept_drift };
    let rollout = rollout::activate(&client, &ground, &activation, asked.wait.limit).await?;
    rollout.print(asked.output)
}
