//! What the host counts and measures of one domain. Knows nothing of who reads it.
//!
//! A command passes a dozen of these on its way: nothing here takes a lock or memory. What every
//! request touches is kept per shard and added up by whoever reads.

mod answers;
mod doubts;
mod histogram;
mod meter;
pub mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::answers::Answers;
pub use self::answers::Asked;
pub use self::doubts::Doubts;
pub use self::histogram::{Histogram, Reading};
pub use self::meter::{Meter, Stage};
use crate::message::{Code, Reply};
use crate::name::Name;

/// Shards of a domain that are measured apart from one another; more than these share.
const METERS: usize = 4;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted of one domain.
#[derive(Debug, Default)]
pub struct Metrics {
    answers: Answers,
    /// Requests that were answered before they came to a shard.
    outside: Meter,
    shards: [Arc<Meter>; METERS],
    /// Requests whose reply subject could have been abused: not executed, not answered.
    pub abused_replies: Counter,
    /// Appends that another writer was ahead of.
    pub conflicts: Counter,
    /// Look-ups that found the aggregate in memory.
    pub cache_hits: Counter,
    /// Look-ups that did not.
    pub cache_misses: Counter,
    /// Aggregates rebuilt from their events alone.
    pub replays: Counter,
    /// Snapshots saved.
    pub snapshots: Counter,
    /// When the last of them was, in milliseconds since the Unix epoch; 0 where there was none.
    pub last_snapshot_ms: Gauge,
    /// Commands whose events were applied to a throw-away copy before they were stored.
    pub trials: Counter,
    /// Those of them whose events could not be applied, and were not stored.
    pub trials_failed: Counter,
    /// Requests to aggregates that are parked, answered without loading them.
    pub parked: Counter,
    /// Calls that the live plugin failed: traps, deadlines, memory, a broken contract.
    pub plugin_failures: Counter,
    /// Times that other code went live while the domain was served.
    pub swaps: Counter,
    /// Candidates that passed the gate.
    pub gate_accepted: Counter,
    /// Candidates that were refused, by the gate or before it.
    pub plugins_refused: Counter,
    /// Times that the code before was put back.
    pub roll_backs: Counter,
    /// Commands of the durable lane that were parked.
    pub inbox_parked: Counter,
    /// Aggregates whose snapshot the stream contradicted.
    pub contradictions: Counter,
    /// Which of them are still in doubt.
    pub doubts: Doubts,
    /// Snapshots taken because the events they cover will age away.
    pub expiring_saved: Counter,
    /// Aggregates that no snapshot covers though their events will soon age away.
    pub expiring_uncovered: Gauge,
    /// When the first of their events leaves, in milliseconds since the Unix epoch; 0 where there
    /// are none.
    pub expiring_first_ms: Gauge,
    /// Messages that had left the stream, at the last look, before it was seen whether snapshots
    /// cover them.
    pub expired_unseen: Gauge,
    /// Aggregates whose events aged away before a snapshot covered them.
    pub expired_uncovered: Counter,
    /// Times that it could not be seen what will age away.
    pub expiry_checks_failed: Counter,
}

/// What became of traces.
#[derive(Debug, Default)]
pub struct TraceCounts {
    /// Traces that were exported.
    pub exported: Counter,
    /// Traces that found no room on their way out, since the endpoint takes none or too few.
    pub dropped: Counter,
    /// Traces that the endpoint refused, or that were left when the host stopped.
    pub failed: Counter,
}

impl Metrics {
    /// Counts a reply by what was asked and what came of it.
    pub fn replied(&self, asked: Asked<'_>, reply: &Reply) {
        self.answers.count(asked, reply);
    }

    /// Counts verbs by these names from now on, beside those it counts already.
    pub fn name_verbs<'a>(&self, verbs: impl IntoIterator<Item = &'a Name>) {
        self.answers.name_verbs(verbs);
    }

    /// Requests answered with `ok`.
    pub fn ok(&self) -> u64 {
        self.answers.of(None)
    }

    /// Requests answered with an error of this code.
    pub fn failed(&self, code: Code) -> u64 {
        self.answers.of(Some(code))
    }

    /// Commands answered, by verb and outcome.
    pub fn commands(&self) -> impl Iterator<Item = (&str, &'static str, u64)> {
        self.answers.commands()
    }

    /// Queries answered, by outcome.
    pub fn queries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.answers.queries()
    }

    /// Where the shard of this number, counted from 0, is measured.
    pub fn shard(&self, number: usize) -> Arc<Meter> {
        Arc::clone(&self.shards[number % METERS])
    }

    /// Where requests are measured that come to no shard.
    pub fn outside(&self) -> &Meter {
        &self.outside
    }

    /// Everything that is measured, to be added up.
    pub fn meters(&self) -> impl Iterator<Item = &Meter> {
        std::iter::once(&self.outside).chain(self.shards.iter().map(|shard| &**shard))
    }
}
