//! A reply of the service, and the parts of its shape that hold for every reply, checked each
//! time one is looked at. It must not know which command it answers.

use anyhow::{Context, Result, ensure};
use async_nats::HeaderMap;
use serde_json::Value;

/// A reply: headers and the JSON document.
#[derive(Clone, Debug)]
pub struct Reply {
    /// All headers of the message.
    pub headers: HeaderMap,
    /// The document.
    pub body: Value,
}

/// Code, the number it is like, and whether it may be sent again as it is; `None`: either.
const CODES: [(&str, &str, Option<bool>); 9] = [
    ("invalid", "400", Some(false)),
    ("rejected", "422", Some(false)),
    ("not_found", "404", Some(false)),
    ("expired", "410", Some(false)),
    ("conflict", "409", None),
    ("overloaded", "429", Some(true)),
    ("plugin_failed", "500", Some(false)),
    ("unavailable", "503", Some(true)),
    ("timeout", "504", Some(true)),
];

impl Reply {
    /// Takes a message apart.
    pub fn parse(message: async_nats::Message) -> Result<Self> {
        let body = serde_json::from_slice(&message.payload)
            .with_context(|| format!("a reply that is no JSON: {:?}", message.payload))?;
        Ok(Self { headers: message.headers.unwrap_or_default(), body })
    }

    /// The reply, if it is a good one in the contract's shape.
    pub fn ok(self) -> Result<Self> {
        ensure!(self.body["status"] == "ok", "expected ok, got {}", self.body);
        ensure!(self.header("Agent-Status") == Some("ok"), "headers: {:?}", self.headers);
        for name in ["Nats-Service-Error-Code", "Nats-Service-Error"] {
            ensure!(self.header(name).is_none(), "header {name} on a reply that is ok");
        }
        Ok(self)
    }

    /// The reply, if it is an error with this code in the contract's shape.
    pub fn error(self, code: &str) -> Result<Self> {
        let body = &self.body;
        ensure!(body["status"] == "error" && body["code"] == code, "expected {code}, got {body}");
        ensure!(self.header("Agent-Status") == Some(code), "headers: {:?}", self.headers);
        let (_, like, retryable) =
            CODES.into_iter().find(|known| known.0 == code).with_context(|| format!("no such code: {code}"))?;
        ensure!(self.header("Nats-Service-Error-Code") == Some(like), "headers: {:?}", self.headers);
        let message = body["message"].as_str().with_context(|| format!("no message: {body}"))?;
        ensure!(!message.is_empty(), "an empty message: {body}");
        ensure!(self.header("Nats-Service-Error") == Some(message), "headers: {:?}", self.headers);
        let got = body["retryable"].as_bool().with_context(|| format!("no retryable: {body}"))?;
        ensure!(retryable.is_none_or(|expected| expected == got), "retryable: {body}");
        Ok(self)
    }

    /// The reply, if it is a rejection for this reason.
    pub fn rejected(self, reason: &str) -> Result<Self> {
        let reply = self.error("rejected")?;
        ensure!(reply.body["reason"] == reason, "expected {reason}, got {}", reply.body);
        Ok(reply)
    }

    /// The reply, if its message names all these words.
    pub fn naming(self, words: &[&str]) -> Result<Self> {
        let message = self.body["message"].as_str().unwrap_or_default().to_lowercase();
        for word in words {
            ensure!(message.contains(&word.to_lowercase()), "the message does not name {word}: {message}");
        }
        Ok(self)
    }

    /// The version it speaks of.
    pub fn version(&self) -> Result<u64> {
        self.body["version"].as_u64().with_context(|| format!("no version: {}", self.body))
    }

    /// Whether the command was known already.
    pub fn duplicate(&self) -> Result<bool> {
        self.body["duplicate"].as_bool().with_context(|| format!("no duplicate: {}", self.body))
    }

    /// The events it lists.
    pub fn events(&self) -> Result<&Vec<Value>> {
        self.body["events"].as_array().with_context(|| format!("no events: {}", self.body))
    }

    /// The aggregate's state, of a state query.
    pub fn state(&self) -> &Value {
        &self.body["state"]
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.as_str())
    }
}
