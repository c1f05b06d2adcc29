//! What the pipeline asks of storage: an append-only log per aggregate that judges every
//! append, and a cache of snapshots. Knows nothing of how either is kept.

pub mod jetstream;
pub mod memory;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::domain::Digest;
use crate::event::{NewEvents, RecordedCommand, StoredEvent};
use crate::name::AggregateId;
use crate::snapshot::{Damaged, Snapshot};

/// The events of one domain.
pub trait EventStore: Send + Sync {
    /// Stores the events of one command, all or none.
    fn append(&self, events: NewEvents) -> BoxFuture<'static, Result<Appended, AppendError>>;

    /// The last event of an aggregate, as that replica of the log has it.
    fn head(&self, id: &AggregateId, of: Replica) -> BoxFuture<'static, Result<Option<StoredEvent>, Unavailable>>;

    /// Events of an aggregate in order, from sequence `from` through `through`, both
    /// included, at most `limit`. `through` is the sequence of an event that the log is known to
    /// have. It costs least where `limit` is how many there are.
    fn read(
        &self,
        id: &AggregateId,
        from: u64,
        through: u64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredEvent>, Unavailable>>;

    /// Events of all aggregates in order, from sequence `from` through `through`, both included,
    /// in pages of about `limit`. An error is the last that comes.
    fn scan(&self, from: u64, through: u64, limit: usize) -> BoxStream<'static, Result<Page, Unavailable>>;

    /// Commands that the log keeps beside the events, in order, from sequence `from` through
    /// `through`, about `limit`; and the sequence to go on from, `None` at the end. Most logs keep
    /// none.
    fn commands(&self, from: u64, through: u64, limit: usize) -> BoxFuture<'static, Result<Commands, Unavailable>>;

    /// What the log as a whole holds.
    fn extent(&self) -> BoxFuture<'static, Result<Extent, Unavailable>>;
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replica {
    /// The log's leader: nothing acknowledged before the call is missing.
    Leader,
    /// Whoever answers, which costs less: what was acknowledged last may be missing. Good enough for
    /// whoever appends next, since the log judges that.
    Any,
}

/// A part of the log.
#[derive(Debug)]
pub struct Page {
    /// Events in order, with the aggregates they belong to.
    pub events: Vec<(AggregateId, StoredEvent)>,
    /// Everything up to this sequence has been read.
    pub through: u64,
}

/// Recorded commands, and where to go on.
pub type Commands = (Vec<RecordedCommand>, Option<u64>);

/// The snapshots of one domain.
pub trait SnapshotStore: Send + Sync {
    /// The snapshot of an aggregate.
    fn load(&self, id: &AggregateId) -> BoxFuture<'static, Result<Found, Unavailable>>;

    /// The aggregates that have a snapshot, at most `limit`, in no order.
    fn ids(&self, limit: usize) -> BoxFuture<'static, Result<Vec<AggregateId>, Unavailable>>;

    /// What hosts have noted of this code, nothing where they have not.
    fn code_record(&self, code: Digest) -> BoxFuture<'static, Result<CodeRecord, Unavailable>>;

    /// Notes it, in the place of what was noted before.
    fn note_code(&self, code: Digest, record: CodeRecord) -> BoxFuture<'static, Result<(), Unavailable>>;

    /// Stores a snapshot unless one that [supersedes](Snapshot::supersedes) it stands. `revision` is
    /// what the caller last saw, 0 for none or unknown; gives the new one.
    fn save(
        &self,
        id: &AggregateId,
        snapshot: Snapshot,
        revision: u64,
    ) -> BoxFuture<'static, Result<Saved, Unavailable>>;
}

/// What hosts know of a plugin's code beyond the code itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRecord {
    /// Code whose snapshots a gate has seen it read as the state that the events give.
    #[serde(default)]
    pub reads: BTreeSet<Digest>,
    /// What was live before it the last time that it went live, to go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// Why it is not to go live again until somebody says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<Denied>,
}

/// Code that was put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// In words.
    pub why: String,
    /// What went live in its place.
    pub instead: Option<Digest>,
}

/// Events that were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Sequence of the first; the others follow without gap.
    pub first_sequence: u64,
}

/// Why events were not stored, by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Another writer was first: read the tail.
    #[error("another event was stored first")]
    Conflict {
        /// The aggregate's last sequence by which it was refused, where that is told.
        last: Option<u64>,
    },
    /// Nothing was stored now, since events with these ids are stored already.
    #[error("these events are stored already")]
    AlreadyStored,
    /// Nothing was stored or will be; it may work later.
    #[error("{0}")]
    Unavailable(String),
    /// Nothing was stored or will be; it cannot work.
    #[error("{0}")]
    Unstorable(String),
    /// It is not known whether they were stored.
    #[error("{0}")]
    Unknown(String),
    /// They were stored where they do not belong: the domain must stop.
    #[error("{0}")]
    Misplaced(String),
}

/// Storage cannot answer now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// What a log holds as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Sequence of the oldest event that is left.
    pub first_sequence: u64,
    /// Sequence of the newest event that ever was.
    pub last_sequence: u64,
    /// After what time events leave, where they do.
    pub age_max: Option<Duration>,
}

impl Extent {
    /// Whether an event of that sequence and time is gone because its time was up, and for no
    /// other reason: it lies before what is left, was once there, and is old enough.
    pub fn has_aged_out(&self, sequence: u64, time: Timestamp, now: Timestamp) -> bool {
        let old_enough = self.age_max.is_some_and(|age| {
            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            time.0.saturating_add(age_ms) <= now.0
        });
        old_enough && sequence < self.first_sequence && sequence <= self.last_sequence
    }
}

/// What a look for a snapshot found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// There is none.
    Nothing,
    /// There is one.
    Snapshot {
        /// The snapshot.
        snapshot: Box<Snapshot>,
        /// Its revision.
        revision: u64,
    },
    /// There is something that is none.
    Damaged {
        /// In what way.
        damage: Damaged,
        /// Its revision.
        revision: u64,
    },
}

/// What saving a snapshot came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It was stored with this revision.
    Stored(u64),
    /// One that is as good or newer stands.
    Superseded,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ageing_must_be_proven() {
        let extent = Extent { first_sequence: 10, last_sequence: 20, age_max: Some(Duration::from_secs(1)) };
        let (written, now) = (Timestamp(1_000), Timestamp(2_000));
        assert!(extent.has_aged_out(9, written, now));
        assert!(!extent.has_aged_out(10, written, now), "it should still be there");
        assert!(!extent.has_aged_out(9, written, Timestamp(1_999)), "too young: purged, not aged");
        let recreated = Extent { first_sequence: 4, last_sequence: 3, ..extent };
        assert!(!recreated.has_aged_out(9, written, now), "the log ends before it");
        let forever = Extent { age_max: None, ..extent };
        assert!(!forever.has_aged_out(9, written, now), "nothing ages in this log");
    }
}
