//! What the durable lane has given up on: parked commands in their stream, in order, with why and
//! everything needed to try them again. Knows nothing of when that is.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageErrorKind, Stream};
use bytes::Bytes;
use futures::TryStreamExt;

use crate::clock::Timestamp;
use crate::name::{AggregateId, Name, Subjects, dead_stream_of, header};
use crate::nats::JetStream;

/// How long one call may take.
const CALL_MAX: Duration = Duration::from_secs(5);
/// Longest reason in characters: the message must still fit where its original did.
const REASON_CHARS_MAX: usize = 500;
/// What headers begin with that tell JetStream what to do with a message: they were for the inbox.
const NATS_PREFIX: &str = "Nats-";

/// The parked commands of one domain.
#[derive(Clone)]
pub struct Dead {
    context: JetStream,
    subjects: Subjects,
    name: String,
}

/// One parked command.
#[derive(Debug, Clone)]
pub struct Parked {
    /// Its sequence in the stream of parked commands.
    pub sequence: u64,
    /// The aggregate.
    pub id: AggregateId,
    /// The verb.
    pub verb: Name,
    /// The command's id.
    pub command_id: String,
    /// The code of the last failure; `None` where it waits behind another one.
    pub code: Option<String>,
    /// Why it is here, in words.
    pub reason: String,
    /// How often it was tried.
    pub tries: u64,
    /// Its sequence in the inbox.
    pub inbox_sequence: u64,
    /// When it was parked.
    pub time: Timestamp,
    /// All its headers.
    pub headers: HeaderMap,
    /// Its payload.
    pub payload: Bytes,
}

/// Why a command is parked.
#[derive(Debug, Clone)]
pub(super) struct Why {
    /// The code of the last failure; `None` where it waits behind another one.
    pub(super) code: Option<&'static str>,
    pub(super) reason: String,
    pub(super) tries: u32,
}

/// What is parked, as it was delivered.
pub(super) struct Original<'a> {
    pub(super) id: &'a AggregateId,
    pub(super) verb: &'a Name,
    pub(super) command_id: &'a str,
    pub(super) subject: &'a str,
    pub(super) headers: Option<&'a HeaderMap>,
    pub(super) payload: Bytes,
    /// The inbox and the sequence in it.
    pub(super) inbox: &'a str,
    pub(super) sequence: u64,
}

impl Dead {
    /// The parked commands of a domain.
    pub fn new(context: &JetStream, domain: &Name) -> Self {
        Self { context: context.clone(), subjects: Subjects::new(domain), name: dead_stream_of(domain) }
    }

    /// Whether the stream stands.
    ///
    /// # Errors
    /// [`DeadError`] where JetStream does not tell.
    pub async fn stands(&self) -> Result<bool, DeadError> {
        let asked = async {
            match self.context.get_stream(&self.name).await {
                Ok(_) => Ok(true),
                Err(error) => match error.kind() {
                    GetStreamErrorKind::JetStream(why) if why.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(false),
                    _ => Err(self.error(&error)),
                },
            }
        };
        self.in_time(asked).await
    }

    /// The aggregates of which something is parked.
    pub(super) async fn ids(&self) -> Result<HashSet<AggregateId>, DeadError> {
        let asked = async {
            let stream = self.stream().await?;
            let subjects = stream.info_with_subjects(self.subjects.dead()).await.map_err(|error| self.error(&error))?;
            let subjects: Vec<(String, usize)> = subjects.try_collect().await.map_err(|error| self.error(&error))?;
            let ids = subjects.iter().filter_map(|(subject, _)| self.subjects.parse_dead(subject));
            Ok(ids.filter_map(|(id, _)| AggregateId::new(id).ok()).collect())
        };
        self.in_time(asked).await
    }

    /// What was parked last of an aggregate, as the stream's leader has it.
    pub(super) async fn last_of(&self, id: &AggregateId) -> Result<Option<Parked>, DeadError> {
        let asked = async {
            let stream = self.stream().await?;
            match stream.get_last_raw_message_by_subject(&self.subjects.dead_of(id)).await {
                Ok(message) => Ok(self.read(message)),
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(self.error(&error)),
            }
        };
        self.in_time(asked).await
    }

    /// The first parked command of an aggregate, or of all, from a sequence on.
    ///
    /// # Errors
    /// [`DeadError`] where the stream cannot be read.
    pub async fn next(&self, id: Option<&AggregateId>, from: u64) -> Result<Option<Parked>, DeadError> {
        let subject = id.map_or_else(|| self.subjects.dead(), |id| self.subjects.dead_of(id));
        let asked = async {
            let stream = self.stream().await?;
            let mut from = from;
            loop {
                match stream.get_first_raw_message_by_subject(&subject, from).await {
                    Ok(message) => {
                        from = message.sequence + 1;
                        // What nobody of us has put there is nobody's command.
                        if let Some(parked) = self.read(message) {
                            return Ok(Some(parked));
                        }
                    }
                    Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
                    Err(error) => return Err(self.error(&error)),
                }
            }
        };
        self.in_time(asked).await
    }

    /// The parked command at a sequence.
    ///
    /// # Errors
    /// [`DeadError`] where the stream cannot be read.
    pub async fn at(&self, sequence: u64) -> Result<Option<Parked>, DeadError> {
        Ok(self.next(None, sequence).await?.filter(|parked| parked.sequence == sequence))
    }

