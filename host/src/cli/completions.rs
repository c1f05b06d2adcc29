//! Completion scripts for shells.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{CliError, CommandLine, Exit, output};

/// `completions`
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

pub(super) fn run(asked: Completions) -> Result<Exit, CliError> {
    let mut command = CommandLine::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(asked.shell, &mut command, name, &mut script);
    output::raw(&script)?;
    Ok(Exit::Ok)
}
