//! A domain's events in a stream: appended with the sequence they expect, so that JetStream
//! judges every writer.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::{Client, SubscribeError};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OnceCell, watch};
use tokio::time::Instant;

use super::acks::Acks;
use super::answers::Answers;
use super::group::{Line, OpenBatches};
use super::on_runtime::OnRuntime;
use super::sharing::Sharing;
use super::stream::EventStream;
use super::{api, event_headers, read, scan};
use crate::event::{NewEvents, StoredEvent};
use crate::name::{AggregateId, Name, Subjects};
use crate::nats::is_connected;
use crate::store::{AppendError, Appended, Commands, EventStore, Extent, Page, Replica, Unavailable};

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
    pub(super) atomic: AtomicBool,
    /// The JetStream domain that must acknowledge, empty where the server has none.
    pub(super) js_domain: String,
    pub(super) source: String,
    pub(super) ack_timeout: Duration,
    /// Why no more appends are made, once events went where they do not belong.
    pub(super) misplaced: watch::Sender<Option<String>>,
    pub(super) lost: Arc<Notify>,
    pub(super) runtime: Handle,
    /// Made at the first append at the latest.
    pub(super) acks: OnceCell<Acks>,
    /// Made at the first direct read at the latest.
    pub(super) answers: OnceCell<Answers>,
    /// Appends of several events, in the order in which they came.
    pub(super) line: Line,
    pub(super) open_batches: OpenBatches,
    /// What the stream's leader said of itself, and when.
    pub(super) leader: Mutex<(Sharing, Instant)>,
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
    /// The right to have batches open, shared by all connections.
    pub open_batches: OpenBatches,
}

impl JetStreamEvents {
    /// The events of a domain, over one connection. Must be called on the runtime that drives it.
    pub fn new(client: Client, context: Context, home: Home) -> Self {
        let place = if home.js_domain.is_empty() { "local" } else { &home.js_domain };
        Self(Arc::new(Inner {
            subjects: Subjects::new(&home.domain),
            source: format!("/{place}/{}", home.stream.name),
            atomic: AtomicBool::new(home.stream.atomic),
            leader: Mutex::new((home.stream.sharing, Instant::now())),
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
            answers: OnceCell::new(),
            line: Line::default(),
            open_batches: home.open_batches,
        }))
    }

    /// Subscribes to where answers will come, so that the first command need not. Where that fails, the
    /// first command tries again and tells it.
    pub async fn open_inboxes(&self) {
        let _ = self.0.acks().await;
        let _ = self.0.answers().await;
    }

    /// The activation number and plugin text of the newest event of the whole domain.
    ///
    /// # Errors
    /// [`Unavailable`] where JetStream does not answer.
    pub async fn newest_author(&self) -> Result<Option<crate::domain::Author>, Unavailable> {
        let newest = read::last(&self.0, &self.0.subjects.events()).await?;
        Ok(newest.and_then(|message| event_headers::read(&message.headers).ok()).map(|origin| origin.author))
    }

    /// As on the client's runtime, whatever thread asks.
    fn on_runtime<T, F>(&self, work: F) -> BoxFuture<'static, Result<T, Unavailable>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Unavailable>> + Send + 'static,
    {
        if !is_connected(&self.0.client) {
            return std::future::ready(Err(Unavailable("NATS is not connected".into()))).boxed();
        }
        OnRuntime::new(self.0.runtime.clone(), work).boxed()
    }
}

impl Inner {
    /// Where acknowledgements arrive.
    pub(super) async fn acks(self: &Arc<Self>) -> Result<&Acks, SubscribeError> {
        self.acks.get_or_try_init(|| Acks::open(&self.client, &self.runtime, self.noticing_surplus())).await
    }

    /// Where answers to direct reads arrive.
    pub(super) async fn answers(&self) -> Result<&Answers, SubscribeError> {
        self.answers.get_or_try_init(|| Answers::open(&self.client, &self.runtime)).await
    }
}

impl EventStore for JetStreamEvents {
    fn append(&self, events: NewEvents) -> BoxFuture<'static, Result<Appended, AppendError>> {
        // On the caller's own thread: the way of every command takes as few turns as it can.
        let inner = Arc::clone(&self.0);
        inner.append(events).boxed()
    }

    fn head(&self, id: &AggregateId, of: Replica) -> BoxFuture<'static, Result<Option<StoredEvent>, Unavailable>> {
        let (inner, id) = (Arc::clone(&self.0), id.clone());
        self.on_runtime(async move { inner.head(&id, of).await })
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
    pub(super) async fn head(&self, id: &AggregateId, of: Replica) -> Result<Option<StoredEvent>, Unavailable> {
        let subject = self.subjects.events_of(id);
        let last = match of {
            Replica::Any if self.stream.direct => read::last_of_any(self, &subject).await?,
            Replica::Any | Replica::Leader => read::last(self, &subject).await?.map(read::Raw::from),
        };
        Ok(last.map(read::Raw::into_event))
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
