//! A domain's events in a stream: appended with the sequence they expect, so that JetStream
//! judges every writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::client::PublishErrorKind;
use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::{Client, HeaderName, Message, StatusCode};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OnceCell, watch};

use super::ack::{self, Ack, not_atomic};
use super::acks::Acks;
use super::batch::{self, Part};
use super::stream::{EventStream, find};
use super::{api, event_headers, read, scan};
use crate::event::{NewEvents, StoredEvent};
use crate::name::{AggregateId, Name, Subjects, header};
use crate::store::{AppendError, Appended, Commands, EventStore, Extent, Head, Page, Unavailable};

const EXPECTED_SEQUENCE: HeaderName = HeaderName::from_static("Nats-Expected-Last-Subject-Sequence");
const EXPECTED_SUBJECT: HeaderName = HeaderName::from_static("Nats-Expected-Last-Subject-Sequence-Subject");
/// Headers of an event beside its payload, in bytes, for the check against `max_payload`.
const HEADERS_BYTES: usize = 4_096;

/// The events of one domain.
#[derive(Clone)]
pub struct JetStreamEvents(Arc<Inner>);

pub(super) struct Inner {
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) domain: Name,
    pub(super) subjects: Subjects,
    pub(super) stream: EventStream,
    /// Whether batches are allowed; an upgrade of the stream is noticed while running.
    atomic: AtomicBool,
    /// The JetStream domain that must acknowledge, empty where the server has none.
    js_domain: String,
    source: String,
    ack_timeout: Duration,
    /// Why no more appends are made, once events went where they do not belong.
    misplaced: watch::Sender<Option<String>>,
    lost: Arc<Notify>,
    pub(super) runtime: Handle,
    /// Made at the first append: who only reads needs none.
    acks: OnceCell<Acks>,
}

/// Where a domain's events are at home, whichever connection they take.
#[derive(Clone)]
pub struct Home {
    /// The domain.
    pub domain: Name,
    /// Its stream.
    pub stream: EventStream,
    /// The JetStream domain that must acknowledge, empty where the server has none.
    pub js_domain: String,
    /// How long to wait for an acknowledgement.
    pub ack_timeout: Duration,
    /// Told when events were stored where they do not belong, and why.
    pub misplaced: watch::Sender<Option<String>>,
    /// Told when a connection ended for good.
    pub lost: Arc<Notify>,
}

impl JetStreamEvents {
    /// The events of a domain, over one connection. Must be called on the runtime that drives it.
    pub fn new(client: Client, context: Context, home: Home) -> Self {
        let place = if home.js_domain.is_empty() { "local" } else { &home.js_domain };
        Self(Arc::new(Inner {
            subjects: Subjects::new(&home.domain),
            source: format!("/{place}/{}", home.stream.name),
            atomic: AtomicBool::new(home.stream.atomic),
            domain: home.domain,
            js_domain: home.js_domain,
            stream: home.stream,
            client,
            context,
            ack_timeout: home.ack_timeout,
            misplaced: home.misplaced,
            lost: home.lost,
            runtime: Handle::current(),
            acks: OnceCell::new(),
        }))
    }

    /// The activation number and plugin text of the newest event of the whole domain.
    ///
    /// # Errors
    /// [`Unavailable`] where JetStream does not answer.
    pub async fn newest_author(&self) -> Result<Option<crate::domain::Author>, Unavailable> {
        let newest = read::last(&self.0, &self.0.subjects.events()).await?;
        Ok(newest.and_then(|message| event_headers::read(&message.headers).ok()).map(|origin| origin.author))
    }

    /// Runs on the client's runtime, whatever thread asks.
    fn on_runtime<T, F>(&self, work: F) -> BoxFuture<'static, Result<T, Unavailable>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Unavailable>> + Send + 'static,
    {
        if self.0.client.connection_state() != State::Connected {
            return std::future::ready(Err(Unavailable("NATS is not connected".into()))).boxed();
        }
        let task = self.0.runtime.spawn(work);
        async move { task.await.unwrap_or_else(|_| Err(Unavailable("the service is stopping".into()))) }.boxed()
    }
}

