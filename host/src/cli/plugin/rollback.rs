//! `plugin rollback`: has the hosts serve what they served before.

use clap::Args;

use super::rollout::{self, Ground};
use super::spans::Wait;
use crate::cli::client::Client;
use crate::cli::output::OutputFlags;
use crate::cli::{CliError, Exit};
use crate::config::Connection;
use crate::name::Name;

/// `plugin rollback`
#[derive(Debug, Args)]
pub(in crate::cli) struct Rollback {
    /// The domain
    domain: String,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) async fn run(asked: Rollback, connection: &Connection) -> Result<Exit, CliError> {
    let domain = Name::new(&asked.domain).map_err(|error| CliError::Invalid(error.to_string()))?;
    let client = Client::connect(connection).await?;
    let ground = Ground::survey(&client).await?;
    ground.check()?;
    let rollout = rollout::roll_back(&client, &ground, &domain, asked.wait.limit).await?;
    rollout.print(asked.output)
}
