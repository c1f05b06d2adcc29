//! Stores in memory: snapshots for hosts that keep none in NATS, and in tests a log that
//! judges appends as JetStream does.

#[cfg(test)]
pub(crate) mod events;

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use hashlink::LruCache;

use super::{Found, Saved, SnapshotStore, Unavailable};
use crate::name::AggregateId;
use crate::snapshot::Snapshot;

/// Snapshots kept; beyond it the least recently used go, and their aggregates are replayed.
const SNAPSHOTS_MAX: usize = 100_000;

/// Snapshots in this process's memory.
pub struct MemorySnapshots(Arc<Mutex<LruCache<AggregateId, Snapshot>>>);

impl Default for MemorySnapshots {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(SNAPSHOTS_MAX))))
    }
}

impl SnapshotStore for MemorySnapshots {
    fn load(&self, id: &AggregateId) -> BoxFuture<'static, Result<Found, Unavailable>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match kept.get(id) {
            Some(snapshot) => Found::Snapshot { snapshot: Box::new(snapshot.clone()), revision: snapshot.version },
            None => Found::Nothing,
        };
        std::future::ready(Ok(found)).boxed()
    }

    fn save(
        &self,
        id: &AggregateId,
        snapshot: Snapshot,
        _revision: u64,
    ) -> BoxFuture<'static, Result<Saved, Unavailable>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = match kept.get(id) {
            Some(standing) if standing.version >= snapshot.version => Saved::Superseded,
            _ => {
                let version = snapshot.version;
                kept.insert(id.clone(), snapshot);
                Saved::Stored(version)
            }
        };
        std::future::ready(Ok(saved)).boxed()
    }
}
