//! Messages to one aggregate of the domain that misbehaves on request.

use serde_json::json;
use uuid::Uuid;

use crate::message::Message;

/// One aggregate, known by its id.
pub struct Misbehave {
    /// Its id.
    pub id: String,
}

impl Misbehave {
    /// A fresh one.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        Self { id: Uuid::now_v7().to_string() }
    }

    /// `run`: does what `mode` says, `n` says how much of it.
    pub fn run(&self, mode: &str, n: u64) -> Message {
        let payload = json!({"id": self.id, "mode": mode, "n": n});
        Message::to("misbehave.commands.run", payload.to_string())
    }

    /// Its state.
    pub fn state(&self) -> Message {
        Message::to("misbehave.queries.state", json!({"id": self.id}).to_string())
    }
}
