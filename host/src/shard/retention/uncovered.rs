//! Aggregates that no snapshot covers though their events will soon leave: remembered, tried again,
//! and told as loudly as it takes. Must not know how they are covered.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::message::Failure;
use crate::metrics::Metrics;
use crate::name::{AggregateId, Name};

/// Aggregates that are remembered at once; no more are looked for until some of them are covered.
const REMEMBERED_MAX: usize = 10_000;
/// How long until the same trouble is told again.
const TELL_AGAIN_MS: u64 = 3_600_000;

pub(super) struct Uncovered {
    domain: Name,
    metrics: Arc<Metrics>,
    left: BTreeMap<AggregateId, Left>,
    /// Who was tried again last.
    tried_last: Option<AggregateId>,
    /// What was told last of how many, and when.
    told: Option<(usize, Timestamp)>,
    /// When it was told that nothing can be seen.
    blind: Option<Timestamp>,
    /// Aggregates that were lost since the last telling, one of them, and why.
    lost: Option<(usize, AggregateId, String)>,
}

/// One of them.
struct Left {
    /// Its last event that expires.
    through: u64,
    /// When the first of its events leaves.
    end: Timestamp,
    why: String,
}

impl Uncovered {
    pub(super) fn new(domain: Name, metrics: Arc<Metrics>) -> Self {
        Self { domain, metrics, left: BTreeMap::new(), tried_last: None, told: None, blind: None, lost: None }
    }

    /// Whether no more can be remembered.
    pub(super) fn is_full(&self) -> bool {
        self.left.len() >= REMEMBERED_MAX
    }

    /// Nothing expires any more.
    pub(super) fn clear(&mut self) {
        self.left.clear();
    }

    /// Notes whether an aggregate could be covered through that sequence.
    pub(super) fn tried(&mut self, id: AggregateId, outcome: Result<(), Failure>, end: Timestamp, through: u64) {
        match outcome {
            Ok(()) => drop(self.left.remove(&id)),
            Err(failure) => {
                let end = self.left.get(&id).map_or(end, |left| left.end.min(end));
                self.left.insert(id, Left { through, end, why: failure.message });
            }
        }
    }

    /// The next aggregates to try again, and through which sequence each must be covered.
    pub(super) fn next_to_try(&mut self, limit: usize) -> Vec<(AggregateId, u64)> {
        let after = self.tried_last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.left.range((after.clone(), Bound::Unbounded));
        let earlier = match after {
            Bound::Excluded(last) => self.left.range((Bound::Unbounded, Bound::Included(last))),
            _ => self.left.range(..),
        };
        let all = later.chain(earlier).take(limit.min(self.left.len()));
        let next: Vec<_> = all.map(|(id, left)| (id.clone(), left.through)).collect();
        self.tried_last = next.last().map(|(id, _)| id.clone());
        next
    }

    /// Notes what came of trying again. What is older than the log's first message is lost then.
    pub(super) fn tried_again(&mut self, id: &AggregateId, outcome: Result<(), Failure>, first_sequence: u64) {
        let Some(left) = self.left.get_mut(id) else { return };
        match outcome {
            Ok(()) => drop(self.left.remove(id)),
            Err(failure) if left.through < first_sequence => {
                self.left.remove(id);
                self.metrics.expired_uncovered.add(1);
                let count = self.lost.as_ref().map_or(0, |(count, ..)| *count) + 1;
                self.lost = Some((count, id.clone(), failure.message));
            }
            Err(failure) => left.why = failure.message,
        }
    }

    /// Tells how it stands, where that is news or long ago.
    pub(super) fn tell(&mut self, now: Timestamp) {
        let domain = &self.domain;
        if let Some((aggregates, aggregate, error)) = self.lost.take() {
            tracing::error!(%domain, aggregates, %aggregate, error, "events have left the stream before a snapshot covered them: the state of these aggregates is lost, restore stream and snapshots from a backup");
        }
        self.blind = None;
        let first = self.left.iter().min_by_key(|(_, left)| left.end);
        self.metrics.expiring_uncovered.set(self.left.len() as u64);
        self.metrics.expiring_first_ms.set(first.map_or(0, |(_, left)| left.end.0));
        let Some((aggregate, left)) = first else {
            if self.told.take().is_some() {
                tracing::info!(%domain, "snapshots cover all events that soon leave the stream");
            }
            return;
        };
        let aggregates = self.left.len();
        if self.told.is_some_and(|(before, at)| before == aggregates && now.0.saturating_sub(at.0) < TELL_AGAIN_MS) {
            return;
        }
        self.told = Some((aggregates, now));
        let (first_event_leaves, error) = (left.end.to_rfc3339(), &left.why);
        tracing::error!(%domain, aggregates, first_event_leaves, %aggregate, error, "no snapshot covers events that soon leave the stream, and the state of their aggregates with them: mend what the error says before then, or raise the stream's max_age (`nats stream edit`)");
    }

    /// Tells that it cannot be seen how it stands.
    pub(super) fn cannot_tell(&mut self, now: Timestamp, error: &str) {
        if self.blind.is_some_and(|at| now.0.saturating_sub(at.0) < TELL_AGAIN_MS) {
            return;
        }
        self.blind = Some(now);
        tracing::error!(domain = %self.domain, error, "it cannot be seen whether snapshots cover the events that soon leave the stream: it is tried again, and is to be mended before events age");
    }
}
