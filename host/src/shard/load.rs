//! Brings an aggregate into memory and up to date: snapshot and tail, held against each
//! other. What contradicts the stream is an error, never a guess.

use super::failures::{failed, unavailable};
use super::live::Live;
use super::pipeline::Pipeline;
use crate::activation::Reading;
use crate::domain::{DomainEvent, EvolveError, PluginError};
use crate::event::StoredEvent;
use crate::instances::Instances;
use crate::message::{Code, Failure};
use crate::name::AggregateId;
use crate::snapshot::Snapshot;
use crate::store::{Found, Head};
use crate::trace;

/// Events handed to the plugin in one call: enough to make the call's cost vanish, few
/// enough for one deadline.
const EVENTS_PER_CALL: usize = 256;

/// How an aggregate is brought into memory, or further.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    /// Where it lives.
    instances: &'a Instances,
    /// How many events the plugin gets in one call.
    events_per_call: usize,
    /// Whether an event that cannot be applied parks it; a call that fails beside others does not.
    parks: bool,
}

impl Pipeline {
    /// The aggregate as the log has it, read from its leader. One that is known to have an event that
    /// the live code cannot apply is not tried again while that event is there.
    pub(super) async fn load(&self, id: &AggregateId) -> Result<Live, Failure> {
        if let Some(obstacle) = self.parked.obstacle(id, &self.instances.activation()) {
            let at = obstacle.sequence;
            let there = self.events.read(id, at, at, 1).await.map_err(|e| unavailable(id, e))?;
            if there.iter().any(|event| event.sequence == at) {
                self.metrics.parked.add(1);
                return Err(Failure::new(Code::PluginFailed, obstacle.message).about(id));
            }
            self.parked.free(id);
        }
        let loaded = self.load_by(self.usual_way(), id).await;
        if !loaded.as_ref().is_err_and(|failure| failure.unlocated) {
            return loaded.inspect(|live| self.loaded(id, live));
        }
        // Once more, event by event and where nobody else lives, to know which one it is: a neighbour may
        // have taken the memory, or many events together the time.
        let alone = Instances::new(self.instances.activation(), 1);
        let mut live = self.load_by(Way { instances: &alone, events_per_call: 1, parks: true }, id).await?;
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

    fn usual_way(&self) -> Way<'_> {
        Way { instances: &self.instances, events_per_call: EVENTS_PER_CALL, parks: true }
    }

