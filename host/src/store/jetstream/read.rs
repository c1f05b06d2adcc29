//! Reads events: the last ones from the stream's leader, many at once by batched direct gets,
//! and one by one from the leader where those are not allowed or behind.

use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageErrorKind};
use async_nats::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::json;

use super::event_headers;
use super::events::Inner;
use crate::clock::Timestamp;
use crate::event::{RecordedCommand, StoredEvent};
use crate::name::{AggregateId, Subjects};
use crate::store::Unavailable;

/// How long the next message of several may take.
pub(super) const NEXT_MESSAGE_MAX: Duration = Duration::from_secs(5);
/// What one batched read may carry, in bytes: far below what a connection buffers.
const READ_BYTES_MAX: usize = 8 << 20;

/// The last message on a subject, from the leader.
pub(super) async fn last(store: &Inner, subject: &str) -> Result<Option<StreamMessage>, Unavailable> {
    let stream = store.context.get_stream_no_info(&store.stream.name).await.map_err(|e| Unavailable(e.to_string()))?;
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(Unavailable(format!("the stream cannot be read: {error}"))),
    }
}

/// The message at a sequence, from the leader.
pub(super) async fn at(store: &Inner, sequence: u64) -> Result<Option<StreamMessage>, Unavailable> {
    let stream = store.context.get_stream_no_info(&store.stream.name).await.map_err(|e| Unavailable(e.to_string()))?;
    found(stream.get_raw_message(sequence).await)
}

/// Events of an aggregate in order, `from` through `through`, at most `limit`.
pub(super) async fn events(
    store: &Inner,
    id: &AggregateId,
    from: u64,
    through: u64,
    limit: usize,
) -> Result<Vec<StoredEvent>, Unavailable> {
    let read = messages(store, Some(&store.subjects.events_of(id)), from, through, limit).await?;
    Ok(read.into_iter().map(Raw::into_event).collect())
}

/// Events of all aggregates in order, `from` through `through`, of at most `limit` messages. Gives
/// the sequence to go on from as well, `None` at the end.
///
/// Asks for whatever the stream has: where a subject is named, the server counts what is left of
/// it before and after every batch, message by message, and lets nobody append meanwhile.
pub(super) async fn all_events(
    store: &Inner,
    from: u64,
    through: u64,
    limit: usize,
) -> Result<(Vec<(AggregateId, StoredEvent)>, Option<u64>), Unavailable> {
    let read = messages(store, None, from, through, limit).await?;
    let next = next_after(&read, through);
    Ok((of_aggregates(store, read.into_iter()), next))
}

/// Those messages that are events, with the aggregates they belong to.
pub(super) fn of_aggregates(store: &Inner, read: impl Iterator<Item = Raw>) -> Vec<(AggregateId, StoredEvent)> {
    let events = read.filter(|raw| store.subjects.is_event(&raw.subject)).filter_map(|raw| {
        let id = Subjects::event_aggregate(&raw.subject).and_then(|id| AggregateId::new(id).ok())?;
        Some((id, raw.into_event()))
    });
    events.collect()
}

/// Commands that the stream has captured, in order, `from` through `through`, at most `limit`;
/// and the sequence to go on from.
pub(super) async fn all_commands(
    store: &Inner,
    from: u64,
    through: u64,
    limit: usize,
) -> Result<(Vec<RecordedCommand>, Option<u64>), Unavailable> {
    if !store.stream.captures_commands {
        return Ok((Vec::new(), None));
    }
    let read = messages(store, Some(&store.subjects.commands()), from, through, limit).await?;
    let next = next_after(&read, through);
    Ok((read.into_iter().map(Raw::into_command).collect(), next))
}

/// A message as the stream has it.
pub(super) struct Raw {
    pub(super) sequence: u64,
    pub(super) stored: Timestamp,
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

impl Raw {
    fn into_event(self) -> StoredEvent {
        let name = Subjects::event_name(&self.subject).unwrap_or_default().to_owned();
        let origin = event_headers::read(&self.headers);
        StoredEvent { sequence: self.sequence, stored: self.stored, name, payload: self.payload, origin }
    }

