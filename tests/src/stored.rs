//! What stands in the log, read from JetStream itself and not through the service. It must not
//! trust a reply.

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow, ensure};
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::{HeaderMap, Message};
use futures::StreamExt;
use serde_json::Value;
use uuid::Uuid;

use crate::nats::Nats;

/// One stored message.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its subject.
    pub subject: String,
    /// Its position in the stream.
    pub sequence: u64,
    /// All its headers.
    pub headers: HeaderMap,
    /// Its payload, `null` where it is no JSON.
    pub data: Value,
    /// When the server stored it, in milliseconds since 1970.
    pub time_ms: i128,
}

impl Stored {
    /// A header's value; an error names the one that is missing.
    pub fn header(&self, name: &str) -> Result<&str> {
        let value = self.headers.get(name).with_context(|| format!("no header {name} in {:?}", self.headers))?;
        Ok(value.as_str())
    }

    /// Its headers without what its writer told JetStream about its place, so that a copy of it
    /// can be stored elsewhere, under an id of its own.
    pub fn headers_of_a_copy(&self, id: Uuid) -> HeaderMap {
        let mut copy = HeaderMap::new();
        for (name, values) in self.headers.iter() {
            let name: &str = name.as_ref();
            if !name.starts_with("Nats-") {
                values.iter().for_each(|value| copy.append(name, value.as_str()));
            }
        }
        copy.insert("ce-id", id.to_string().as_str());
        copy.insert("Nats-Msg-Id", id.to_string().as_str());
        copy
    }

    /// The event's own id.
    pub fn id(&self) -> Result<Uuid> {
        Ok(Uuid::parse_str(self.header("ce-id")?)?)
    }

    /// The aggregate's version after this event.
    pub fn version(&self) -> Result<u64> {
        self.header("ce-sequence")?.parse().context("ce-sequence")
    }
}

impl From<StreamMessage> for Stored {
    fn from(message: StreamMessage) -> Self {
        Self {
            subject: message.subject.to_string(),
            sequence: message.sequence,
            headers: message.headers,
            data: serde_json::from_slice(&message.payload).unwrap_or_default(),
            time_ms: message.time.unix_timestamp_nanos() / 1_000_000,
        }
    }
}

impl Nats {
    /// All stored events of one aggregate of the agent domain, in order.
    pub async fn stored(&self, id: &str) -> Result<Vec<Stored>> {
        self.stored_in("AGENT_EVENTS", &format!("agent.events.{id}.>")).await
    }

    /// All messages that a stream holds now, in order; made for many.
    pub async fn stored_at_once(&self, stream: &str) -> Result<Vec<Stored>> {
        let stream = self.jetstream().get_stream(stream).await?;
        let count = usize::try_from(stream.cached_info().state.messages)?;
        let consumer = stream.create_consumer(OrderedConfig::default()).await?;
        let mut messages = consumer.messages().await?.take(count);
        let mut found = Vec::with_capacity(count);
        while let Some(message) = messages.next().await {
            let message = message?;
            let info = message.info().map_err(|error| anyhow!(error))?;
            let (sequence, time_ms) = (info.stream_sequence, info.published.unix_timestamp_nanos() / 1_000_000);
            let Message { subject, headers, payload, .. } = message.message;
            let (headers, data) = (headers.unwrap_or_default(), serde_json::from_slice(&payload).unwrap_or_default());
            found.push(Stored { subject: subject.to_string(), sequence, headers, data, time_ms });
        }
        ensure!(found.len() == count, "{} of {count} messages", found.len());
        Ok(found)
    }

    /// All messages of a stream under a subject, in order.
    pub async fn stored_in(&self, stream: &str, subject: &str) -> Result<Vec<Stored>> {
        let stream = self.jetstream().get_stream(stream).await?;
        let mut found = Vec::new();
        let mut from = 1;
        loop {
            match stream.get_first_raw_message_by_subject(subject, from).await {
                Ok(message) => {
                    from = message.sequence + 1;
                    found.push(Stored::from(message));
                }
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                    return Ok(found);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The events of one aggregate are a history: versions from 1 without gap or duplicate.
pub fn ensure_history(events: &[Stored]) -> Result<()> {
    for (index, event) in events.iter().enumerate() {
        ensure!(event.version()? == index as u64 + 1, "version {} at place {}", event.version()?, index + 1);
    }
    Ok(())
}

/// How many events every command has stored, by the command's id.
pub fn by_command(events: &[Stored]) -> Result<HashMap<String, usize>> {
    let mut counts = HashMap::new();
    for event in events {
        *counts.entry(event.header("ce-causationid")?.to_owned()).or_default() += 1;
    }
    Ok(counts)
}
