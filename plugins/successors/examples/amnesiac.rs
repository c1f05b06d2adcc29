//! Cannot read snapshots, not even its own.
#![forbid(unsafe_code)]

use agent_guest::prelude::*;
use plugin_successors::{Command, Event, decide, evolve};

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
        self.count = evolve(self.count, &event);
        Ok(())
    }

    fn restore(_id: &str, _schema: u32, _snapshot: &[u8]) -> Result<Self, String> {
        Err("nothing is remembered here".into())
    }
}

agent_guest::export!(Counter, version = "0.1.7");
