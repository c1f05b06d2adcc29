//! What the successors of the counter have in common: its words and its rules, as its first
//! version has them. Each successor states its own state and what it does differently, one per
//! file of `examples/`; which of them a host should accept is not known here.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "the only fields without a word are called `by`")]

use agent_guest::prelude::*;

/// What a counter can be asked to do.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Adds `by` to the count.
    Increment { by: u64 },
    /// Sets the count back to zero.
    Reset,
}

/// What can happen to a counter.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The count grew, at most to what 64 bits hold.
    Incremented { by: u64 },
    /// The count is zero again.
    WasReset,
}

/// What the first version decides.
#[must_use]
pub fn decide(command: &Command) -> Vec<Event> {
    vec![match *command {
        Command::Increment { by } => Event::Incremented { by },
        Command::Reset => Event::WasReset,
    }]
}

/// The count after an event, as the first version has it.
#[must_use]
pub fn evolve(count: u64, event: &Event) -> u64 {
    match *event {
        Event::Incremented { by } => count.saturating_add(by),
        Event::WasReset => 0,
    }
}
