//! Never comes back from applying an event.
#![forbid(unsafe_code)]

use std::hint::black_box;

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
        loop {
            black_box(&event);
        }
    }
}

agent_guest::export!(Counter, version = "0.1.6");
