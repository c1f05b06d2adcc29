//! The three that are held against one another. It must not know how they are run.

use serde::Serialize;

/// Who answers commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Contender {
    /// Publishes an event of the same size and replies: the limit of what the messages allow.
    Bare,
    /// The same with the agent rules called natively.
    Native,
    /// The service with the agent component.
    Service,
}

impl Contender {
    pub(crate) const ALL: [Self; 3] = [Self::Bare, Self::Native, Self::Service];

    /// All of them, beginning with another one in every round, so that none is always the first.
    pub(crate) fn in_turn(round: u32) -> impl Iterator<Item = Self> {
        let first = round as usize % Self::ALL.len();
        Self::ALL.into_iter().cycle().skip(first).take(Self::ALL.len())
    }

    /// As tables name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Native => "native",
            Self::Service => "service",
        }
    }

    /// The first token of its subjects.
    pub(crate) fn domain(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Native => "native",
            Self::Service => "agent",
        }
    }

    /// The stream with its events.
    pub(crate) fn stream(self) -> &'static str {
        match self {
            Self::Bare => "BARE_EVENTS",
            Self::Native => "NATIVE_EVENTS",
            Self::Service => "AGENT_EVENTS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Contender::{self, Bare, Native, Service};

    #[test]
    fn everyone_is_first_once_in_three_rounds() {
        let turn = |round| Contender::in_turn(round).collect::<Vec<_>>();
        assert_eq!(turn(0), [Bare, Native, Service]);
        assert_eq!(turn(1), [Native, Service, Bare]);
        assert_eq!(turn(2), [Service, Bare, Native]);
    }
}
