//! Reads events: the last ones from the stream's leader, many at once by batched direct gets,
//! and one by one from the leader where those are not allowed or behind.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageErrorKind};
use async_nats::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use serde_json::json;

use super::answers::Coming;
use super::event_headers;
use super::events::Inner;
use crate::clock::Timestamp;
use crate::event::{RecordedCommand, StoredEvent};
use crate::name::{AggregateId, Subjects, header};
use crate::store::Unavailable;

/// How long the next message of several may take.
pub(super) const NEXT_MESSAGE_MAX: Duration = Duration::from_secs(5);
/// What one batched read may carry, in bytes: far below what a connection buffers.
const READ_BYTES_MAX: usize = 8 << 20;
/// By what an event says which one of its aggregate was the last before it.
const EXPECTED_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";
const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
/// Events that are read one by one rather than together. Together takes two turns at most, and has the
/// server count what is left of the aggregate while nobody can append.
const FEW_MAX: usize = 8;

/// The last message on a subject, from the leader.
pub(super) async fn last(store: &Inner, subject: &str) -> Result<Option<StreamMessage>, Unavailable> {
    let stream = store.context.get_stream_no_info(&store.stream.name).await.map_err(|e| Unavailable(e.to_string()))?;
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(Unavailable(format!("the stream cannot be read: {error}"))),
    }
}

/// The last message on a subject, of whichever replica answers.
pub(super) async fn last_of_any(store: &Inner, subject: &str) -> Result<Option<Raw>, Unavailable> {
    one(store, &json!({ "last_by_subj": subject })).await
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
    let read = match few(store, id, from, through, limit).await? {
        Some(read) => read,
        None => messages(store, Some(&store.subjects.events_of(id)), from, through, limit).await?,
    };
    Ok(read.into_iter().map(Raw::into_event).collect())
}

/// The same where they are few: each event says which one of its aggregate is before it, and one whose
/// sequence is known costs the server nearly nothing. `None` where they are not found like that.
async fn few(
    store: &Inner,
    id: &AggregateId,
    from: u64,
    through: u64,
    limit: usize,
) -> Result<Option<Vec<Raw>>, Unavailable> {
    if !store.stream.direct || limit > FEW_MAX {
        return Ok(None);
    }
    let (mut found, mut next, mut version) = (VecDeque::new(), through, None);
    while next >= from {
        if found.len() == limit {
            return Ok(None);
        }
        let Some(raw) = one(store, &json!({"seq": next})).await? else { return Ok(None) };
        let bears = raw.headers.get(header::CE_SEQUENCE).and_then(|text| text.as_str().parse::<u64>().ok());
        let Some(bears) = bears else { return Ok(None) };
        let is_own = Subjects::event_aggregate(&raw.subject) == Some(id.as_str());
        // In a stream that was filled anew the sequences that events name are others.
        if !is_own || version.is_some_and(|after| bears + 1 != after) {
            return Ok(None);
        }
        version = Some(bears);
        // Of several events of one command only the first says it: the others follow it without gap.
        next = raw.follows().unwrap_or(next - 1);
        found.push_front(raw);
    }
    Ok(Some(found.into()))
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

impl From<StreamMessage> for Raw {
    fn from(message: StreamMessage) -> Self {
        let StreamMessage { sequence, subject, headers, payload, time } = message;
        let stored = timestamp_of(time.unix_timestamp_nanos());
        Self { sequence, stored, subject: subject.to_string(), headers, payload }
    }
}

impl Raw {
    pub(super) fn into_event(self) -> StoredEvent {
        let name = Subjects::event_name(&self.subject).unwrap_or_default().to_owned();
        let origin = event_headers::read(&self.headers);
        let after = self.follows();
        StoredEvent { sequence: self.sequence, stored: self.stored, name, payload: self.payload, after, origin }
    }

    /// The last sequence of its aggregate that it was appended after, where it was judged by all of them.
    fn follows(&self) -> Option<u64> {
        let text = |name: &str| self.headers.get(name).map(async_nats::HeaderValue::as_str);
        let all = self.subject.rsplit_once('.').map(|(aggregate, _)| aggregate);
        text(EXPECTED_SUBJECT).filter(|judged_by| judged_by.strip_suffix(".*") == all)?;
        text(EXPECTED_SEQUENCE)?.parse().ok()
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
            Some(message) if message.sequence <= through => events.push(message.into()),
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
    let mut asked = json!({"seq": from.max(1), "batch": limit, "max_bytes": READ_BYTES_MAX});
    if let Some(subject) = subject {
        asked["next_by_subj"] = subject.into();
    }
    // The end mark comes as well.
    let mut answers = ask(store, &asked, limit + 1).await?;
    while let Some(raw) = answer(&mut answers).await? {
        if raw.sequence > through {
            return Ok(());
        }
        let is_last = raw.sequence == through;
        events.push(raw);
        if is_last {
            return Ok(());
        }
    }
    Ok(())
}

/// One message by a direct get, of whichever replica answers.
async fn one(store: &Inner, asked: &serde_json::Value) -> Result<Option<Raw>, Unavailable> {
    answer(&mut ask(store, asked, 1).await?).await
}

async fn ask(store: &Inner, asked: &serde_json::Value, answers_max: usize) -> Result<Coming, Unavailable> {
    let coming = store.answers().await.map_err(|error| lost(&error))?.expect(answers_max);
    let request = Request::new().inbox(coming.reply.clone()).payload(asked.to_string().into());
    let path = format!("DIRECT.GET.{}", store.stream.name);
    store.context.send_request(path, request).await.map_err(|error| lost(&error))?;
    Ok(coming)
}

/// The next message of a direct get; `None` at the end mark, or where there is nothing.
async fn answer(answers: &mut Coming) -> Result<Option<Raw>, Unavailable> {
    let answer = tokio::time::timeout(NEXT_MESSAGE_MAX, answers.next()).await;
    let Ok(Some(message)) = answer else { return Err(lost(&"no answer in time")) };
    match message.status {
        None | Some(StatusCode::OK) => {}
        // The end mark is 204; 404 says that there is nothing from there on.
        Some(status) if matches!(status.as_u16(), 204 | 404) => return Ok(None),
        Some(StatusCode::NO_RESPONDERS) => {
            return Err(lost(&"nobody who keeps it answers: was it deleted, or has it no leader?"));
        }
        Some(status) => return Err(lost(&message.description.map_or(status.to_string(), |d| format!("{status} {d}")))),
    }
    let Some(headers) = message.headers else { return Ok(None) };
    // The server's own come after those that the message was stored with.
    let text = |name: &str| headers.get_last(name).map(async_nats::HeaderValue::as_str);
    let (Some(sequence), Some(subject)) = (text("Nats-Sequence").and_then(|s| s.parse().ok()), text("Nats-Subject"))
    else {
        return Err(lost(&"an answer without its sequence"));
    };
    let stored = text("Nats-Time-Stamp").and_then(Timestamp::from_rfc3339);
    let Some(stored) = stored else { return Err(lost(&"an answer without its time")) };
    let subject = subject.to_owned();
    Ok(Some(Raw { sequence, stored, subject, headers, payload: message.payload }))
}

fn lost(error: &dyn std::fmt::Display) -> Unavailable {
    Unavailable(format!("the stream cannot be read: {error}"))
}
