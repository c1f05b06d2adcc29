//! `plugin`: what can be done with plugin files. Each subcommand has a file of its own.

mod file;
mod inspect;
mod replaced_file;
mod sign;
mod signers;
mod verify;

use clap::Subcommand;

use self::inspect::Inspect;
use self::sign::Sign;
use self::verify::Verify;
use super::{CliError, Exit};
use crate::config::Service;

/// `plugin`
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
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

pub(super) fn run(command: PluginCommand, service: &Service) -> Result<Exit, CliError> {
    match command {
        PluginCommand::Inspect(asked) => inspect::run(asked, service),
        PluginCommand::Sign(asked) => sign::run(asked),
        PluginCommand::Verify(asked) => verify::run(asked, service),
    }
}
