//! Shows more than the first version, on purpose: the count and twice the count.
#![forbid(unsafe_code)]

use agent_guest::prelude::*;
use plugin_successors::{Command, Event, decide, evolve};

/// One counter.
#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    count: u64,
}

/// What a query shows.
#[derive(Serialize)]
struct View {
    count: u64,
    doubled: u64,
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
        self.count = evolve(self.count, &event);
        Ok(())
    }

    fn view(&self) -> impl Serialize {
        View { count: self.count, doubled: self.count.saturating_mul(2) }
    }
}

agent_guest::export!(Counter, version = "1.2.0");
