//! `homes`: whether several streams would store one event, as where a leaf and its hub both capture.
//! A message that demands a stream which does not exist is stored by none, and refused by each that
//! captures it. Whoever listens to events sees it, so that it is sent only when asked for.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::facts::{Kept, Reached, Site, text};
use super::finding::Seen;
use crate::name::{AggregateId, Name, Subjects};
use crate::nats::{self, Client};

/// How long refusals are waited for; a hub may be far.
const ROUND_MAX: Duration = Duration::from_secs(2);
/// A stream that nobody has.
const NOBODYS_STREAM: &str = "agent-service-doctor-stores-nothing";

pub(super) fn homes<'a>(site: &'a Site<'a>, reached: &'a Reached, kept: &'a Kept) -> BoxFuture<'a, Vec<Seen>> {
    async move {
        if !site.scope.probe {
            let why = "asking takes a message that whoever listens to events sees, though no stream stores it: --probe sends it";
            return vec![Seen::skipped(why)];
        }
        let mut seen = Vec::new();
        for stood in &kept.domains {
            let found = probe(&reached.client, &stood.domain).await;
            seen.push(judge(found, &stood.events.name).about(stood.domain.as_str()));
        }
        seen
    }
    .boxed()
}

fn judge(found: Result<Vec<String>, String>, own: &str) -> Seen {
    match found {
        Err(why) => Seen::skipped(why),
        Ok(streams) if streams.is_empty() => Seen::skipped("no stream captures events yet"),
        Ok(streams) if streams.len() == 1 => Seen::ok(format!("events are captured once, by {}", streams.join(", "))),
        Ok(streams) => Seen::failure(
            format!("events are captured {} times, by {}: their histories split", streams.len(), streams.join(", ")),
            format!(
                "leave {own} alone, and deny the domain's events on the leaf link in both directions, see docs/operate.md"
            ),
        ),
    }
}

/// The streams that refuse it, one entry for each refusal.
async fn probe(client: &Client, domain: &Name) -> Result<Vec<String>, String> {
    let words = |error: &dyn std::fmt::Display| format!("it cannot be sent: {error}");
    let id = AggregateId::new("agent-service-doctor").map_err(|error| words(&error))?;
    let event = Name::new("probe").map_err(|error| words(&error))?;
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| words(&error))?;
    let headers = nats::headers(&[("Nats-Expected-Stream", NOBODYS_STREAM)]);
    let subject = Subjects::new(domain).event(&id, &event);
    let sent = client.publish_with_reply_and_headers(subject, inbox, headers, Bytes::new()).await;
    sent.map_err(|error| words(&error))?;
    let end = Instant::now() + ROUND_MAX;
    let mut streams = Vec::new();
    while let Ok(Some(message)) = timeout_at(end, answers.next()).await {
        if message.status.is_some() {
            break;
        }
        if let Ok(refusal) = serde_json::from_slice::<Value>(&message.payload) {
            streams.push(text(&refusal, "/stream").to_owned());
        }
    }
    Ok(streams)
}