    /// The way of a copy that serves one query.
    pub(super) fn way_of_copies(&self) -> Way<'_> {
        Way { instances: self.trials.instances(), events_per_call: EVENTS_PER_CALL, parks: false }
    }

    async fn load_by(&self, way: Way<'_>, id: &AggregateId) -> Result<Live, Failure> {
        let (found, head) = futures::join!(self.snapshots.load(id), self.events.head(id));
        let (found, mut head) = (found.map_err(|e| unavailable(id, e))?, head.map_err(|e| unavailable(id, e))?);
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
        if let Some(snapshot) = &snapshot
            && head.is_none_or(|head| head.sequence < snapshot.last_sequence)
        {
            // Another host may have appended and saved between the two reads.
            head = self.events.head(id).await.map_err(|e| unavailable(id, e))?;
        }
        let mut live = match (snapshot, head) {
            (None, None) => Live::create(way.instances, id).map_err(|e| failed(id, e))?,
            (None, Some(head)) => self.replay(way, id, head).await?,
            (Some(snapshot), head) => self.resume(way, id, &snapshot, revision, head).await?,
        };
        live.snapshot_revision = revision;
        Ok(live)
    }

    /// Reads and applies what the log's leader has beyond `live`. Gives whether there was anything.
    pub(super) async fn catch_up(&self, id: &AggregateId, live: &mut Live) -> Result<bool, Failure> {
        let _part = trace::part("catch_up");
        match self.events.head(id).await.map_err(|e| unavailable(id, e))? {
            Some(head) if head.sequence > live.last_sequence => {
                if let Err(failure) = self.read_tail(self.usual_way(), id, live, head).await {
                    return Err(self.tail_failed(id, live, head, failure).await?);
                }
                Ok(true)
            }
            Some(head) if head.sequence == live.last_sequence && head.event_id == Some(live.last_event_id) => Ok(false),
            Some(_) => {
                live.doubtful = true;
                Err(self.contradiction(id, live.version, "the stream has no such last event"))
            }
            None if live.version == 0 => Ok(false),
            None => {
                // Another host may have gone further before all of it aged.
                if let Found::Snapshot { snapshot, .. } =
                    self.snapshots.load(id).await.map_err(|e| unavailable(id, e))?
                    && snapshot.version > live.version
                {
                    return Err(behind_snapshot(id, live));
                }
                if live.aged_out {
                    return Ok(false);
                }
                self.prove_aged_out(id, live.version, live.last_sequence, live.last_time).await?;
                // The stream forgets the aggregate, so a snapshot must stand before anything is appended.
                if live.is_unsaved() {
                    self.save(id, live).await.map_err(|e| unavailable(id, e))?;
                }
                live.aged_out = true;
                Ok(true)
            }
        }
    }

    /// What a tail that cannot be read means: where events before it have aged, the snapshot that
    /// another host has left knows of them.
    async fn tail_failed(
        &self,
        id: &AggregateId,
        live: &mut Live,
        head: Head,
        failure: Failure,
    ) -> Result<Failure, Failure> {
        let next = self.events.read(id, live.last_sequence + 1, head.sequence, 1).await;
        let next = next.map_err(|e| unavailable(id, e))?;
        let version = next.first().and_then(|event| event.origin.as_ref().ok()).map_or(0, |origin| origin.version);
        Ok(if version > live.version + 1 { behind_snapshot(id, live) } else { failure })
    }

    async fn resume(
        &self,
        way: Way<'_>,
        id: &AggregateId,
        snapshot: &Snapshot,
        revision: u64,
        head: Option<Head>,
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
        if self.succession.is_some() && head.activation > self.instances.activation().number() {
            return Err(self.outdated(id, head.activation));
        }
        if head.sequence < snapshot.last_sequence {
            return Err(self.contradiction(id, snapshot.version, "the stream ends before its last event"));
        }
        // Read from the snapshot's last event on, so that one read shows it and the tail.
        let tail = if head.sequence == snapshot.last_sequence {
            (head.event_id == Some(snapshot.last_event_id)).then(Vec::new)
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
        head: Head,
    ) -> Result<Option<Vec<StoredEvent>>, Failure> {
        let mut events = self
            .events
            .read(id, snapshot.last_sequence, head.sequence, EVENTS_PER_CALL)
            .await
            .map_err(|e| unavailable(id, e))?;
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
        let first = events.first().and_then(|event| event.origin.as_ref().ok()).map(|origin| origin.version);
        if let Some(first) = first
            && first > snapshot.version + 1
        {
            return Err(self.incomplete(id, first));
        }
        Ok(Some(events))
    }

    /// The aggregate from its events alone, which must be complete.
    async fn replay(&self, way: Way<'_>, id: &AggregateId, head: Head) -> Result<Live, Failure> {
        let mut live = Live::create(way.instances, id).map_err(|e| failed(id, e))?;
        self.metrics.replays.add(1);
        self.read_tail(way, id, &mut live, head).await?;
        Ok(live)
    }

    /// Whether the aggregate's first event is still there.
    async fn is_complete(&self, id: &AggregateId, head: Head) -> Result<bool, Failure> {
        let first = self.events.read(id, 1, head.sequence, 1).await.map_err(|e| unavailable(id, e))?;
        Ok(first.first().is_some_and(|event| event.written_as(1).is_ok()))
    }

    async fn read_tail(&self, way: Way<'_>, id: &AggregateId, live: &mut Live, head: Head) -> Result<(), Failure> {
        while live.last_sequence < head.sequence {
            let events = self
                .events
                .read(id, live.last_sequence + 1, head.sequence, EVENTS_PER_CALL)
                .await
                .map_err(|e| unavailable(id, e))?;
            if events.is_empty() {
                return Err(self.contradiction(id, live.version, "events that the stream just had are gone"));
            }
            self.apply(way, id, live, &events)?;
        }
        Ok(())
    }

    /// Applies events of the stream after checking that a host wrote each of them.
    pub(super) fn apply(
        &self,
        way: Way<'_>,
        id: &AggregateId,
        live: &mut Live,
        events: &[StoredEvent],
    ) -> Result<(), Failure> {
        events.chunks(way.events_per_call).try_for_each(|events| self.apply_at_once(way, id, live, events))
    }

    fn apply_at_once(
        &self,
        way: Way<'_>,
        id: &AggregateId,
        live: &mut Live,
        events: &[StoredEvent],
    ) -> Result<(), Failure> {
        let mut facts = Vec::with_capacity(events.len());
        let mut version = live.version;
        // The code of another host, where this one has not been proven to understand it.
        let mut foreign = None;
        for event in events {
            version += 1;
            let (name, origin) =
                event.written_as(version).map_err(|why| self.not_ours(id, live.version, event, version, &why))?;
            if live.activation().is_overtaken_by(&origin.author) {
                foreign = foreign.or(Some(&origin.author));
            }
            facts.push(DomainEvent { name, payload: event.payload.clone() });
        }
        if let Some(author) = foreign
            && self.succession.is_some()
        {
            return Err(self.outdated(id, author.activation));
        }
        let evolved = live.evolve(&facts);
        if let Some(author) = foreign {
            let understood = match evolved {
                Ok(Ok(())) => live.view().map(drop).map_err(|error| error.to_string()),
                Ok(Err(error)) => Err(error.to_string()),
                // Another aggregate's doing, which says nothing of these events.
                Err(lost @ PluginError::InstanceLost) => return Err(failed(id, lost)),
                Err(error) => Err(error.to_string()),
            };
            if let Err(why) = understood {
                live.doubtful = true;
                return Err(self.not_understood(id, author, &why));
            }
        } else {
            self.park_where_refused(way, id, live, events, evolved)?;
        }
        for event in events {
            if let Ok(origin) = &event.origin {
                live.record(event.sequence, origin);
            }
        }
        Ok(())
    }

    /// Parks the aggregate at the event that the plugin cannot apply, where that is known.
    fn park_where_refused(
        &self,
        way: Way<'_>,
        id: &AggregateId,
        live: &mut Live,
        events: &[StoredEvent],
        evolved: Result<Result<(), EvolveError>, PluginError>,
    ) -> Result<(), Failure> {
        let (index, why) = match evolved {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => (error.index, error.to_string()),
            Err(lost @ PluginError::InstanceLost) => return Err(failed(id, lost)),
            Err(error) if events.len() > 1 || std::ptr::eq(way.instances, &raw const self.instances) => {
                return Err(Failure { unlocated: true, ..failed(id, error) });
            }
            Err(error) => (0, error.to_string()),
        };
        live.doubtful = true;
        let at = events.get(index).map_or(0, |event| event.sequence);
        let message = format!(
            "the event at sequence {at} of the stream cannot be applied by the plugin ({why}): this aggregate is parked until a version of the plugin is live that can"
        );
        tracing::error!(domain = %self.domain, aggregate = %id, sequence = at, error = why, parked = way.parks, "recorded event cannot be applied by the plugin");
        if way.parks {
            self.parked.park(id, at, message.clone(), live.activation());
        }
        Err(Failure::new(Code::PluginFailed, message).about(id))
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

    async fn prove_aged_out(
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

/// A live aggregate is to be loaded anew: what it lacks is no longer in the log.
fn behind_snapshot(id: &AggregateId, live: &mut Live) -> Failure {
    live.doubtful = true;
    let why = "another host has gone further, and those events have aged: send the request again";
    Failure { mendable: true, ..Failure::new(Code::Unavailable, why).about(id) }
}
