//! Brings an aggregate into memory and up to date: snapshot and tail, held against each
//! other. What contradicts the stream is an error, never a guess.

use std::num::NonZeroU64;

use super::live::Live;
use super::pipeline::Pipeline;
use crate::activation::Reading;
use crate::domain::{Author, Digest, DomainEvent, PluginError};
use crate::event::StoredEvent;
use crate::message::{Code, Failure};
use crate::name::AggregateId;
use crate::snapshot::Snapshot;
use crate::store::{Found, Head};

/// Events handed to the plugin in one call: enough to make the call's cost vanish, few
/// enough for one deadline.
const EVENTS_PER_CALL: usize = 256;

impl Pipeline {
    /// The aggregate as the log has it, read from its leader.
    pub(super) async fn load(&self, id: &AggregateId) -> Result<Live, Failure> {
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
            (None, None) => Live::create(&self.instances, id).map_err(|e| failed(id, e))?,
            (None, Some(head)) => self.replay(id, head).await?,
            (Some(snapshot), head) => self.resume(id, &snapshot, revision, head).await?,
        };
        live.snapshot_revision = revision;
        Ok(live)
    }

    /// Reads and applies what the log's leader has beyond `live`. Gives whether there was anything.
    pub(super) async fn catch_up(&self, id: &AggregateId, live: &mut Live) -> Result<bool, Failure> {
        match self.events.head(id).await.map_err(|e| unavailable(id, e))? {
            Some(head) if head.sequence > live.last_sequence => {
                self.read_tail(id, live, head).await?;
                Ok(true)
            }
            Some(head) if head.sequence == live.last_sequence && head.event_id == Some(live.last_event_id) => Ok(false),
            Some(_) => {
                live.doubtful = true;
                Err(self.contradiction(id, live.version, "the stream has no such last event"))
            }
            None if live.version == 0 || live.aged_out => Ok(false),
            None => {
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

    async fn resume(
        &self,
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
            let mut live = self.restore(id, snapshot, revision, "its events have aged")?;
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
                return self.replay(id, head).await;
            }
            return Err(self.unproven(id, snapshot, "its events are no longer complete"));
        }
        let mut live = match self.restore(id, snapshot, revision, "its events are no longer complete") {
            Ok(live) => live,
            Err(failure) if failure.code == Code::Unavailable && self.is_complete(id, head).await? => {
                return self.replay(id, head).await;
            }
            Err(failure) => return Err(failure),
        };
        self.apply(id, &mut live, &tail)?;
        if live.last_sequence < head.sequence {
            self.read_tail(id, &mut live, head).await?;
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
    async fn replay(&self, id: &AggregateId, head: Head) -> Result<Live, Failure> {
        let mut live = Live::create(&self.instances, id).map_err(|e| failed(id, e))?;
        self.metrics.replays.add(1);
        self.read_tail(id, &mut live, head).await?;
        Ok(live)
    }

    /// Whether the aggregate's first event is still there.
    async fn is_complete(&self, id: &AggregateId, head: Head) -> Result<bool, Failure> {
        let first = self.events.read(id, 1, head.sequence, 1).await.map_err(|e| unavailable(id, e))?;
        Ok(first.first().is_some_and(|event| event.written_as(1).is_ok()))
    }

    async fn read_tail(&self, id: &AggregateId, live: &mut Live, head: Head) -> Result<(), Failure> {
        while live.last_sequence < head.sequence {
            let events = self
                .events
                .read(id, live.last_sequence + 1, head.sequence, EVENTS_PER_CALL)
                .await
                .map_err(|e| unavailable(id, e))?;
            if events.is_empty() {
                return Err(self.contradiction(id, live.version, "events that the stream just had are gone"));
            }
            self.apply(id, live, &events)?;
        }
        Ok(())
    }

    /// Applies events of the stream after checking that a host wrote each of them.
    pub(super) fn apply(&self, id: &AggregateId, live: &mut Live, events: &[StoredEvent]) -> Result<(), Failure> {
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
        } else if let Err(error) = evolved.map_err(|e| failed(id, e))? {
            live.doubtful = true;
            let at = events.get(error.index).map_or(0, |event| event.sequence);
            tracing::error!(domain = %self.domain, aggregate = %id, sequence = at, %error, "recorded event cannot be applied by the plugin");
            let message = format!("the event at sequence {at} of the stream cannot be applied by the plugin: {error}");
            return Err(Failure::new(Code::PluginFailed, message).about(id));
        }
        for event in events {
            if let Ok(origin) = &event.origin {
                live.record(event.sequence, origin);
            }
        }
        Ok(())
    }

    /// The aggregate has events of code that went live after this host's: old code never serves
    /// what new code has written, so the host goes on to it first.
    fn outdated(&self, id: &AggregateId, newer: u64) -> Failure {
        let own = self.instances.activation().number();
        let message = format!(
            "this aggregate has events of activation {newer}, and this host serves activation {own}: send the request again, this host is to follow"
        );
        Failure { awaits: NonZeroU64::new(newer), ..Failure::new(Code::Unavailable, message).about(id) }
    }

    /// Events of code that this host has never run, and that its own does not understand: no
    /// fault of theirs.
    fn not_understood(&self, id: &AggregateId, author: &Author, why: &str) -> Failure {
        tracing::warn!(domain = %self.domain, aggregate = %id, newer = &*author.plugin, why, "another host runs newer code, whose events the code of this one does not understand");
        let message = format!(
            "this aggregate has events of code that this host does not run ({}), and its own does not understand them ({why}): give this host the newer plugin",
            author.plugin
        );
        Failure::new(Code::Unavailable, message).about(id)
    }

    /// An event out of turn: the oldest ones are gone, or no host wrote it.
    fn not_ours(&self, id: &AggregateId, at_version: u64, event: &StoredEvent, expected: u64, why: &str) -> Failure {
        let sequence = event.sequence;
        if let Ok(origin) = &event.origin
            && at_version == 0
            && expected == 1
            && origin.version > 1
        {
            return self.incomplete(id, origin.version);
        }
        tracing::error!(domain = %self.domain, aggregate = %id, sequence, why, "event was not written by a host: its aggregate is parked");
        forged(id, sequence, why)
    }

    /// Retention has removed events that no snapshot covers.
    fn incomplete(&self, id: &AggregateId, first_version: u64) -> Failure {
        tracing::error!(domain = %self.domain, aggregate = %id, first_version, "older events are gone and no snapshot covers them");
        let message = format!(
            "the first event left of this aggregate has version {first_version} and no usable snapshot covers those before it: restore the stream or the snapshot from a backup"
        );
        Failure::new(Code::Unavailable, message).about(id)
    }

    fn restore(&self, id: &AggregateId, snapshot: &Snapshot, revision: u64, why_needed: &str) -> Result<Live, Failure> {
        Live::restore(&self.instances, id, snapshot, revision).map_err(|e| failed(id, e))?.map_err(|refusal| {
            tracing::error!(domain = %self.domain, aggregate = %id, refusal, "plugin does not read the snapshot");
            let message = format!("the plugin does not read the snapshot of this aggregate ({refusal}), and {why_needed}: serve it with the plugin that wrote it");
            Failure::new(Code::Unavailable, message).about(id)
        })
    }

    /// Nothing but the snapshot of other code says what the state was, and nothing proves that
    /// the live code takes it for the same.
    fn unproven(&self, id: &AggregateId, snapshot: &Snapshot, why_needed: &str) -> Failure {
        let code = Digest(snapshot.code);
        tracing::error!(domain = %self.domain, aggregate = %id, %code, "the snapshot was written by other code, and the events are not there to replace it");
        let message = format!(
            "the snapshot of this aggregate was written by other code ({code}) of the same state schema number, and {why_needed}: serve that code again, or raise the plugin's state schema number and let it read the older one"
        );
        Failure::new(Code::Unavailable, message).about(id)
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

    /// What is known of the aggregate contradicts the stream: a lost, restored or recreated log.
    fn contradiction(&self, id: &AggregateId, version: u64, what: &str) -> Failure {
        tracing::error!(domain = %self.domain, aggregate = %id, version, what, "the stream contradicts what is known of an aggregate: was it lost, restored or recreated?");
        self.metrics.contradictions.add(1);
        let message = format!(
            "the stream contradicts the snapshot of this aggregate at version {version}: {what}. Restore the stream, or delete the snapshot to go on without the lost events"
        );
        Failure::new(Code::Unavailable, message).about(id)
    }
}

/// An event that no host wrote: its aggregate is parked.
pub(super) fn forged(id: &AggregateId, sequence: u64, why: &str) -> Failure {
    let message = format!(
        "the event at sequence {sequence} of the stream was not written by a host ({why}): remove it from the stream to free this aggregate"
    );
    Failure::new(Code::PluginFailed, message).about(id)
}

/// Storage cannot answer: nothing was or will be stored.
pub(super) fn unavailable(id: &AggregateId, error: crate::store::Unavailable) -> Failure {
    Failure::new(Code::Unavailable, error.0).about(id)
}

/// The plugin failed, or what it shared its instance with.
pub(super) fn failed(id: &AggregateId, error: PluginError) -> Failure {
    let mendable = matches!(error, PluginError::InstanceLost);
    Failure { mendable, ..Failure::new(Code::PluginFailed, error.to_string()).about(id) }
}