impl EventStore for JetStreamEvents {
    fn append(&self, events: NewEvents) -> BoxFuture<'static, Result<Appended, AppendError>> {
        // On the caller's own thread: the way of every command takes as few turns as it can.
        let inner = Arc::clone(&self.0);
        inner.append(events).boxed()
    }

    fn head(&self, id: &AggregateId) -> BoxFuture<'static, Result<Option<Head>, Unavailable>> {
        let (inner, id) = (Arc::clone(&self.0), id.clone());
        self.on_runtime(async move { inner.head(&id).await })
    }

    fn read(
        &self,
        id: &AggregateId,
        from: u64,
        through: u64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredEvent>, Unavailable>> {
        let (inner, id) = (Arc::clone(&self.0), id.clone());
        self.on_runtime(async move { read::events(&inner, &id, from, through, limit).await })
    }

    fn scan(&self, from: u64, through: u64, limit: usize) -> BoxStream<'static, Result<Page, Unavailable>> {
        scan::pages(Arc::clone(&self.0), from, through, limit).boxed()
    }

    fn commands(&self, from: u64, through: u64, limit: usize) -> BoxFuture<'static, Result<Commands, Unavailable>> {
        let inner = Arc::clone(&self.0);
        self.on_runtime(async move { read::all_commands(&inner, from, through, limit).await })
    }

    fn extent(&self) -> BoxFuture<'static, Result<Extent, Unavailable>> {
        let inner = Arc::clone(&self.0);
        self.on_runtime(async move { inner.extent().await })
    }
}

impl Inner {
    async fn append(self: Arc<Self>, new: NewEvents) -> Result<Appended, AppendError> {
        if let Some(why) = &*self.misplaced.borrow() {
            return Err(AppendError::Unavailable(why.clone()));
        }
        if self.client.connection_state() != State::Connected {
            return Err(AppendError::Unavailable("NATS is not connected".into()));
        }
        let count = new.events.len() as u64;
        if count > 1 && !self.allows_batches().await {
            return Err(not_atomic());
        }
        let mut parts = self.parts(&new)?;
        let last = if parts.len() == 1 {
            parts.pop()
        } else {
            batch::begin(&self.client, parts).await.map_err(|error| AppendError::Unavailable(error.to_string()))?
        };
        let Some(last) = last else { return Err(AppendError::Unstorable("there are no events to store".into())) };
        #[cfg(feature = "sabotage")]
        if crate::sabotage::answers_before_the_ack() {
            let sent = self.client.publish_with_headers(last.subject, last.headers, last.payload).await;
            sent.map_err(|error| ack::not_sent(&error))?;
            return Ok(Appended { first_sequence: new.expected_sequence + 1 });
        }
        let reply = self.answer_to(last).await?;
        let ack = ack::read(&reply.payload).map_err(|error| match error {
            AppendError::Conflict { .. } => AppendError::Conflict { certain: !self.stream.replicated },
            error => error,
        })?;
        self.check_place(&ack)?;
        if ack.duplicate {
            return Err(self.recognise(&new, ack.sequence).await);
        }
        Ok(Appended { first_sequence: ack.sequence + 1 - count })
    }

    /// Sends a message that JetStream is to acknowledge, and waits for its answer.
    async fn answer_to(self: &Arc<Self>, part: Part) -> Result<Message, AppendError> {
        let acks = self.acks.get_or_try_init(|| Acks::open(&self.client, &self.runtime, self.noticing_seconds())).await;
        let Ok(acks) = acks else { return Err(self.connection_lost()) };
        let mut pending = acks.expect();
        let sent =
            self.client.publish_with_reply_and_headers(part.subject, pending.reply.clone(), part.headers, part.payload);
        match sent.await {
            Ok(()) => {}
            Err(error) if error.kind() == PublishErrorKind::Send => return Err(self.connection_lost()),
            Err(error) => return Err(ack::not_sent(&error)),
        }
        let answer = {
            let _timers = self.runtime.enter();
            tokio::time::timeout(self.ack_timeout, &mut pending.message)
        };
        match answer.await {
            Ok(Ok(reply)) if reply.status == Some(StatusCode::NO_RESPONDERS) => Err(ack::no_stream()),
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => {
                self.connection_lost();
                Err(ack::overdue())
            }
            Err(_) => Err(ack::overdue()),
        }
    }

    /// The connection has ended for good, so nothing was sent.
    fn connection_lost(&self) -> AppendError {
        self.lost.notify_one();
        AppendError::Unavailable("the connection to NATS has ended".into())
    }

