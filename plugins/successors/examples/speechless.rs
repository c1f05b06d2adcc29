//! Traps when it is asked what it is: the schema of its commands is made with a panic.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use agent_guest::prelude::*;
use plugin_successors::{Event, decide, evolve};
use schemars::{Schema, SchemaGenerator};

/// One counter.
#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    count: u64,
}

/// The counter's commands, which it cannot describe.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Command(plugin_successors::Command);

impl JsonSchema for Command {
    fn schema_name() -> Cow<'static, str> {
        "Command".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        panic!("lost for words")
    }
}

impl Domain for Counter {
    const NAME: &'static str = "counter";
    const ID_FIELD: &'static str = "counter_id";
    type Command = Command;
    type Event = Event;

    fn decide(&self, _context: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
        Ok(decide(&command.0))
    }

    fn evolve(&mut self, event: Event) -> Result<(), String> {
        self.count = evolve(self.count, &event);
        Ok(())
    }
}

agent_guest::export!(Counter, version = "0.1.9");
