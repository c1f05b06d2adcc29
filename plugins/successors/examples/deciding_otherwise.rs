//! Reads recorded events as the first version does, but decides differently: it increments by
//! one more than it was asked to.
#![forbid(unsafe_code)]

use agent_guest::prelude::*;
use plugin_successors::{Command, Event, evolve};

/// One counter.
#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    count: u64,
}

impl Domain for Counter {
    const NAME: &'static str = "counter";
    const ID_FIELD: &'static str = "counter_id";
    type Command = Command;
    type Event = Event;

    fn decide(&self, _context: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
        Ok(vec![match command {
            Command::Increment { by } => Event::Incremented { by: by.saturating_add(1) },
            Command::Reset => Event::WasReset,
        }])
    }

    fn evolve(&mut self, event: Event) -> Result<(), String> {
        self.count = evolve(self.count, &event);
        Ok(())
    }
}

agent_guest::export!(Counter, version = "0.1.10");
