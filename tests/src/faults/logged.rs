//! The log as the checker sees it: events with their place and cause. It must not trust a reply.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::eventually::{PATIENCE, eventually, eventually_within};
use crate::nats::Nats;
use crate::sites::{self, SOURCING_MAX};
use crate::stored::Stored;

/// The domains of these runs.
pub const DOMAINS: [&str; 2] = ["agent", "counter"];

/// One event that stands in a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// Its domain.
    pub domain: &'static str,
    /// Its aggregate.
    pub aggregate: String,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub sequence: u64,
    /// The version that its writer gave it; 0 where there is none to be read.
    pub version: u64,
    /// The id of the command that caused it.
    pub command_id: String,
    /// Where its writer says that it was stored at first.
    pub source: String,
    /// When its writer says it happened: RFC 3339 in UTC with milliseconds, so that text compares as time.
    pub time: String,
    /// Its payload.
    pub data: Value,
}

/// Every event of all domains, in order.
pub async fn all(nats: &Nats) -> Result<Vec<Logged>> {
    read(nats, stream).await
}

/// The copies that a hub has gathered, in the order it has them in, once they are as many as these events, or
/// its time to get them is over.
pub async fn gathered(hub: &Nats, events: &[Logged]) -> Result<Vec<Logged>> {
    for domain in DOMAINS {
        let count = events.iter().filter(|event| event.domain == domain).count() as u64;
        // Too few are found by whoever compares them.
        let _ = eventually_within(SOURCING_MAX, "the hub has all events", async || {
            ensure!(hub.stream_messages(&sites::gathered(domain)).await? >= count, "not yet");
            Ok(())
        })
        .await;
    }
    read(hub, sites::gathered).await
}

/// The stream of a domain's events.
pub fn stream(domain: &str) -> String {
    format!("{}_EVENTS", domain.to_uppercase())
}

async fn read(nats: &Nats, stream_of: impl Fn(&str) -> String) -> Result<Vec<Logged>> {
    let mut events = Vec::new();
    for domain in DOMAINS {
        let stream = stream_of(domain);
        // A server that has just come back may take its time for a consumer.
        let stored = eventually("the log is read", async || {
            tokio::time::timeout(PATIENCE, nats.stored_at_once(&stream)).await.context("no end of it")?
        })
        .await
        .with_context(|| format!("the stream {stream}"))?;
        events.extend(stored.into_iter().map(|event| Logged::of(domain, event)));
    }
    Ok(events)
}

impl Logged {
    fn of(domain: &'static str, event: Stored) -> Self {
        let header = |name: &str| event.header(name).unwrap_or_default().to_owned();
        let mut tokens = event.subject.split('.').skip(2).map(str::to_owned);
        Self {
            domain,
            aggregate: tokens.next().unwrap_or_default(),
            name: tokens.next().unwrap_or_default(),
            sequence: event.sequence,
            version: event.version().unwrap_or_default(),
            command_id: header("ce-causationid"),
            source: header("ce-source"),
            time: header("ce-time"),
            data: event.data,
        }
    }
}
