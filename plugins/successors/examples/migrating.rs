//! Keeps its state in another shape, and reads that of the first version as well. Shows the
//! same.
#![forbid(unsafe_code)]

use agent_guest::prelude::*;
use plugin_successors::{Command, Event, decide, evolve};

/// One counter; how often it was reset is not shown yet.
#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    total: u64,
    resets: u64,
}

/// What a query shows, as ever.
#[derive(Serialize)]
struct View {
    count: u64,
}

/// The state of the first version, which did not count resets.
#[derive(Deserialize)]
struct First {
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
        self.resets += u64::from(matches!(event, Event::WasReset));
        self.total = evolve(self.total, &event);
        Ok(())
    }

    fn view(&self) -> impl Serialize {
        View { count: self.total }
    }

    fn restore(_id: &str, schema: u32, snapshot: &[u8]) -> Result<Self, String> {
        let read = match schema {
            1 => serde_json::from_slice(snapshot).map(|First { count }| Self { total: count, resets: 0 }),
            2 => serde_json::from_slice(snapshot),
            _ => return Err(format!("a snapshot of schema {schema} is not known here")),
        };
        read.map_err(|error| format!("snapshot not readable: {error}"))
    }
}

agent_guest::export!(Counter, version = "1.0.0");
