//! What a client sends: subject, headers, payload, as the contract names them. It must not know
//! how it is sent.

use async_nats::HeaderMap;
use bytes::Bytes;
use serde_json::Value;

/// A command or query, ready to be sent.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where it goes.
    pub subject: String,
    /// Its headers; often none.
    pub headers: HeaderMap,
    /// Its payload.
    pub payload: Bytes,
}

impl Message {
    /// A message to any subject with any bytes.
    pub fn to(subject: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self { subject: subject.into(), headers: HeaderMap::new(), payload: payload.into() }
    }

    /// A command of the agent domain, the id left to the payload.
    pub fn command(verb: &str, payload: &Value) -> Self {
        Self::to(format!("agent.commands.{verb}"), payload.to_string())
    }

    /// A query of the agent domain, the id left to the payload.
    pub fn query(name: &str, payload: &Value) -> Self {
        Self::to(format!("agent.queries.{name}"), payload.to_string())
    }

    /// The same with the id in the subject as well.
    #[must_use]
    pub fn by_subject(mut self, id: &str) -> Self {
        let mut tokens: Vec<&str> = self.subject.split('.').collect();
        tokens.insert(2, id);
        self.subject = tokens.join(".");
        self
    }

    /// With the command's id.
    #[must_use]
    pub fn msg_id(self, id: &str) -> Self {
        self.header("Nats-Msg-Id", id)
    }

    /// Only if the aggregate is at this version.
    #[must_use]
    pub fn expected_version(self, version: &str) -> Self {
        self.header("Agent-Expected-Version", version)
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name, value);
        self
    }
}
