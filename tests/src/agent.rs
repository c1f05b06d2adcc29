//! One agent as a client sees it: its id, and its commands and queries as messages. It must not
//! send them itself, and knows the domain only from its description.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::message::Message;

/// An agent by its id.
#[derive(Clone, Debug)]
pub struct Agent {
    /// A lower-case hyphenated UUID.
    pub id: String,
}

impl Default for Agent {
    fn default() -> Self {
        Self::new()
    }
}

impl Agent {
    /// An agent that nobody has heard of yet.
    pub fn new() -> Self {
        Self { id: Uuid::now_v7().to_string() }
    }

    /// Any command, with the agent's id in the payload beside `fields`.
    pub fn command(&self, verb: &str, fields: &Value) -> Message {
        Message::command(verb, &self.with_id(fields))
    }

    /// `deploy` with nothing but what is required.
    pub fn deploy(&self) -> Message {
        self.command("deploy", &deployment())
    }

    /// `deploy` with settings: one command, two events.
    pub fn deploy_configured(&self) -> Message {
        let mut fields = deployment();
        fields["initial_configuration"] = json!({"settings": {"model": "small"}});
        self.command("deploy", &fields)
    }

    /// `activate`.
    pub fn activate(&self) -> Message {
        self.command("activate", &json!({}))
    }

    /// `suspend`.
    pub fn suspend(&self) -> Message {
        self.command("suspend", &json!({"reason": "maintenance"}))
    }

    /// `decommission`.
    pub fn decommission(&self) -> Message {
        self.command("decommission", &json!({}))
    }

    /// `update_configuration` of one key: one event as long as the value is a new one.
    pub fn set(&self, key: &str, value: impl Into<Value>) -> Message {
        self.command("update_configuration", &json!({"changes": {key: value.into()}}))
    }

    /// Its state now.
    pub fn state(&self) -> Message {
        Message::query("state", &json!({"id": self.id}))
    }

    /// Its state when it had that many events.
    pub fn state_at(&self, version: u64) -> Message {
        Message::query("state", &json!({"id": self.id, "at_version": version}))
    }

    /// Its events after a version, at most `limit` of them.
    pub fn history(&self, after: u64, limit: u64) -> Message {
        Message::query("history", &json!({"id": self.id, "after": after, "limit": limit}))
    }

    fn with_id(&self, fields: &Value) -> Value {
        let mut payload = fields.clone();
        payload["agent_id"] = json!(self.id);
        payload
    }
}

/// The fields that `deploy` needs beside the id.
pub fn deployment() -> Value {
    json!({
        "agent_type": "AI",
        "metadata": {
            "name": "Scout",
            "description": "finds things",
            "version": "1.0.0",
            "owner_id": "5f0c6dd5-9c0a-4b58-8f8e-9f3d3f2a7c11",
        },
    })
}
