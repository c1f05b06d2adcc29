//! Brings an aggregate into memory: snapshot and tail, held against each
//! other. What contradicts the stream is an error, never a guess.

use super::failures::{failed, unavailable};
use super::live::Live;
use super::pipeline::Pipeline;
use super::tail::missing;
use crate::activation::Reading;
use crate::domain::PluginError;
use crate::event::StoredEvent;
use crate::instances::Instances;
use crate::message::{Code, Failure};
use crate::name::AggregateId;
use crate::snapshot::Snapshot;
use crate::store::{Found, Replica};

/// Events handed to the plugin in one call: enough to make the call's cost vanish, few
/// enough for one deadline.
const EVENTS_PER_CALL: usize = 256;

/// How an aggregate is brought into memory, or further.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    /// Where it lives.
    pub(super) instances: &'a Instances,
    /// How many events the plugin gets in one call.
    pub(super) events_per_call: usize,
    /// Whether an event that cannot be applied parks it; a call that fails beside others does not.
    pub(super) parks: bool,
}

impl Pipeline {
    /// The aggregate as that replica of the log has it. One that is known to have an event that
    /// the live code cannot apply is not tried again while that event is there.
    pub(super) async fn load(&self, id: &AggregateId, of: Replica) -> Result<Live, Failure> {
        if let Some(obstacle) = self.parked.obstacle(id, &self.instances.activation()) {
            let at = obstacle.sequence;
            let there = self.events.read(id, at, at, 1).await.map_err(|e| unavailable(id, e))?;
            if there.iter().any(|event| event.sequence == at) {
                self.metrics.parked.add(1);
                return Err(Failure::new(Code::PluginFailed, obstacle.message).about(id));
            }
            self.parked.free(id);
        }
        let loaded = self.load_by(self.usual_way(), id, of).await;
        if !loaded.as_ref().is_err_and(|failure| failure.unlocated) {
            return loaded.inspect(|live| self.loaded(id, live));
        }
        // Once more, event by event and where nobody else lives, to know which one it is: a neighbour may
        // have taken the memory, or many events together the time.
        let alone = Instances::new(self.instances.activation(), 1);
        let mut live = self.load_by(Way { instances: &alone, events_per_call: 1, parks: true }, id, of).await?;
        live.move_on(&self.instances, id).map_err(|e| failed(id, e))?.map_err(|refusal| {
            failed(id, PluginError::ContractBroken(format!("it does not read its own state: {refusal}")))
        })?;
        self.loaded(id, &live);
        Ok(live)
    }

    fn loaded(&self, id: &AggregateId, live: &Live) {
        self.meter.replayed.observe(live.events_behind());
        self.metrics.doubts.settle(id);
    }

