//! How a run ends: exit codes that scripts branch on, and the troubles of the tool itself.
//! Knows nothing of what was asked.

use std::io;
use std::process::ExitCode;

use super::output;
use crate::message::Code;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Settings, usage, or anything that has no code of its own.
    Failed = 1,
    /// `invalid`
    Invalid = 2,
    /// `rejected`
    Rejected = 3,
    /// `not_found`, `expired`
    Missing = 4,
    /// `conflict`; something stands where something was to be put
    Conflict = 5,
    /// `overloaded`, `unavailable`; no NATS, or nobody serves the domain
    Unavailable = 6,
    /// `timeout`
    Timeout = 7,
    /// `plugin_failed`
    PluginFailed = 8,
    /// `verify` found something, `doctor` a failure
    Unsound = 9,
    /// `doctor` found warnings, and no failure
    Doubtful = 10,
}

impl From<Code> for Exit {
    fn from(code: Code) -> Self {
        match code {
            Code::Invalid => Self::Invalid,
            Code::Rejected => Self::Rejected,
            Code::NotFound | Code::Expired => Self::Missing,
            Code::Conflict => Self::Conflict,
            Code::Overloaded | Code::Unavailable => Self::Unavailable,
            Code::Timeout => Self::Timeout,
            Code::PluginFailed => Self::PluginFailed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why there is no answer, by the exit code it leads to.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Wrong settings or usage, or anything else.
    #[error("{0}")]
    Failed(String),
    /// What was handed in is not what it should be.
    #[error("{0}")]
    Invalid(String),
    /// Something stands where something was to be put.
    #[error("{0}")]
    Conflict(String),
    /// Nobody there to ask.
    #[error("{0}")]
    Unavailable(String),
    /// The answer cannot be written.
    #[error("standard output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// An error that has no exit code of its own.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// Tells it on standard error, and the exit code.
    pub fn report(&self) -> Exit {
        let exit = match self {
            // The reader has seen enough, as `head` has.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return Exit::Ok,
            Self::Failed(_) | Self::Output(_) => Exit::Failed,
            Self::Invalid(_) => Exit::Invalid,
            Self::Conflict(_) => Exit::Conflict,
            Self::Unavailable(_) => Exit::Unavailable,
        };
        output::trouble(&self.to_string());
        exit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_the_documented_exit_code() {
        let exits: Vec<(&str, u8)> = Code::ALL.iter().map(|code| (code.as_str(), Exit::from(*code) as u8)).collect();
        let documented = [
            ("invalid", 2),
            ("rejected", 3),
            ("not_found", 4),
            ("expired", 4),
            ("conflict", 5),
            ("overloaded", 6),
            ("plugin_failed", 8),
            ("unavailable", 6),
            ("timeout", 7),
        ];
        assert_eq!(exits, documented);
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert_eq!(CliError::Output(io::ErrorKind::BrokenPipe.into()).report(), Exit::Ok);
    }
}
