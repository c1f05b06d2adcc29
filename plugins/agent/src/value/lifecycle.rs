//! The five states of an agent's life and the ways between them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where an agent is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Known, not yet working.
    Deployed,
    /// At work.
    Active,
    /// Held back for a reason.
    Suspended,
    /// Out of reach.
    Offline,
    /// At its end; nothing follows.
    Decommissioned,
}

impl Status {
    /// Whether an agent in this state may go over to `to`.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        match to {
            Self::Deployed => false,
            Self::Active => matches!(self, Self::Deployed | Self::Suspended | Self::Offline),
            Self::Suspended => self == Self::Active,
            Self::Offline => matches!(self, Self::Active | Self::Suspended),
            Self::Decommissioned => self != Self::Decommissioned,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
