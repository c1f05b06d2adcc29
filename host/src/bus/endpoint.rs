//! What the NATS service API tells of one endpoint: how many requests, how many errors, how
//! long they took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::message::Reply;

/// The counters of one endpoint.
#[derive(Debug)]
pub struct Endpoint {
    /// Its name: the domain and what it takes.
    pub name: String,
    /// The subject it listens to.
    pub subject: String,
    /// The queue group it listens in.
    pub queue_group: String,
    requests: AtomicU64,
    errors: AtomicU64,
    nanos: AtomicU64,
    last_error: Mutex<String>,
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Requests answered.
    pub requests: u64,
    /// Those of them answered with an error.
    pub errors: u64,
    /// The last error, `<number>:<message>`, empty where there was none.
    pub last_error: String,
    /// Time from request to reply, over all requests.
    pub total: Duration,
}

impl Endpoint {
    /// An endpoint that has seen nothing yet.
    pub fn new(name: String, subject: String, queue_group: String) -> Self {
        let (requests, errors, nanos) = Default::default();
        Self { name, subject, queue_group, requests, errors, nanos, last_error: Mutex::default() }
    }

    /// Counts a reply.
    pub fn answered(&self, reply: &Reply, after: Duration) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if let Reply::Error(failure) = reply {
            self.errors.fetch_add(1, Ordering::Relaxed);
            let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
            last.clear();
            last.push_str(&format!("{}:{}", failure.code.number(), failure.message));
        }
    }

    /// The counters now.
    pub fn read(&self) -> Reading {
        Reading {
            requests: self.requests.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            total: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
        }
    }
}
