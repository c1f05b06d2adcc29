//! The command line beside serving: sends commands, asks, lists events, looks into plugins and
//! signs them, upgrades streams, tends what the durable lane has parked, backs up, restores,
//! verifies, examines and lists its settings. It is a client like any other and knows nothing of how a host works.

mod accepted;
mod backup;
mod client;
mod command_line;
mod completions;
mod doctor;
mod event_line;
mod event_reader;
mod events;
mod exit;
mod field_list;
mod health;
mod inbox;
mod log_level;
mod origins;
mod output;
mod payload;
mod plugin;
mod progress;
mod reply;
mod restore;
mod send;
mod settings;
mod state;
mod stream;
mod verify;

pub use self::command_line::{Command, CommandLine};
pub use self::exit::{CliError, Exit};
use crate::config::{Connection, Service, SettingsError};

/// Does what was asked and prints the answer.
///
/// # Errors
/// [`CliError`] where there is no answer to print.
pub async fn run(command: Command, connection: &Connection, service: &Service) -> Result<Exit, CliError> {
    match command {
        Command::Send(send) => send::run(send, connection).await,
        Command::State(state) => state::run(state, connection).await,
        Command::Events(events) => events::run(events, connection, service).await,
        Command::Inbox(command) => inbox::run(command, connection).await,
        Command::Plugin(command) => plugin::run(command, connection, service).await,
        Command::Stream(stream::StreamCommand::Upgrade(upgrade)) => stream::upgrade(upgrade, connection, service).await,
        Command::Stream(stream::StreamCommand::Origins(asked)) => {
            stream::origins::run(asked, connection, service).await
        }
        Command::Backup(backup) => backup::run(backup, connection).await,
        Command::Restore(restore) => restore::run(restore, connection).await,
        Command::Verify(verify) => verify::run(verify, connection, service).await,
        Command::Doctor(doctor) => doctor::run(doctor, connection, service).await,
        Command::Health(health) => health::run(health, service).await,
        Command::LogLevel(asked) => log_level::run(asked, connection).await,
        Command::Settings(settings) => settings::run(settings),
        Command::Completions(completions) => completions::run(completions),
    }
}

/// Says why a command line did not become settings, or prints the help that it asked for.
pub fn explain(error: &SettingsError) -> Exit {
    let SettingsError::CommandLine(error) = error else {
        return CliError::Failed(error.to_string()).report();
    };
    // Where nobody reads the text there is nobody to tell.
    let _ = error.print();
    if error.use_stderr() { Exit::Failed } else { Exit::Ok }
}
