//! Traps at one old event: it panics where the count grows by 13.
#![forbid(unsafe_code)]

use agent_guest::prelude::*;
use plugin_successors::{Command, Event, decide, evolve};

/// One counter.
#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    count: u64,
}

/// The step it cannot take.
const UNLUCKY: u64 = 13;

impl Domain for Counter {
    const NAME: &'static str = "counter";
    const ID_FIELD: &'static str = "counter_id";
    type Command = Command;
    type Event = Event;

    fn decide(&self, _context: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
        Ok(decide(&command))
    }

    fn evolve(&mut self, event: Event) -> Result<(), String> {
        assert!(!matches!(event, Event::Incremented { by: UNLUCKY }), "cannot count {UNLUCKY}");
        self.count = evolve(self.count, &event);
        Ok(())
    }
}

agent_guest::export!(Counter, version = "0.1.4");
