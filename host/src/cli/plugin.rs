//! `plugin`: what can be done with plugin files, and with the plugins of running hosts. Each
//! subcommand has a file of its own.

mod activate;
mod candidate;
pub(super) mod check;
pub(super) mod control;
mod file;
mod hosts;
mod inspect;
mod known_digests;
mod list;
mod push;
mod replaced_file;
mod rollback;
mod rollout;
mod shadow;
mod sign;
mod signers;
mod spans;
mod verify;

use clap::Subcommand;

use self::activate::Activate;
use self::check::Check;
use self::inspect::Inspect;
use self::list::List;
use self::push::Push;
use self::rollback::Rollback;
use self::shadow::Shadow;
use self::sign::Sign;
use self::verify::Verify;
use super::{CliError, Exit};
use crate::config::{Connection, Service};
use crate::fleet::FleetError;

/// `plugin`
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Hold a plugin file against what is recorded, as a host does before it lets it go live
    ///
    /// Nothing is changed: the recorded histories are evolved by this plugin and by the live one,
    /// and what the two make of them is compared. Exits with 0 where it would go live, with 2
    /// where it would be refused, with 6 where NATS or the log cannot be read.
    Check(Check),
    /// Show what a plugin file is: its domain, commands and events, imports, digest, signers
    Inspect(Inspect),
    /// Sign a plugin file with an nkey
    ///
    /// The signature becomes a part of the file. Signing again with the same key replaces it;
    /// signatures of other keys stay, so that keys can be rotated.
    Sign(Sign),
    /// Check the signatures of a plugin file as a host does that has the same trusted keys
    ///
    /// Exits with 0 only where a host would accept them. Without trusted keys it takes one
    /// signature of any key, and all that there are must hold.
    Verify(Verify),
    /// Check a plugin file and store it in NATS, for hosts that take their plugins from there
    Push(Push),
    /// List what every host serves, what it has refused and what it denies
    List(List),
    /// Have the hosts serve a component that they have, or that is stored in NATS
    ///
    /// Hosts whose plugins come from NATS find what they are to serve there; this waits until
    /// every one of them has gone live or has refused. Hosts with a plugin directory are asked
    /// one by one. Exits with 0 where all are live, 2 where one refused, 7 where one does neither
    /// in time.
    Activate(Activate),
    /// Have the hosts serve what they served before
    ///
    /// The activation number grows all the same. Exits like `activate`.
    Rollback(Rollback),
    /// Have the hosts decide a share of the live commands with a plugin file as well, and compare
    ///
    /// Nothing of what the file decides is stored or answered. Exits with 0 where nothing
    /// differed, 2 where something did or a host could not compare.
    Shadow(Shadow),
}

pub(super) async fn run(command: PluginCommand, connection: &Connection, service: &Service) -> Result<Exit, CliError> {
    match command {
        PluginCommand::Check(asked) => check::run(asked, connection, service).await,
        PluginCommand::Inspect(asked) => inspect::run(asked, service),
        PluginCommand::Sign(asked) => sign::run(asked),
        PluginCommand::Verify(asked) => verify::run(asked, service),
        PluginCommand::Push(asked) => push::run(asked, connection, service).await,
        PluginCommand::List(asked) => list::run(asked, connection).await,
        PluginCommand::Activate(asked) => activate::run(asked, connection).await,
        PluginCommand::Rollback(asked) => rollback::run(asked, connection).await,
        PluginCommand::Shadow(asked) => shadow::run(asked, connection, service).await,
    }
}

/// Digits of a digest that tell it from others to people.
const SHORT_DIGEST: usize = 12;

/// The beginning of a digest, for people.
fn short(digest: impl ToString) -> String {
    digest.to_string().chars().take(SHORT_DIGEST).collect()
}

impl From<FleetError> for CliError {
    fn from(error: FleetError) -> Self {
        match error {
            FleetError::Unavailable(_) => Self::Unavailable(error.to_string()),
            FleetError::TooLarge { .. }
            | FleetError::Damaged { .. }
            | FleetError::NotStored { .. }
            | FleetError::NothingBefore { .. } => Self::Invalid(error.to_string()),
            FleetError::Refused(_)
            | FleetError::Gone { .. }
            | FleetError::Overtaken { .. }
            | FleetError::Contended { .. }
            | FleetError::Unreadable { .. } => Self::failed(error),
        }
    }
}
