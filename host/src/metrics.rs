//! Counters of what the host does. Knows nothing of who reads them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::message::{Code, Reply};

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

/// The counters of one domain.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests answered with `ok`.
    pub ok: Counter,
    failures: [Counter; Code::ALL.len()],
    /// Requests whose reply subject could have been abused: not executed, not answered.
    pub abused_replies: Counter,
    /// Appends that another writer was ahead of.
    pub conflicts: Counter,
    /// Aggregates rebuilt from their events alone.
    pub replays: Counter,
    /// Snapshots saved.
    pub snapshots: Counter,
    /// Commands whose events were applied to a throw-away copy before they were stored.
    pub trials: Counter,
    /// Those of them whose events could not be applied, and were not stored.
    pub trials_failed: Counter,
    /// Requests to aggregates that are parked, answered without loading them.
    pub parked: Counter,
    /// Times that other code went live while the domain was served.
    pub swaps: Counter,
    /// Candidates that were refused.
    pub plugins_refused: Counter,
    /// Times that the code before was put back.
    pub roll_backs: Counter,
    /// Commands of the durable lane that were parked.
    pub inbox_parked: Counter,
    /// Aggregates whose snapshot the stream contradicted.
    pub contradictions: Counter,
    /// Snapshots taken because the events they cover will age away.
    pub expiring_saved: Counter,
    /// Aggregates that no snapshot covers though their events will soon age away.
    pub expiring_uncovered: Gauge,
    /// When the first of their events leaves, in milliseconds since the Unix epoch; 0 where there
    /// are none.
    pub expiring_first_ms: Gauge,
    /// Aggregates whose events aged away before a snapshot covered them.
    pub expired_uncovered: Counter,
    /// Times that it could not be seen what will age away.
    pub expiry_checks_failed: Counter,
}

impl Metrics {
    /// Counts a reply by its outcome.
    pub fn replied(&self, reply: &Reply) {
        match reply {
            Reply::Ok(_) => self.ok.add(1),
            Reply::Error(failure) => self.failures[failure.code as usize].add(1),
        }
    }

    /// Replies with an error of this code.
    pub fn failed(&self, code: Code) -> u64 {
        self.failures[code as usize].get()
    }
}
