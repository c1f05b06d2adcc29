//! Reads the log as a whole, in order and page by page, through a consumer of its own: to the
//! server that is a third of the work of answering gets, and it lets others append meanwhile.
//! What the consumer does not give, where there is one at all, is had by gets after it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;

use super::events::Inner;
use super::read::{self, NEXT_MESSAGE_MAX, Raw};
use crate::store::{Page, Unavailable};

/// Pages that were read and wait to be taken.
const PAGES_AHEAD: usize = 1;
/// How long the server keeps a consumer that nobody asks: who reads may think about a page as long.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// What a page, or the lack of it, comes as.
type Read = Result<Page, Unavailable>;

/// Events of all aggregates, `from` through `through`, in pages of about `limit`, read ahead on the
/// connection's runtime for as long as somebody takes them.
pub(super) fn pages(store: Arc<Inner>, from: u64, through: u64, limit: usize) -> impl Stream<Item = Read> {
    let (sender, receiver) = mpsc::channel(PAGES_AHEAD);
    let runtime = store.runtime.clone();
    runtime.spawn(async move {
        let mut scan = Scan { next: from, through, limit, consumer: Consumer::of(&store, from).await, store };
        while let Some(page) = scan.page().await {
            let over = page.is_err();
            if sender.send(page).await.is_err() || over {
                break;
            }
        }
        scan.end().await;
    });
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

struct Scan {
    store: Arc<Inner>,
    next: u64,
    through: u64,
    limit: usize,
    consumer: Option<Consumer>,
}

impl Scan {
    async fn page(&mut self) -> Option<Read> {
        if self.next > self.through {
            return None;
        }
        let fetched = match &mut self.consumer {
            Some(consumer) => consumer.fetch(self.limit).await,
            None => Vec::new(),
        };
        let Some(last) = fetched.last().map(|last| last.sequence) else {
            self.end().await;
            return self.page_by_gets().await;
        };
        let through = last.min(self.through);
        self.next = last + 1;
        let wanted = fetched.into_iter().filter(|raw| raw.sequence <= through);
        Some(Ok(Page { events: read::of_aggregates(&self.store, wanted), through }))
    }

    /// What the consumer does not have: the leader may be ahead of it.
    async fn page_by_gets(&mut self) -> Option<Read> {
        match read::all_events(&self.store, self.next, self.through, self.limit).await {
            Ok((events, next)) => {
                self.next = next.unwrap_or(self.through + 1);
                Some(Ok(Page { events, through: self.next - 1 }))
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Lets the server forget the consumer now, not after its time.
    async fn end(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            let stream = self.store.context.get_stream_no_info(&self.store.stream.name).await;
            if let Ok(stream) = stream {
                // It ends by itself.
                let _ = stream.delete_consumer(&consumer.pull.cached_info().name).await;
            }
        }
    }
}

/// A consumer of all events, which lives for one reader.
struct Consumer {
    pull: PullConsumer,
    /// How many messages it has delivered.
    delivered: u64,
}

impl Consumer {
    /// `None` where the server gives none, as for a stream that has as many as it may have.
    async fn of(store: &Inner, from: u64) -> Option<Self> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from.max(1) },
            ack_policy: AckPolicy::None,
            filter_subject: store.subjects.events(),
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: IDLE_MAX,
            ..pull::Config::default()
        };
        let stream = store.context.get_stream_no_info(&store.stream.name).await.ok()?;
        match stream.create_consumer(config).await {
            Ok(pull) => Some(Self { pull, delivered: 0 }),
            Err(error) => {
                tracing::debug!(stream = store.stream.name, %error, "no consumer to read the log with: it is read by gets");
                None
            }
        }
    }

    /// The next messages without a gap, none where there are none or they got lost on their way.
    async fn fetch(&mut self, limit: usize) -> Vec<Raw> {
        let mut fetched = Vec::with_capacity(limit);
        let Ok(mut messages) = self.pull.fetch().max_messages(limit).messages().await else { return fetched };
        while let Ok(Some(Ok(message))) = tokio::time::timeout(NEXT_MESSAGE_MAX, messages.next()).await {
            let Ok(info) = message.info() else { break };
            if info.consumer_sequence != self.delivered + 1 {
                break;
            }
            self.delivered += 1;
            let (sequence, stored) = (info.stream_sequence, read::timestamp_of(info.published.unix_timestamp_nanos()));
            let (message, _) = message.split();
            fetched.push(Raw {
                sequence,
                stored,
                subject: message.subject.to_string(),
                headers: message.headers.unwrap_or_else(HeaderMap::new),
                payload: message.payload,
            });
        }
        fetched
    }
}
