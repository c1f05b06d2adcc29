//! Aggregates whose snapshot the stream contradicted and that have not been loaded since. On the
//! way of a command this is one look at a number that is 0.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::Gauge;
use crate::name::AggregateId;

/// Aggregates that are remembered; that there are so many is known all the same.
const REMEMBERED_MAX: usize = 1_024;

/// The aggregates in doubt of one domain.
#[derive(Debug, Default)]
pub struct Doubts {
    count: Gauge,
    ids: Mutex<HashSet<AggregateId>>,
}

impl Doubts {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// The stream contradicts what is known of this aggregate.
    pub fn note(&self, id: &AggregateId) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() < REMEMBERED_MAX {
            ids.insert(id.clone());
        }
        self.count.set(ids.len() as u64);
    }

    /// This aggregate was loaded.
    pub fn settle(&self, id: &AggregateId) {
        if self.count.get() > 0 {
            let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
            ids.remove(id);
            self.count.set(ids.len() as u64);
        }
    }
}
