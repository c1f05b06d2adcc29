//! Retention without loss: before events age away, a snapshot covers them, also those of aggregates
//! that nobody touches. Walks the part of the log that expires next, again and again, and lets the
//! shards save what no snapshot covers. Every host does so by itself: where another was faster, there
//! is nothing to save. Must not know how aggregates are loaded, nor how anything is stored.

mod uncovered;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio::sync::watch;

use self::uncovered::Uncovered;
use super::{Covered, Orders};
use crate::clock::{Clock, Timestamp};
use crate::event::StoredEvent;
use crate::message::Failure;
use crate::metrics::Metrics;
use crate::name::{AggregateId, Name};
use crate::store::{EventStore, Unavailable};

/// Events looked at between two pauses.
const PAGE_EVENTS: usize = 256;
/// Aggregates that are covered at once: enough to hide the way to the server, few enough that
/// commands are not kept waiting.
const COVERS_AT_ONCE: usize = 4;
/// Aggregates that could not be covered and are tried again in one round.
const RETRIES_MAX: usize = 64;
/// Rounds in the time that events have left: several may fail, and nothing is lost.
const ROUNDS_IN_MARGIN: u32 = 8;
/// Longest time between two rounds, so that trouble is told early, however long events are kept.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Shortest time between two rounds, for streams that keep events for moments.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// Keeps the state of one domain's aggregates from ageing away.
pub struct Retention {
    domain: Name,
    events: Arc<dyn EventStore>,
    orders: Orders,
    metrics: Arc<Metrics>,
    clock: Clock,
    margin: Duration,
    /// Where the walk goes on; everything before is covered, or in `uncovered`.
    next: u64,
    /// Everything before has been looked at in some walk.
    reached: u64,
    /// When the walk last began at the log's first event. Snapshots may be lost behind its back.
    began: Option<Timestamp>,
    /// When the event that the walk stopped at will be one that expires.
    due: Option<Timestamp>,
    uncovered: Uncovered,
}

/// What events have left, by the stream's age.
#[derive(Clone, Copy)]
struct Lifetime {
    age_ms: u64,
    margin_ms: u64,
}

impl Lifetime {
    fn of(age: Duration, margin: Duration) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self { age_ms: millis(age), margin_ms: millis(margin.min(age / 2)) }
    }

    /// When an event leaves the stream.
    fn end_of(self, stored: Timestamp) -> Timestamp {
        Timestamp(stored.0.saturating_add(self.age_ms))
    }

    /// From when on a snapshot must cover it.
    fn due(self, stored: Timestamp) -> Timestamp {
        Timestamp(self.end_of(stored).0.saturating_sub(self.margin_ms))
    }
}

impl Retention {
    /// Keeps what these shards serve; snapshots cover events that long before they leave, or half
    /// their age before where that is less.
    pub fn new(
        domain: Name,
        events: Arc<dyn EventStore>,
        orders: Orders,
        metrics: Arc<Metrics>,
        clock: Clock,
        margin: Duration,
    ) -> Self {
        let uncovered = Uncovered::new(domain.clone(), Arc::clone(&metrics));
        Self { domain, events, orders, metrics, clock, margin, next: 0, reached: 0, began: None, due: None, uncovered }
    }

    /// Goes round until the domain is gone. `activation` says when other code is live, which may not
    /// read the snapshots of the code before.
    pub async fn run(mut self, mut activation: watch::Receiver<u64>) {
        loop {
            // Not before the next round: code on probation is not put to this test as well.
            match activation.has_changed() {
                Ok(true) => {
                    activation.mark_unchanged();
                    self.code_has_changed();
                }
                Ok(false) => {}
                Err(_) => return,
            }
            let pause = self.round().await;
            tokio::time::sleep(pause).await;
        }
    }

    /// Looks at everything again in the next round: other code reads other snapshots.
    pub(super) fn code_has_changed(&mut self) {
        self.began = None;
    }

    /// Covers what expires next. Gives the time until the next round.
    pub(super) async fn round(&mut self) -> Duration {
        let done = self.cover_expiring().await;
        let now = self.clock.now();
        match done {
            Ok(pause) => {
                self.uncovered.tell(now);
                pause
            }
            Err(Unavailable(error)) => {
                self.metrics.expiry_checks_failed.add(1);
                self.uncovered.cannot_tell(now, &error);
                PAUSE_MAX.min(self.margin / ROUNDS_IN_MARGIN).max(PAUSE_MIN)
            }
        }
    }

