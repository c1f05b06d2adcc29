//! Keeps its state in another shape and does not read that of the first version: the host has
//! to replay. Shows the same.
#![forbid(unsafe_code)]

use agent_guest::prelude::*;
use plugin_successors::{Command, Event, decide, evolve};

/// One counter.
#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    total: u64,
}

/// What a query shows, as ever.
#[derive(Serialize)]
struct View {
    count: u64,
}

impl Domain for Counter {
    const NAME: &'static str = "counter";
    const ID_FIELD: &'static str = "counter_id";
    const STATE_SCHEMA: u32 = 2;
    type Command = Command;
    type Event = Event;

    fn decide(&self, _context: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
        Ok(decide(&command))
    }

    fn evolve(&mut self, event: Event) -> Result<(), String> {
        self.total = evolve(self.total, &event);
        Ok(())
    }

    fn view(&self) -> impl Serialize {
        View { count: self.total }
    }
}

agent_guest::export!(Counter, version = "1.1.0");
