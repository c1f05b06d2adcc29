//! Events into a stream, with headers like those the service writes: as many, as long, most of them
//! made beforehand. It must not know what decided.

use std::fmt;

use anyhow::{Result, bail};
use async_nats::{Client, HeaderMap};
use serde::Deserialize;

use super::{Fact, Request};
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
    pub(super) fn new(client: &Client, contender: Contender) -> Self {
        Self {
            client: client.clone(),
            domain: contender.domain(),
            source: format!("/local/{}", contender.stream()),
            plugin: format!("agent/{};sha256={}", env!("CARGO_PKG_VERSION"), "0".repeat(64)),
        }
    }

    /// Stores the event as this version of its agent and gives its place in the stream.
    pub(super) async fn append(
        &self,
        request: &Request<'_>,
        fact: &Fact,
        version: u64,
        expected_sequence: u64,
    ) -> Result<u64> {
        let mut headers = self.headers(request, request.command_id, fact, version);
        self.expect(&mut headers, request.id, expected_sequence);
        self.send(request.id, fact, headers).await
    }

    /// Stores the first events of an agent all or none, in a batch of their own, and gives the last
    /// one's place in the stream.
    pub(super) async fn append_batch(&self, request: &Request<'_>, facts: &[Fact]) -> Result<u64> {
        let batch = uuid::Uuid::now_v7().simple().to_string();
        let mut sequence = 0;
        for (fact, nth) in facts.iter().zip(1_u64..) {
            let event_id = uuid::Uuid::now_v7().to_string();
            let mut headers = self.headers(request, &event_id, fact, nth);
            headers.insert("Nats-Batch-Id", batch.as_str());
            headers.insert("Nats-Batch-Sequence", nth.to_string());
            if nth == 1 {
                self.expect(&mut headers, request.id, 0);
            }
            if nth == facts.len() as u64 {
                headers.insert("Nats-Batch-Commit", "1");
                sequence = self.send(request.id, fact, headers).await?;
            } else {
                let subject = self.subject(request.id, fact);
                self.client.publish_with_headers(subject, headers, fact.payload.clone()).await?;
            }
        }
        Ok(sequence)
    }

    fn subject(&self, id: &str, fact: &Fact) -> String {
        format!("{}.events.{id}.{}", self.domain, fact.name)
    }

    fn headers(&self, request: &Request<'_>, event_id: &str, fact: &Fact, version: u64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", event_id);
        headers.insert("ce-id", event_id);
        headers.insert("ce-specversion", "1.0");
        headers.insert("content-type", "application/json");
        headers.insert("ce-type", format!("{}.{}", self.domain, fact.name));
        headers.insert("ce-source", self.source.as_str());
        headers.insert("ce-subject", request.id);
        headers.insert("ce-time", TIME);
        headers.insert("ce-sequence", version.to_string());
        headers.insert("ce-causationid", request.command_id);
        headers.insert("ce-correlationid", request.command_id);
        headers.insert("ce-plugin", self.plugin.as_str());
        headers.insert("ce-activation", "1");
        headers
    }

    fn expect(&self, headers: &mut HeaderMap, id: &str, expected_sequence: u64) {
        headers.insert("Nats-Expected-Last-Subject-Sequence", expected_sequence.to_string());
        headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", format!("{}.events.{id}.*", self.domain));
    }

    async fn send(&self, id: &str, fact: &Fact, headers: HeaderMap) -> Result<u64> {
        let request = async_nats::Request::new().headers(headers).payload(fact.payload.clone());
        let reply = self.client.send_request(self.subject(id, fact), request).await?;
        let ack: Ack = serde_json::from_slice(&reply.payload)?;
        match ack {
            Ack { error: Some(refusal), .. } => bail!("JetStream does not store the event: {refusal}"),
            Ack { duplicate: true, .. } => bail!("JetStream takes the event for one it has"),
            Ack { sequence, .. } => Ok(sequence),
        }
    }
}
