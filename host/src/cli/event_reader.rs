//! Reads a domain's events from its stream in order. Knows JetStream, not what events mean.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{Context, ErrorCode, Message};
use bytes::Bytes;
use futures::StreamExt;

use super::CliError;
use crate::nats::unless_refused;

/// How long the next message may take that the server says is there.
const NEXT_MESSAGE_MAX: Duration = Duration::from_secs(5);
/// How long one request for events stands. A consumer that was lost with its server is missed
/// after about as long.
const PULL_MAX: Duration = Duration::from_secs(5);
/// How long to wait before a stream that was lost is opened again.
const REOPEN_DELAY: Duration = Duration::from_secs(1);

/// What to read.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    /// The stream's name.
    pub(super) stream: String,
    /// The events' subjects.
    pub(super) subjects: String,
    /// Leave the payloads away.
    pub(super) headers_only: bool,
}

/// An event as the stream has it.
pub(super) struct StreamEvent {
    pub(super) sequence: u64,
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
    /// When JetStream stored it, RFC 3339.
    pub(super) stored: String,
}

/// Events in the order of the stream.
pub(super) struct EventReader {
    context: Context,
    selection: Selection,
    messages: Ordered,
    /// The last sequence that was handed out.
    at: u64,
    /// The stream's last sequence when reading began.
    last: u64,
    /// Whether everything that was there when reading began has been handed out.
    done: bool,
}

impl EventReader {
    /// Opens the stream before its first event.
    pub(super) async fn open(context: &Context, selection: Selection) -> Result<Self, CliError> {
        let opened = unless_refused(&selection.stream, open(context, &selection, 0)).await;
        let (messages, last, pending) = opened.map_err(CliError::failed)??;
        Ok(Self { context: context.clone(), selection, messages, at: 0, last, done: pending == 0 })
    }

    /// The next event that was there when reading began; `None` after the last.
    pub(super) async fn next_known(&mut self) -> Result<Option<StreamEvent>, CliError> {
        if self.done {
            return Ok(None);
        }
        let lost =
            |why: &str| CliError::Unavailable(format!("stream {} cannot be read on: {why}", self.selection.stream));
        match tokio::time::timeout(NEXT_MESSAGE_MAX, self.messages.next()).await {
            Ok(Some(Ok(message))) => self.took(message).map(Some),
            Ok(Some(Err(error))) => Err(lost(&error.to_string())),
            Ok(None) => Err(lost("it ended")),
            Err(_) => Err(lost("the next event does not arrive")),
        }
    }

    /// The next event, whenever it happens. A stream that is away is waited for.
    pub(super) async fn next(&mut self) -> Result<StreamEvent, CliError> {
        loop {
            match self.messages.next().await {
                Some(Ok(message)) => return self.took(message),
                Some(Err(error)) => tracing::warn!(%error, "the stream is lost, it is opened again"),
                None => tracing::warn!("the stream is lost, it is opened again"),
            }
            tokio::time::sleep(REOPEN_DELAY).await;
            match open(&self.context, &self.selection, self.at).await {
                Ok((messages, ..)) => self.messages = messages,
                Err(error) => tracing::warn!(%error, "the stream cannot be opened yet"),
            }
        }
    }

    fn took(&mut self, message: Message) -> Result<StreamEvent, CliError> {
        let info =
            message.info().map_err(|error| CliError::Failed(format!("JetStream delivers no position: {error}")))?;
        let (sequence, pending) = (info.stream_sequence, info.pending);
        let millis = u64::try_from(info.published.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        self.at = sequence;
        self.done = pending == 0 || sequence >= self.last;
        Ok(StreamEvent {
            sequence,
            subject: message.subject.to_string(),
            headers: message.headers.clone().unwrap_or_default(),
            payload: message.payload.clone(),
            stored: crate::clock::Timestamp(millis).to_rfc3339(),
        })
    }
}

/// A consumer after a sequence, with the stream's last sequence and how many events wait.
async fn open(context: &Context, selection: &Selection, after: u64) -> Result<(Ordered, u64, u64), CliError> {
    let name = &selection.stream;
    let unavailable = |error: &dyn std::fmt::Display| CliError::Unavailable(format!("stream {name}: {error}"));
    let stream = context.get_stream(name).await.map_err(|error| match error.kind() {
        GetStreamErrorKind::JetStream(refusal) if refusal.error_code() == ErrorCode::STREAM_NOT_FOUND => {
            unavailable(&"there is no such stream: the service makes it at its first start, STREAM_NAME names another")
        }
        _ => unavailable(&error),
    })?;
    let config = OrderedConfig {
        filter_subject: selection.subjects.clone(),
        headers_only: selection.headers_only,
        max_expires: PULL_MAX,
        deliver_policy: match after {
            0 => DeliverPolicy::All,
            after => DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
        },
        ..OrderedConfig::default()
    };
    let last = stream.cached_info().state.last_sequence;
    let consumer = stream.create_consumer(config).await.map_err(|error| unavailable(&error))?;
    let pending = consumer.cached_info().num_pending;
    let messages = consumer.messages().await.map_err(|error| unavailable(&error))?;
    Ok((messages, last, pending))
}
