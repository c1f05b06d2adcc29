//! Other code that does the same as the first version, to the byte.
#![forbid(unsafe_code)]

use agent_guest::prelude::*;
use plugin_successors::{Command, Event};

/// One counter.
#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    count: u64,
}

impl Counter {
    fn grow(&mut self, by: u64) {
        let room = u64::MAX - self.count;
        self.count += by.min(room);
    }
}

impl Domain for Counter {
    const NAME: &'static str = "counter";
    const ID_FIELD: &'static str = "counter_id";
    type Command = Command;
    type Event = Event;

    fn decide(&self, _context: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
        let event = match command {
            Command::Increment { by } => Event::Incremented { by },
            Command::Reset => Event::WasReset,
        };
        Ok([event].into())
    }

    fn evolve(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Incremented { by } => self.grow(by),
            Event::WasReset => *self = Self::default(),
        }
        Ok(())
    }
}

agent_guest::export!(Counter, version = "0.1.1");
