//! Misreads an old event: of every increment it counts one more.
#![forbid(unsafe_code)]

use agent_guest::prelude::*;
use plugin_successors::{Command, Event, decide};

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
        Ok(decide(&command))
    }

    fn evolve(&mut self, event: Event) -> Result<(), String> {
        self.count = match event {
            Event::Incremented { by } => self.count.saturating_add(by).saturating_add(1),
            Event::WasReset => 0,
        };
        Ok(())
    }
}

agent_guest::export!(Counter, version = "0.1.2");