    pub(super) fn usual_way(&self) -> Way<'_> {
        Way { instances: &self.instances, events_per_call: EVENTS_PER_CALL, parks: true }
    }

    /// The way of a copy that serves one query.
    pub(super) fn way_of_copies(&self) -> Way<'_> {
        Way { instances: self.trials.instances(), events_per_call: EVENTS_PER_CALL, parks: false }
    }

    async fn load_by(&self, way: Way<'_>, id: &AggregateId, of: Replica) -> Result<Live, Failure> {
        let (found, head) = futures::join!(self.snapshots.load(id), self.events.head(id, of));
        let (found, mut head) = (found.map_err(|e| unavailable(id, e))?, head.map_err(|e| unavailable(id, e))?);
        let covered = match &found {
            Found::Nothing => 0,
            Found::Snapshot { snapshot, .. } => snapshot.last_sequence,
            Found::Damaged { .. } => 1,
        };
        if head.as_ref().map_or(0, |head| head.sequence) < covered {
            // A replica may be behind, and another host may have appended and saved between the two reads.
            head = self.events.head(id, Replica::Leader).await.map_err(|e| unavailable(id, e))?;
        }
        let (snapshot, revision) = match found {
            Found::Nothing => (None, 0),
            Found::Snapshot { snapshot, revision } => (Some(snapshot), revision),
            Found::Damaged { damage, .. } if head.is_none() => {
                let message = format!(
                    "the snapshot of this aggregate cannot be read ({damage}), and the stream has no events of it: restore either from a backup"
                );
                tracing::error!(domain = %self.domain, aggregate = %id, %damage, "snapshot cannot be read and there are no events");
                self.metrics.contradictions.add(1);
                self.metrics.doubts.note(id);
                return Err(Failure::new(Code::Unavailable, message).about(id));
            }
            Found::Damaged { damage, revision } => {
                tracing::warn!(domain = %self.domain, aggregate = %id, %damage, "snapshot cannot be read, the events are replayed");
                (None, revision)
            }
        };
        let mut live = match (snapshot, &head) {
            (None, None) => Live::create(way.instances, id).map_err(|e| failed(id, e))?,
            (None, Some(head)) => self.replay(way, id, head).await?,
            (Some(snapshot), head) => self.resume(way, id, &snapshot, revision, head.as_ref()).await?,
        };
        live.snapshot_revision = revision;
        Ok(live)
    }

    async fn resume(
        &self,
        way: Way<'_>,
        id: &AggregateId,
        snapshot: &Snapshot,
        revision: u64,
        head: Option<&StoredEvent>,
    ) -> Result<Live, Failure> {
        let Some(head) = head else {
            self.prove_aged_out(id, snapshot.version, snapshot.last_sequence, snapshot.last_time()).await?;
            if self.instances.activation().reading_of(snapshot) == Reading::Never {
                return Err(self.unproven(id, snapshot, "its events have aged"));
            }
            let mut live = self.restore(way, id, snapshot, revision, "its events have aged")?;
            live.aged_out = true;
            return Ok(live);
        };
        // A snapshot may hold events of newer code as well, which then are not read.
        if self.succession.is_some() && head.activation() > self.instances.activation().number() {
            return Err(self.outdated(id, head.activation()));
        }
        if head.sequence < snapshot.last_sequence {
            return Err(self.contradiction(id, snapshot.version, "the stream ends before its last event"));
        }
        // Read from the snapshot's last event on, so that one read shows it and the tail.
        let tail = if head.sequence == snapshot.last_sequence {
            (head.event_id() == Some(snapshot.last_event_id)).then(Vec::new)
        } else {
            self.tail_after(id, snapshot, head).await?
        };
        let Some(tail) = tail else {
            return Err(self.contradiction(
                id,
                snapshot.version,
                "the stream has another event in the place of its last",
            ));
        };
        if self.instances.activation().reading_of(snapshot) == Reading::Never {
            if self.is_complete(id, head).await? {
                tracing::debug!(domain = %self.domain, aggregate = %id, "snapshot was written by other code, the events are replayed");
                return self.replay(way, id, head).await;
            }
            return Err(self.unproven(id, snapshot, "its events are no longer complete"));
        }
        let mut live = match self.restore(way, id, snapshot, revision, "its events are no longer complete") {
            Ok(live) => live,
            Err(failure) if failure.code == Code::Unavailable && self.is_complete(id, head).await? => {
                return self.replay(way, id, head).await;
            }
            Err(failure) => return Err(failure),
        };
        self.apply(way, id, &mut live, &tail)?;
        if live.last_sequence < head.sequence {
            self.read_tail(way, id, &mut live, head).await?;
        }
        Ok(live)
    }

    /// The first events after a snapshot; `None` where the stream contradicts it.
    async fn tail_after(
        &self,
        id: &AggregateId,
        snapshot: &Snapshot,
        head: &StoredEvent,
    ) -> Result<Option<Vec<StoredEvent>>, Failure> {
        let limit = 1 + missing(snapshot.version, head);
        let read = self.events.read(id, snapshot.last_sequence, head.sequence, limit).await;
        let mut events = read.map_err(|e| unavailable(id, e))?;
        let stands = events.first().is_some_and(|first| {
            first.sequence == snapshot.last_sequence
                && first.origin.as_ref().is_ok_and(|origin| origin.event_id == snapshot.last_event_id)
        });
        if stands {
            events.remove(0);
            return Ok(Some(events));
        }
        if events.first().is_some_and(|first| first.sequence == snapshot.last_sequence) {
            return Ok(None);
        }
        self.prove_aged_out(id, snapshot.version, snapshot.last_sequence, snapshot.last_time()).await?;
        let first = events.first().and_then(StoredEvent::version);
        if let Some(first) = first
            && first > snapshot.version + 1
        {
            return Err(self.incomplete(id, first));
        }
        Ok(Some(events))
    }

    /// The aggregate from its events alone, which must be complete.
    async fn replay(&self, way: Way<'_>, id: &AggregateId, head: &StoredEvent) -> Result<Live, Failure> {
        let mut live = Live::create(way.instances, id).map_err(|e| failed(id, e))?;
        self.metrics.replays.add(1);
        self.read_tail(way, id, &mut live, head).await?;
        Ok(live)
    }

    /// Whether the aggregate's first event is still there.
    async fn is_complete(&self, id: &AggregateId, head: &StoredEvent) -> Result<bool, Failure> {
        let first = self.events.read(id, 1, head.sequence, 1).await.map_err(|e| unavailable(id, e))?;
        Ok(first.first().is_some_and(|event| event.written_as(1).is_ok()))
    }

    fn restore(
        &self,
        way: Way<'_>,
        id: &AggregateId,
        snapshot: &Snapshot,
        revision: u64,
        why_needed: &str,
    ) -> Result<Live, Failure> {
        let restored = match Live::restore(way.instances, id, snapshot, revision) {
            Ok(restored) => restored,
            Err(lost @ PluginError::InstanceLost) => return Err(failed(id, lost)),
            // The events give the same state, where they are complete.
            Err(error) => Err(error.to_string()),
        };
        restored.map_err(|refusal| {
            tracing::error!(domain = %self.domain, aggregate = %id, refusal, "plugin does not read the snapshot");
            let message = format!("the plugin does not read the snapshot of this aggregate ({refusal}), and {why_needed}: serve it with the plugin that wrote it");
            Failure::new(Code::Unavailable, message).about(id)
        })
    }

    pub(super) async fn prove_aged_out(
        &self,
        id: &AggregateId,
        version: u64,
        sequence: u64,
        time: crate::clock::Timestamp,
    ) -> Result<(), Failure> {
        let extent = self.events.extent().await.map_err(|e| unavailable(id, e))?;
        if extent.has_aged_out(sequence, time, self.clock.now()) {
            return Ok(());
        }
        Err(self.contradiction(id, version, "its last event is not in the stream though it has not aged"))
    }
}
