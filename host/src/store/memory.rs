//! Stores in memory: snapshots for hosts that keep none in NATS, and in tests a log that
//! judges appends as JetStream does.

#[cfg(test)]
pub(crate) mod events;

use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use hashlink::LruCache;

use super::{CodeRecord, Found, Saved, SnapshotStore, Unavailable};
use crate::domain::Digest;
use crate::name::AggregateId;
use crate::snapshot::Snapshot;

/// Snapshots kept; beyond it the least recently used go, and their aggregates are replayed.
const SNAPSHOTS_MAX: usize = 100_000;

/// Codes that something is noted of: far more than a host ever runs.
const CODE_RECORDS_MAX: usize = 1_000;

/// Snapshots in this process's memory.
pub struct MemorySnapshots {
    kept: Mutex<LruCache<AggregateId, Snapshot>>,
    code_records: Mutex<LruCache<Digest, CodeRecord>>,
}

impl Default for MemorySnapshots {
    fn default() -> Self {
        Self {
            kept: Mutex::new(LruCache::new(SNAPSHOTS_MAX)),
            code_records: Mutex::new(LruCache::new(CODE_RECORDS_MAX)),
        }
    }
}

impl SnapshotStore for MemorySnapshots {
    fn load(&self, id: &AggregateId) -> BoxFuture<'static, Result<Found, Unavailable>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match kept.get(id) {
            Some(snapshot) => Found::Snapshot { snapshot: Box::new(snapshot.clone()), revision: snapshot.version },
            None => Found::Nothing,
        };
        std::future::ready(Ok(found)).boxed()
    }

    fn ids(&self, limit: usize) -> BoxFuture<'static, Result<Vec<AggregateId>, Unavailable>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        std::future::ready(Ok(kept.iter().take(limit).map(|(id, _)| id.clone()).collect())).boxed()
    }

    fn code_record(&self, code: Digest) -> BoxFuture<'static, Result<CodeRecord, Unavailable>> {
        let mut records = self.code_records.lock().unwrap_or_else(PoisonError::into_inner);
        std::future::ready(Ok(records.get(&code).cloned().unwrap_or_default())).boxed()
    }

    fn note_code(&self, code: Digest, record: CodeRecord) -> BoxFuture<'static, Result<(), Unavailable>> {
        self.code_records.lock().unwrap_or_else(PoisonError::into_inner).insert(code, record);
        std::future::ready(Ok(())).boxed()
    }

    fn save(
        &self,
        id: &AggregateId,
        snapshot: Snapshot,
        _revision: u64,
    ) -> BoxFuture<'static, Result<Saved, Unavailable>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = match kept.get(id) {
            Some(standing) if standing.supersedes(&snapshot) => Saved::Superseded,
            _ => {
                let version = snapshot.version;
                kept.insert(id.clone(), snapshot);
                Saved::Stored(version)
            }
        };
        std::future::ready(Ok(saved)).boxed()
    }
}
