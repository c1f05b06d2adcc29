//! Snapshots in memory that can be damaged or out of reach.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::BoxFuture;

use crate::domain::Digest;
use crate::name::AggregateId;
use crate::snapshot::{Damaged, Snapshot};
use crate::store::memory::MemorySnapshots;
use crate::store::{CodeRecord, Found, Saved, SnapshotStore, Unavailable};

/// The snapshots of one domain. A clone is the same shelf.
#[derive(Clone, Default)]
pub(crate) struct Shelf(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    snapshots: MemorySnapshots,
    unreadable: bool,
    refusing: bool,
    damaged: Option<u64>,
    /// The revisions that saves said they last saw.
    revisions_seen: Vec<u64>,
}

impl Shelf {
    /// Whether snapshots can be read.
    pub(crate) fn set_unreadable(&self, unreadable: bool) {
        self.lock().unreadable = unreadable;
    }

    /// Whether snapshots are refused: a host that ends now leaves none, as one that is killed.
    pub(crate) fn set_refusing(&self, refusing: bool) {
        self.lock().refusing = refusing;
    }

    /// Whatever is looked for is found damaged, with this revision, until it is saved anew.
    pub(crate) fn damage(&self, revision: u64) {
        self.lock().damaged = Some(revision);
    }

    /// The snapshot of an aggregate.
    pub(crate) fn of(&self, id: &AggregateId) -> Option<Snapshot> {
        match block_on(self.lock().snapshots.load(id)).expect("memory answers") {
            Found::Snapshot { snapshot, .. } => Some(*snapshot),
            Found::Nothing | Found::Damaged { .. } => None,
        }
    }

    /// Puts a snapshot in the place of the one that stands.
    pub(crate) fn replace(&self, id: &AggregateId, snapshot: Snapshot) {
        let mut kept = self.lock();
        kept.snapshots = MemorySnapshots::default();
        block_on(kept.snapshots.save(id, snapshot, 0)).expect("memory takes it");
    }

    pub(crate) fn revisions_seen(&self) -> Vec<u64> {
        self.lock().revisions_seen.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SnapshotStore for Shelf {
    fn load(&self, id: &AggregateId) -> BoxFuture<'static, Result<Found, Unavailable>> {
        let kept = self.lock();
        if kept.unreadable {
            return std::future::ready(Err(Unavailable("snapshots are out of reach".into()))).boxed();
        }
        if let Some(revision) = kept.damaged {
            return std::future::ready(Ok(Found::Damaged { damage: Damaged::Checksum, revision })).boxed();
        }
        kept.snapshots.load(id)
    }

    fn ids(&self, limit: usize) -> BoxFuture<'static, Result<Vec<AggregateId>, Unavailable>> {
        self.lock().snapshots.ids(limit)
    }

    fn code_record(&self, code: Digest) -> BoxFuture<'static, Result<CodeRecord, Unavailable>> {
        self.lock().snapshots.code_record(code)
    }

    fn note_code(&self, code: Digest, record: CodeRecord) -> BoxFuture<'static, Result<(), Unavailable>> {
        self.lock().snapshots.note_code(code, record)
    }

    fn save(
        &self,
        id: &AggregateId,
        snapshot: Snapshot,
        revision: u64,
    ) -> BoxFuture<'static, Result<Saved, Unavailable>> {
        let mut kept = self.lock();
        if kept.refusing {
            return std::future::ready(Err(Unavailable("snapshots are out of reach".into()))).boxed();
        }
        kept.revisions_seen.push(revision);
        if kept.damaged.take().is_some() {
            kept.snapshots = MemorySnapshots::default();
        }
        kept.snapshots.save(id, snapshot, revision)
    }
}