    async fn cover_expiring(&mut self) -> Result<Duration, Unavailable> {
        let extent = self.events.extent().await?;
        let Some(age) = extent.age_max else {
            // Everything is kept. Somebody may give the stream an age while the host runs.
            self.uncovered.clear();
            self.metrics.expired_unseen.set(0);
            (self.began, self.due) = (None, None);
            return Ok(PAUSE_MAX);
        };
        let life = Lifetime::of(age, self.margin);
        self.see_what_left(extent.first_sequence);
        self.retry(extent.first_sequence).await;
        let now = self.clock.now();
        if self.began.is_none_or(|began| began.0.saturating_add(life.margin_ms / 2) <= now.0) {
            (self.next, self.began, self.due) = (0, Some(now), None);
        }
        if self.due.is_none_or(|due| due <= now) {
            self.walk(extent.first_sequence, extent.last_sequence, life).await?;
        }
        Ok(PAUSE_MAX.min(Duration::from_millis(life.margin_ms) / ROUNDS_IN_MARGIN).max(PAUSE_MIN))
    }

    /// Tells where the log has dropped what no walk has looked at: there was too little time.
    fn see_what_left(&mut self, first_sequence: u64) {
        let unseen = if self.reached > 0 { first_sequence.saturating_sub(self.reached) } else { 0 };
        self.metrics.expired_unseen.set(unseen);
        if unseen > 0 {
            let (from, through) = (self.reached, first_sequence - 1);
            tracing::error!(domain = %self.domain, from, through, "messages left the stream before it was seen whether snapshots cover them: raise SNAPSHOT_BEFORE_EXPIRY or the stream's max_age, and look with `agent-service state` whether aggregates answer `unavailable`");
            self.reached = first_sequence;
        }
    }

    /// Tries again what could not be covered, a part of it each round.
    async fn retry(&mut self, first_sequence: u64) {
        let again = self.uncovered.next_to_try(RETRIES_MAX);
        let mut outcomes = Vec::with_capacity(again.len());
        for (id, through) in again {
            outcomes.push((self.orders.cover(&id, through).await, id));
        }
        for (outcome, id) in outcomes {
            self.uncovered.tried_again(&id, self.counted(outcome), first_sequence);
        }
    }

    /// Goes on through the log up to the first event that has time.
    async fn walk(&mut self, first_sequence: u64, last_sequence: u64, life: Lifetime) -> Result<(), Unavailable> {
        let from = self.next.max(first_sequence).max(1);
        if from > last_sequence {
            return Ok(());
        }
        let events = Arc::clone(&self.events);
        let mut pages = events.scan(from, last_sequence, PAGE_EVENTS);
        while let Some(page) = pages.next().await {
            let page = page?;
            let began = Instant::now();
            let now = self.clock.now();
            let young = page.events.iter().map(|(_, event)| event).find(|event| life.due(event.stored) > now);
            let (next, due) = match young {
                Some(event) => (event.sequence, Some(life.due(event.stored))),
                None => (page.through + 1, None),
            };
            let hurry = self.cover_page(&page.events, next, life, now).await;
            if self.uncovered.is_full() {
                // What lies behind is looked at once these are covered.
                return Ok(());
            }
            (self.next, self.reached, self.due) = (next, self.reached.max(next), due);
            if young.is_some() {
                return Ok(());
            }
            if !hurry {
                // Commands have at least every other moment of the stores for themselves.
                tokio::time::sleep(began.elapsed()).await;
            }
        }
        Ok(())
    }

    /// Covers the aggregates of those events that lie before a sequence. Gives whether time is short.
    async fn cover_page(
        &mut self,
        events: &[(AggregateId, StoredEvent)],
        before: u64,
        life: Lifetime,
        now: Timestamp,
    ) -> bool {
        let mut expiring = BTreeMap::new();
        for (id, event) in events.iter().filter(|(_, event)| event.sequence < before) {
            // The first of them leaves first, and the last must be covered.
            let (_, through) = expiring.entry(id.clone()).or_insert((life.end_of(event.stored), 0));
            *through = event.sequence;
        }
        let ends = expiring.values().map(|(end, _)| end.0).min();
        let orders = self.orders.clone();
        let outcomes: Vec<_> = futures::stream::iter(expiring)
            .map(|(id, (end, through))| {
                let orders = orders.clone();
                async move { (orders.cover(&id, through).await, id, end, through) }
            })
            .buffer_unordered(COVERS_AT_ONCE)
            .collect()
            .await;
        for (outcome, id, end, through) in outcomes {
            self.uncovered.tried(id, self.counted(outcome), end, through);
        }
        ends.is_some_and(|end| end.saturating_sub(now.0) < life.margin_ms / 2)
    }

    fn counted(&self, outcome: Result<Covered, Failure>) -> Result<(), Failure> {
        outcome.map(|covered| self.metrics.expiring_saved.add(u64::from(covered == Covered::Now)))
    }
}
