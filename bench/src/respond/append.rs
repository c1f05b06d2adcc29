//! One event into a stream, with headers like those the service writes: as many, as long, most
//! of them made beforehand. It must not know what decided.

use std::fmt;

use anyhow::{Result, bail};
use async_nats::{Client, HeaderMap, Request};
use serde::Deserialize;

use super::{Command, Fact};
use crate::contender::Contender;

/// As long as any time in RFC 3339 with milliseconds.
const TIME: &str = "2026-01-01T00:00:00.000Z";

pub(super) struct Appender {
    client: Client,
    domain: &'static str,
    source: String,
    plugin: String,
}

#[derive(Deserialize)]
struct Ack {
    #[serde(rename = "seq", default)]
    sequence: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    description: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)
    }
}

impl Appender {
    pub(super) fn new(client: Client, contender: Contender) -> Self {
        Self {
            client,
            domain: contender.domain(),
            source: format!("/local/{}", contender.stream()),
            plugin: format!("agent/{};sha256={}", env!("CARGO_PKG_VERSION"), "0".repeat(64)),
        }
    }

    /// Stores the event as this version of its agent and gives its place in the stream.
    pub(super) async fn append(
        &self,
        command: &Command<'_>,
        fact: &Fact,
        version: u64,
        expected_sequence: u64,
    ) -> Result<u64> {
        let (domain, id) = (self.domain, command.id);
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", command.command_id);
        headers.insert("ce-id", command.command_id);
        headers.insert("ce-specversion", "1.0");
        headers.insert("content-type", "application/json");
        headers.insert("ce-type", format!("{domain}.{}", fact.name));
        headers.insert("ce-source", self.source.as_str());
        headers.insert("ce-subject", id);
        headers.insert("ce-time", TIME);
        headers.insert("ce-sequence", version.to_string());
        headers.insert("ce-causationid", command.command_id);
        headers.insert("ce-correlationid", command.command_id);
        headers.insert("ce-plugin", self.plugin.as_str());
        headers.insert("ce-activation", "1");
        headers.insert("Nats-Expected-Last-Subject-Sequence", expected_sequence.to_string());
        headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", format!("{domain}.events.{id}.*"));
        let request = Request::new().headers(headers).payload(fact.payload.clone());
        let reply = self.client.send_request(format!("{domain}.events.{id}.{}", fact.name), request).await?;
        let ack: Ack = serde_json::from_slice(&reply.payload)?;
        match ack {
            Ack { error: Some(refusal), .. } => bail!("JetStream does not store the event: {refusal}"),
            Ack { duplicate: true, .. } => bail!("JetStream takes the event for one it has"),
            Ack { sequence, .. } => Ok(sequence),
        }
    }
}
