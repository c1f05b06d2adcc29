//! Those that are held against one another. It must not know how they are run.

use clap::ValueEnum;
use serde::Serialize;

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Contender {
    /// Publishes an event of the same size and replies: the limit of what the messages allow.
    Limit,
    /// The same with the agent rules called natively, state in memory.
    Native,
    /// The same with the component in a fresh instance for each command, state passed as bytes.
    Bytes,
    /// Native rules on state that is loaded for each command by an ordered consumer.
    Reload,
    /// Reads the agent's last event from the leader and replies: no command is answered with less
    /// that is not allowed to be stale.
    Look,
    /// Native rules, and an atomic batch of its own for each command.
    Batch,
    /// The service with the agent component.
    Service,
}

impl Contender {
    /// As tables name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Native => "native",
            Self::Bytes => "bytes",
            Self::Reload => "reload",
            Self::Look => "look",
            Self::Batch => "batch",
            Self::Service => "service",
        }
    }

    /// The first token of its subjects.
    pub(crate) fn domain(self) -> &'static str {
        match self {
            Self::Service => "agent",
            twin => twin.name(),
        }
    }

    /// The stream with its events.
    pub(crate) fn stream(self) -> String {
        format!("{}_EVENTS", self.domain().to_ascii_uppercase())
    }
}
