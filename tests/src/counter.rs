//! One counter as a client sees it: its id, and its commands and queries as messages. It must not
//! send them itself, and knows the domain only from its description.

use serde_json::json;
use uuid::Uuid;

use crate::message::Message;

/// A counter by its id.
#[derive(Clone, Debug)]
pub struct Counter {
    /// A token.
    pub id: String,
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}

impl Counter {
    /// A counter that nobody has heard of yet.
    pub fn new() -> Self {
        Self::named(&Uuid::now_v7().simple().to_string())
    }

    /// A counter by a name of the test's choice.
    pub fn named(id: &str) -> Self {
        Self { id: id.to_owned() }
    }

    /// `increment`.
    pub fn increment(&self, by: u64) -> Message {
        self.command("increment", by)
    }

    /// `decrement`, which only a later version knows.
    pub fn decrement(&self, by: u64) -> Message {
        self.command("decrement", by)
    }

    /// `reset`.
    pub fn reset(&self) -> Message {
        Message::to("counter.commands.reset", json!({"counter_id": self.id}).to_string())
    }

    /// Its state now.
    pub fn state(&self) -> Message {
        Message::to("counter.queries.state", json!({"id": self.id}).to_string())
    }

    /// Where its events stand.
    pub fn events(&self) -> String {
        format!("counter.events.{}.>", self.id)
    }

    fn command(&self, verb: &str, by: u64) -> Message {
        Message::to(format!("counter.commands.{verb}"), json!({"counter_id": self.id, "by": by}).to_string())
    }
}
