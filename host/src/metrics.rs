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
    /// Times that other code went live while the domain was served.
    pub swaps: Counter,
    /// Candidates that were refused.
    pub plugins_refused: Counter,
    /// Times that the code before was put back.
    pub roll_backs: Counter,
    /// Commands of the durable lane that were parked.
    pub parked: Counter,
    /// Aggregates whose snapshot the stream contradicted.
    pub contradictions: Counter,
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