    fn into_command(self) -> RecordedCommand {
        let headers = self
            .headers
            .iter()
            .filter_map(|(name, values)| Some((name.to_string(), values.first()?.as_str().to_owned())));
        RecordedCommand { subject: self.subject, headers: headers.collect(), payload: self.payload }
    }
}

/// The server's time to the millisecond.
pub(super) fn timestamp_of(unix_nanos: i128) -> Timestamp {
    Timestamp(u64::try_from(unix_nanos / 1_000_000).unwrap_or_default())
}

/// Where to go on after what was read, if anything can follow.
fn next_after(read: &[Raw], through: u64) -> Option<u64> {
    read.last().map(|last| last.sequence + 1).filter(|next| *next <= through)
}

/// Messages in order, all or those on a subject, `from` through `through`, at most `limit`.
async fn messages(
    store: &Inner,
    subject: Option<&str>,
    from: u64,
    through: u64,
    limit: usize,
) -> Result<Vec<Raw>, Unavailable> {
    let mut events = Vec::new();
    let next_after = |events: &[Raw]| events.last().map_or(from, |last| last.sequence + 1);
    // A batch ends early where it grows large; as long as it brings something, more may come.
    while store.stream.direct && events.len() < limit {
        let next = next_after(&events);
        let before = events.len();
        if next <= through {
            batched(store, subject, next, through, limit - before, &mut events).await?;
        }
        if events.len() == before {
            break;
        }
    }
    // A replica may be behind the leader that named `through`; the leader itself never is.
    while events.len() < limit {
        let next = next_after(&events);
        if next > through {
            break;
        }
        match next_from_leader(store, subject, next).await? {
            Some(message) if message.sequence <= through => {
                let StreamMessage { sequence, subject, headers, payload, time } = message;
                let stored = timestamp_of(time.unix_timestamp_nanos());
                events.push(Raw { sequence, stored, subject: subject.to_string(), headers, payload });
            }
            _ => break,
        }
    }
    Ok(events)
}

async fn next_from_leader(
    store: &Inner,
    subject: Option<&str>,
    from: u64,
) -> Result<Option<StreamMessage>, Unavailable> {
    let subject = subject.unwrap_or(">");
    let stream = store.context.get_stream_no_info(&store.stream.name).await.map_err(|e| Unavailable(e.to_string()))?;
    found(stream.raw_message_builder().sequence(from).next_by_subject(subject).send().await)
}

fn found(
    read: Result<StreamMessage, async_nats::jetstream::stream::RawMessageError>,
) -> Result<Option<StreamMessage>, Unavailable> {
    match read {
        Ok(message) => Ok(Some(message)),
        Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => Ok(None),
        Err(error) => Err(Unavailable(format!("the stream cannot be read: {error}"))),
    }
}

/// One batched direct get (ADR-31): one request, an answer per message, an end mark.
async fn batched(
    store: &Inner,
    subject: Option<&str>,
    from: u64,
    through: u64,
    limit: usize,
    events: &mut Vec<Raw>,
) -> Result<(), Unavailable> {
    let lost = |error: String| Unavailable(format!("the stream cannot be read: {error}"));
    let inbox = store.client.new_inbox();
    let mut answers = store.client.subscribe(inbox.clone()).await.map_err(|e| lost(e.to_string()))?;
    let mut asked = json!({"seq": from.max(1), "batch": limit, "max_bytes": READ_BYTES_MAX});
    if let Some(subject) = subject {
        asked["next_by_subj"] = subject.into();
    }
    let request = Request::new().inbox(inbox).payload(asked.to_string().into());
    let path = format!("DIRECT.GET.{}", store.stream.name);
    store.context.send_request(path, request).await.map_err(|e| lost(e.to_string()))?;
    loop {
        let answer = tokio::time::timeout(NEXT_MESSAGE_MAX, answers.next()).await;
        let Ok(Some(message)) = answer else { return Err(lost("no answer in time".into())) };
        match message.status {
            None | Some(StatusCode::OK) => {}
            // The end mark is 204; 404 says that there is nothing from there on.
            Some(status) if matches!(status.as_u16(), 204 | 404) => return Ok(()),
            Some(status) => {
                return Err(lost(format!(
                    "{status} {}",
                    message.description.map_or_else(String::new, |d| d.to_string())
                )));
            }
        }
        let Some(headers) = message.headers else { return Ok(()) };
        let text = |name: &str| headers.get(name).map(async_nats::HeaderValue::as_str);
        let (Some(sequence), Some(subject)) =
            (text("Nats-Sequence").and_then(|s| s.parse().ok()), text("Nats-Subject"))
        else {
            return Err(lost("an answer without its sequence".into()));
        };
        if sequence > through {
            return Ok(());
        }
        let stored = text("Nats-Time-Stamp").and_then(Timestamp::from_rfc3339);
        let Some(stored) = stored else { return Err(lost("an answer without its time".into())) };
        let subject = subject.to_owned();
        events.push(Raw { sequence, stored, subject, headers, payload: message.payload });
        if sequence == through {
            return Ok(());
        }
    }
}
