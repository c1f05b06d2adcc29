//! `plugin`: what can be done with plugin files. Each subcommand has a file of its own.

mod check;
mod file;
mod inspect;
mod replaced_file;
mod sign;
mod signers;
mod verify;

use clap::Subcommand;

use self::check::Check;
use self::inspect::Inspect;
use self::sign::Sign;
use self::verify::Verify;
use super::{CliError, Exit};
use crate::config::{Connection, Service};

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
}

pub(super) async fn run(command: PluginCommand, connection: &Connection, service: &Service) -> Result<Exit, CliError> {
    match command {
        PluginCommand::Check(asked) => check::run(asked, connection, service).await,
        PluginCommand::Inspect(asked) => inspect::run(asked, service),
        PluginCommand::Sign(asked) => sign::run(asked),
        PluginCommand::Verify(asked) => verify::run(asked, service),
    }
}
