//! The smallest domain there is: a counter. Knows nothing of bytes, components or hosts.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "the only fields without a word are called `by`")]

use agent_guest::prelude::*;

/// One counter; its state is also what a query shows.
#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    /// What was counted since the last reset.
    pub count: u64,
}

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

impl Domain for Counter {
    const NAME: &'static str = "counter";
    const ID_FIELD: &'static str = "counter_id";
    type Command = Command;
    type Event = Event;
    fn decide(&self, _context: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
        Ok(vec![match command {
            Command::Increment { by } => Event::Incremented { by },
            Command::Reset => Event::WasReset,
        }])
    }
    fn evolve(&mut self, event: Event) -> Result<(), String> {
        self.count = match event {
            Event::Incremented { by } => self.count.saturating_add(by),
            Event::WasReset => 0,
        };
        Ok(())
    }
}

agent_guest::export!(Counter);
