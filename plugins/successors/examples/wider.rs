//! Can do more than the first version: count down. Shows the same of what the first version
//! recorded.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "the only fields without a word are called `by`")]

use agent_guest::prelude::*;

/// One counter.
#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    count: u64,
}

/// What a counter can be asked to do.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Adds `by` to the count.
    Increment { by: u64 },
    /// Takes `by` from the count.
    Decrement { by: u64 },
    /// Sets the count back to zero.
    Reset,
}

/// What can happen to a counter.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The count grew, at most to what 64 bits hold.
    Incremented { by: u64 },
    /// The count shrank, at most to zero.
    Decremented { by: u64 },
    /// The count is zero again.
    WasReset,
}

impl Domain for Counter {
    const NAME: &'static str = "counter";
    const ID_FIELD: &'static str = "counter_id";
    type Command = Command;
    type Event = Event;

    fn decide(&self, _context: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
        Ok(vec![match command {
            Command::Increment { by } => Event::Incremented { by },
            Command::Decrement { by } => Event::Decremented { by },
            Command::Reset => Event::WasReset,
        }])
    }

    fn evolve(&mut self, event: Event) -> Result<(), String> {
        self.count = match event {
            Event::Incremented { by } => self.count.saturating_add(by),
            Event::Decremented { by } => self.count.saturating_sub(by),
            Event::WasReset => 0,
        };
        Ok(())
    }
}

agent_guest::export!(Counter, version = "2.0.0");
