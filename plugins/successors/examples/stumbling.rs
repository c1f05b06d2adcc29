//! Does the same as the first version, but panics at every tenth decision of an instance.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};

use agent_guest::prelude::*;
use plugin_successors::{Command, Event, decide, evolve};

/// One counter.
#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    count: u64,
}

/// Decisions of this instance so far.
static DECISIONS: AtomicU32 = AtomicU32::new(0);

impl Domain for Counter {
    const NAME: &'static str = "counter";
    const ID_FIELD: &'static str = "counter_id";
    type Command = Command;
    type Event = Event;

    fn decide(&self, _context: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
        let decision = DECISIONS.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(!decision.is_multiple_of(10), "stumbled at decision {decision}");
        Ok(decide(&command))
    }

    fn evolve(&mut self, event: Event) -> Result<(), String> {
        self.count = evolve(self.count, &event);
        Ok(())
    }
}

agent_guest::export!(Counter, version = "0.1.5");
