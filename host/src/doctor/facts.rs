//! What is known before anything is judged: settings, and what NATS, JetStream and hosts told when
//! they were asked. Knows nothing of what is good or bad.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::Scope;
use super::heard::Heard;
use super::shelf::Shelf;
use crate::config::{Connection, Service};
use crate::name::Name;
use crate::nats::{Client, JetStream};
use crate::store::jetstream::look::LookError;

/// Everything that checks look at.
pub(super) struct Site<'a> {
    pub(super) connection: &'a Connection,
    pub(super) service: &'a Service,
    pub(super) scope: &'a Scope,
    pub(super) shelf: Shelf,
    /// NATS, or why it is not reached.
    pub(super) nats: Result<Reached, String>,
}

impl Site<'_> {
    /// What came over NATS, or why nothing did.
    pub(super) fn reached(&self) -> Result<&Reached, &'static str> {
        self.nats.as_ref().map_err(|_| "NATS is not reached")
    }

    /// The same with what JetStream tells.
    pub(super) fn kept(&self) -> Result<(&Reached, &Kept), &'static str> {
        let reached = self.reached()?;
        let kept = reached.jetstream.as_ref().map_err(|_| "JetStream does not tell of itself")?;
        Ok((reached, kept))
    }
}

/// A connection, and what came over it.
pub(super) struct Reached {
    pub(super) client: Client,
    pub(super) context: JetStream,
    /// What the server says against us; none over a connection that others use too.
    pub(super) heard: Option<Heard>,
    pub(super) round_trip: Duration,
    /// JetStream, or why it does not tell of itself.
    pub(super) jetstream: Result<Kept, LookError>,
    pub(super) hosts: Vec<Value>,
    pub(super) stats: Vec<Value>,
}

/// What JetStream tells.
pub(super) struct Kept {
    pub(super) account: Value,
    pub(super) domains: Vec<Stood>,
    /// The streams beneath the fleet's buckets, where plugins come from there.
    pub(super) fleet: Vec<(String, Stream)>,
}

/// The streams of one domain.
pub(super) struct Stood {
    pub(super) domain: Name,
    pub(super) events: Standing,
    pub(super) snapshots: Standing,
    pub(super) inbox: Standing,
    pub(super) dead: Standing,
    /// By subject, the streams that capture it; `None` where that cannot be asked.
    pub(super) captured: BTreeMap<String, Option<Vec<String>>>,
}

/// A stream by its name.
pub(super) struct Standing {
    pub(super) name: String,
    pub(super) stream: Stream,
}

/// What is known of a stream.
pub(super) enum Stream {
    /// What JetStream tells of it.
    Stands(Value),
    /// There is none.
    Missing,
    /// It cannot be asked for.
    Unknown(String),
}

impl Standing {
    /// What JetStream tells of it, where it stands.
    pub(super) fn info(&self) -> Option<&Value> {
        self.stream.info()
    }
}

impl Stream {
    pub(super) fn info(&self) -> Option<&Value> {
        match self {
            Self::Stands(info) => Some(info),
            Self::Missing | Self::Unknown(_) => None,
        }
    }
}

impl Stood {
    /// All of them.
    pub(super) fn all(&self) -> [&Standing; 4] {
        [&self.events, &self.snapshots, &self.inbox, &self.dead]
    }
}

impl Kept {
    /// All streams of all domains, and the fleet's, with what JetStream tells of them.
    pub(super) fn standing(&self) -> impl Iterator<Item = (&str, &Value)> {
        let own = self.domains.iter().flat_map(|stood| stood.all()).map(|one| (one.name.as_str(), &one.stream));
        let fleet = self.fleet.iter().map(|(name, stream)| (name.as_str(), stream));
        own.chain(fleet).filter_map(|(name, stream)| Some((name, stream.info()?)))
    }
}

/// A number in what was told, 0 where it is not there.
pub(super) fn number(told: &Value, pointer: &str) -> u64 {
    told.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

/// A text in what was told, empty where it is not there.
pub(super) fn text<'a>(told: &'a Value, pointer: &str) -> &'a str {
    told.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A limit in what was told; `None` where there is none.
pub(super) fn limit(told: &Value, pointer: &str) -> Option<u64> {
    let limit = told.pointer(pointer).and_then(Value::as_i64)?;
    u64::try_from(limit).ok().filter(|limit| *limit > 0)
}

/// Bytes as people read them.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| count >= *unit) {
        // Whole tenths are as exact as anybody wants it.
        Some((unit, name)) => format!("{}.{} {name}", count / unit, count % unit * 10 / unit),
        None => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bytes_are_told_in_the_largest_unit_that_they_fill() {
        assert_eq!(bytes(1_023), "1023 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(64 << 20), "64.0 MiB");
        assert_eq!(bytes((3 << 30) - 1), "2.9 GiB");
    }

    #[test]
    fn no_limit_is_told_as_minus_one_or_zero() {
        for told in [json!({"limits": {"max_storage": -1}}), json!({"limits": {"max_storage": 0}}), json!({})] {
            assert_eq!(limit(&told, "/limits/max_storage"), None, "{told}");
        }
        assert_eq!(limit(&json!({"limits": {"max_storage": 7}}), "/limits/max_storage"), Some(7));
    }
}
