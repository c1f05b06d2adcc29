//! Takes 4 GiB of memory to apply an event.
#![forbid(unsafe_code)]

use std::hint::black_box;

use agent_guest::prelude::*;
use plugin_successors::{Command, Event, decide, evolve};

/// One counter.
#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    count: u64,
}

/// Bytes it takes at a time: the address space holds no single piece of 4 GiB.
const PIECE_BYTES: usize = 16 << 20;
/// How many pieces it takes.
const PIECES: usize = 256;

impl Domain for Counter {
    const NAME: &'static str = "counter";
    const ID_FIELD: &'static str = "counter_id";
    type Command = Command;
    type Event = Event;

    fn decide(&self, _context: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
        Ok(decide(&command))
    }

    fn evolve(&mut self, event: Event) -> Result<(), String> {
        // Not zeros, which cost nothing until they are touched.
        let hoard: Vec<Vec<u8>> = (0..PIECES).map(|_| black_box(vec![1; PIECE_BYTES])).collect();
        drop(black_box(hoard));
        self.count = evolve(self.count, &event);
        Ok(())
    }
}

agent_guest::export!(Counter, version = "0.1.8");