    /// Parks a command behind all that are parked of its aggregate.
    pub(super) async fn park(&self, original: &Original<'_>, why: &Why) -> Result<(), DeadError> {
        let subject = self.subjects.dead_command(original.id, original.verb);
        let headers = headers(original, why);
        let asked = async {
            let sent = self.context.publish_with_headers(subject, headers, original.payload.clone()).await;
            let stored = sent.map_err(|error| self.error(&error))?.await.map_err(|error| self.error(&error))?;
            if stored.stream == self.name { Ok(()) } else { Err(self.error(&format!("{} took it", stored.stream))) }
        };
        self.in_time(asked).await
    }

    /// Removes a parked command; whether it was still there.
    ///
    /// # Errors
    /// [`DeadError`] where the stream cannot be changed.
    pub async fn remove(&self, sequence: u64) -> Result<bool, DeadError> {
        let asked = async {
            let stream = self.stream().await?;
            match stream.delete_message(sequence).await {
                Ok(removed) => Ok(removed),
                // The server tells of a message that is not there only in words.
                Err(error) if self.next(None, sequence).await?.is_none_or(|found| found.sequence != sequence) => {
                    tracing::debug!(%error, sequence, "a parked command was gone already");
                    Ok(false)
                }
                Err(error) => Err(self.error(&error)),
            }
        };
        Box::pin(self.in_time(asked)).await
    }

    async fn stream(&self) -> Result<Stream<()>, DeadError> {
        self.context.get_stream_no_info(&self.name).await.map_err(|error| self.error(&error))
    }

    fn read(&self, message: StreamMessage) -> Option<Parked> {
        let StreamMessage { subject, sequence, headers, payload, time } = message;
        let (id, verb) = self.subjects.parse_dead(&subject)?;
        let text = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
        let number = |name: &str| text(name)?.parse().ok();
        Some(Parked {
            sequence,
            id: AggregateId::new(id).ok()?,
            verb: Name::new(verb).ok()?,
            command_id: text(header::DEAD_COMMAND_ID)?,
            code: text(header::DEAD_CODE),
            reason: text(header::DEAD_REASON).unwrap_or_default(),
            tries: number(header::DEAD_TRIES).unwrap_or_default(),
            inbox_sequence: number(header::DEAD_SEQUENCE)?,
            time: Timestamp(u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()),
            headers,
            payload,
        })
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, DeadError>>) -> Result<T, DeadError> {
        tokio::time::timeout(CALL_MAX, asked).await.unwrap_or_else(|_| Err(self.error(&"no answer in time")))
    }

    fn error(&self, why: &dyn std::fmt::Display) -> DeadError {
        DeadError { stream: self.name.clone(), why: why.to_string() }
    }
}

/// The headers of a command that is parked: its own, but for those that JetStream would obey, and
/// why it is parked.
fn headers(original: &Original<'_>, why: &Why) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, values) in original.headers.into_iter().flat_map(HeaderMap::iter) {
        let own: &str = name.as_ref();
        let begins_with =
            |prefix: &str| own.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
        if !begins_with(NATS_PREFIX) && !begins_with(header::DEAD_PREFIX) {
            for value in values {
                headers.append(name.clone(), value.clone());
            }
        }
    }
    // Parked twice, after a crash in between, it is stored once.
    headers.insert(header::MESSAGE_ID, format!("{}:{}", original.inbox, original.sequence));
    if let Some(code) = why.code {
        headers.insert(header::DEAD_CODE, code);
    }
    headers.insert(header::DEAD_REASON, one_line(&why.reason).as_str());
    headers.insert(header::DEAD_TRIES, why.tries.to_string());
    headers.insert(header::DEAD_COMMAND_ID, original.command_id);
    headers.insert(header::DEAD_SEQUENCE, original.sequence.to_string());
    headers.insert(header::DEAD_SUBJECT, original.subject);
    headers
}

/// A text cut and cleaned for a header.
fn one_line(text: &str) -> String {
    text.chars().take(REASON_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The stream of parked commands cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("stream {stream} of parked commands cannot be used ({why}): does it stand, and may this user use it?")]
pub struct DeadError {
    stream: String,
    why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parked_command_keeps_its_headers_but_those_that_jetstream_obeys() {
        let mut sent = HeaderMap::new();
        for (name, value) in [
            ("Nats-Msg-Id", "c1"),
            ("nats-rollup", "all"),
            ("Nats-Pin-Id", "p"),
            ("Agent-Actor", "alice"),
            ("agent-dead-tries", "99"),
            ("X-Own", "kept"),
        ] {
            sent.insert(name, value);
        }
        let (id, verb) = (AggregateId::new("a1").expect("an id"), Name::new("deploy").expect("a name"));
        let original = Original {
            id: &id,
            verb: &verb,
            command_id: "c1",
            subject: "agent.inbox.deploy",
            headers: Some(&sent),
            payload: Bytes::new(),
            inbox: "AGENT_INBOX",
            sequence: 7,
        };
        let why = Why { code: Some("plugin_failed"), reason: "it\r\ntrapped".into(), tries: 5 };
        let parked = headers(&original, &why);
        let mut shown: Vec<String> = parked.iter().map(|(name, values)| format!("{name}={:?}", values)).collect();
        shown.sort_unstable();
        assert_eq!(shown.len(), 9, "{shown:?}");
        let text = |name: &str| parked.get(name).map(|value| value.as_str());
        assert_eq!(text("Agent-Actor"), Some("alice"));
        assert_eq!(text("X-Own"), Some("kept"));
        assert_eq!(text(header::MESSAGE_ID), Some("AGENT_INBOX:7"));
        assert_eq!(text(header::DEAD_TRIES), Some("5"));
        assert_eq!(text(header::DEAD_REASON), Some("it\u{fffd}\u{fffd}trapped"));
        assert_eq!(text(header::DEAD_COMMAND_ID), Some("c1"));
    }
}