    /// What is done about an acknowledgement of what has one already.
    fn noticing_seconds(self: &Arc<Self>) -> impl Fn(Message) + Send + 'static {
        let inner = Arc::downgrade(self);
        move |message| {
            // A refusal or a duplicate has stored nothing.
            let Some(inner) = inner.upgrade() else { return };
            if let Ok(ack) = ack::read(&message.payload)
                && !ack.duplicate
            {
                inner.stored_elsewhere(&format!(
                    "events were acknowledged twice, the second time by stream `{}` of JetStream domain `{}`",
                    ack.stream, ack.domain
                ));
            }
        }
    }

    /// The messages of the events, the first with the sequence that all of them expect.
    fn parts(&self, new: &NewEvents) -> Result<Vec<Part>, AppendError> {
        let payload_bytes_max = self.client.max_payload().saturating_sub(HEADERS_BYTES);
        let mut parts = Vec::with_capacity(new.events.len());
        for (index, event) in new.events.iter().enumerate() {
            if event.payload.len() > payload_bytes_max {
                let size = event.payload.len();
                let why = format!(
                    "the event `{}` has {size} bytes, the server's max_payload lets through {payload_bytes_max}",
                    event.name
                );
                return Err(AppendError::Unstorable(why));
            }
            let mut headers = event_headers::write(&self.domain, &self.source, new, index);
            if index == 0 && states_expectation() {
                headers.insert(EXPECTED_SEQUENCE, new.expected_sequence.to_string());
                headers.insert(EXPECTED_SUBJECT, self.subjects.events_of(&new.id));
            }
            parts.push(Part {
                subject: self.subjects.event(&new.id, &event.name),
                headers,
                payload: event.payload.clone(),
            });
        }
        Ok(parts)
    }

    /// A second look where the stream did not allow batches: it may have been upgraded.
    async fn allows_batches(self: &Arc<Self>) -> bool {
        if self.atomic.load(Ordering::Relaxed) {
            return true;
        }
        let inner = Arc::clone(self);
        let look = self.runtime.spawn(async move { find(&inner.context, &inner.stream.name).await });
        let config = look.await.ok().and_then(Result::ok).flatten();
        let upgraded = config
            .and_then(|config| EventStream::adopt(&self.domain, &config).ok())
            .is_some_and(|stream| stream.atomic);
        self.atomic.store(upgraded, Ordering::Relaxed);
        upgraded
    }

    fn check_place(&self, ack: &Ack) -> Result<(), AppendError> {
        if ack.stream == self.stream.name && ack.domain == self.js_domain {
            return Ok(());
        }
        Err(AppendError::Misplaced(self.stored_elsewhere(&format!(
            "events were stored by stream `{}` of JetStream domain `{}` instead of `{}` of `{}`",
            ack.stream, ack.domain, self.stream.name, self.js_domain
        ))))
    }

    /// No more is appended from here on; gives the words for it.
    fn stored_elsewhere(&self, what: &str) -> String {
        let why = format!(
            "{what}: a domain has one home, deny its events on the leaf link; this host stores no more events of it until it is restarted"
        );
        tracing::error!(domain = %self.domain, "{why}");
        self.misplaced.send_replace(Some(why.clone()));
        why
    }

    /// JetStream stored nothing since it knows the message id: it is well only if what is
    /// there is this very event.
    async fn recognise(self: &Arc<Self>, new: &NewEvents, sequence: u64) -> AppendError {
        let unknown = |why: String| {
            AppendError::Unknown(format!("JetStream takes the event for one it has at sequence {sequence}, {why}"))
        };
        let inner = Arc::clone(self);
        let message = match self.runtime.spawn(async move { read::at(&inner, sequence).await }).await {
            Ok(Ok(message)) => message,
            Ok(Err(error)) => return unknown(error.0),
            Err(_) => return unknown("and the service is stopping".into()),
        };
        let ours = message.is_some_and(|message| {
            let event_id = new.event_ids[0].to_string();
            message.headers.get(header::CE_ID).is_some_and(|id| id.as_str() == event_id)
                && message.subject.as_str() == self.subjects.event(&new.id, &new.events[0].name)
        });
        if ours { AppendError::AlreadyStored } else { unknown("which is another".into()) }
    }

    async fn head(&self, id: &AggregateId) -> Result<Option<Head>, Unavailable> {
        let last = read::last(self, &self.subjects.events_of(id)).await?;
        Ok(last.map(|message| {
            let origin = event_headers::read(&message.headers).ok();
            Head {
                sequence: message.sequence,
                event_id: origin.as_ref().map(|origin| origin.event_id),
                activation: origin.map_or(0, |origin| origin.author.activation),
            }
        }))
    }

    async fn extent(&self) -> Result<Extent, Unavailable> {
        let info = api(&self.context, format!("STREAM.INFO.{}", self.stream.name), &json!({}))
            .await
            .map_err(|error| Unavailable(error.to_string()))?;
        let number = |path: &str| info.pointer(path).and_then(serde_json::Value::as_u64).unwrap_or_default();
        let age = number("/config/max_age");
        Ok(Extent {
            first_sequence: number("/state/first_seq"),
            last_sequence: number("/state/last_seq"),
            age_max: (age > 0).then(|| Duration::from_nanos(age)),
        })
    }
}

/// Always; a build for tests can be told otherwise, so that it is seen what that does.
fn states_expectation() -> bool {
    #[cfg(feature = "sabotage")]
    return !crate::sabotage::skips_expected_sequence();
    #[cfg(not(feature = "sabotage"))]
    true
}
