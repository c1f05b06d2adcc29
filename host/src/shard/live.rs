//! A live aggregate: its state inside a plugin instance, and beside it everything the host
//! knows of it. Knows nothing of storage.

use std::rc::Rc;
use std::sync::Arc;

use uuid::Uuid;

use crate::activation::Activation;
use crate::clock::Timestamp;
use crate::copy::Copy;
use crate::domain::{Context, Decision, DomainEvent, EvolveError, Handle, PluginError};
use crate::event::Origin;
use crate::instances::{Instances, SharedInstance};
use crate::name::{AggregateId, Name};
use crate::remembered::RememberedCommands;
use crate::snapshot::Snapshot;

/// An aggregate in memory.
pub(super) struct Live {
    instance: Rc<SharedInstance>,
    handle: Handle,
    /// How many events it has.
    pub(super) version: u64,
    /// The last event's position in the stream, 0 where it has none.
    pub(super) last_sequence: u64,
    /// The last event's id.
    pub(super) last_event_id: Uuid,
    /// The last event's time.
    pub(super) last_time: Timestamp,
    /// The last commands that stored events.
    pub(super) commands: RememberedCommands,
    /// Events that are stored and counted, and that the state does not have yet.
    stored: Vec<DomainEvent>,
    /// Whether the state may differ from the log's, so that it must be loaded anew.
    pub(super) doubtful: bool,
    /// Whether retention has removed all its events, so that the stream knows it no more.
    pub(super) aged_out: bool,
    /// The version its newest snapshot has, 0 for none.
    pub(super) snapshot_version: u64,
    /// That snapshot's revision, 0 where unknown.
    pub(super) snapshot_revision: u64,
}

impl Live {
    /// A new aggregate without events.
    pub(super) fn create(instances: &Instances, id: &AggregateId) -> Result<Self, PluginError> {
        let instance = instances.admit()?;
        let handle = instance.call(|i| i.create(id))?;
        Ok(Self {
            instance,
            handle,
            version: 0,
            last_sequence: 0,
            last_event_id: Uuid::nil(),
            last_time: Timestamp(0),
            commands: RememberedCommands::default(),
            stored: Vec::new(),
            doubtful: false,
            aged_out: false,
            snapshot_version: 0,
            snapshot_revision: 0,
        })
    }

    /// An aggregate as a snapshot has it; the inner error is the plugin's refusal.
    pub(super) fn restore(
        instances: &Instances,
        id: &AggregateId,
        snapshot: &Snapshot,
        revision: u64,
    ) -> Result<Result<Self, String>, PluginError> {
        let instance = instances.admit()?;
        let restored = instance.call(|i| i.restore(id, snapshot.state_schema, &snapshot.state))?;
        Ok(restored.map(|handle| Self {
            instance,
            handle,
            version: snapshot.version,
            last_sequence: snapshot.last_sequence,
            last_event_id: snapshot.last_event_id,
            last_time: snapshot.last_time(),
            commands: snapshot.commands.clone(),
            stored: Vec::new(),
            doubtful: false,
            aged_out: false,
            snapshot_version: snapshot.version,
            snapshot_revision: revision,
        }))
    }

    /// Whether it can serve as it stands.
    pub(super) fn is_usable(&self) -> bool {
        self.is_sound() && !self.instance.moves_on()
    }

    /// Whether it should leave memory though nobody asks for it.
    pub(super) fn is_homeless(&self) -> bool {
        self.doubtful || self.instance.ends()
    }

    /// The code it runs.
    pub(super) fn activation(&self) -> &Arc<Activation> {
        self.instance.activation()
    }

    /// Goes on in an instance of the code that is live now, which reads the state of the code
    /// before as its own; the inner error is its refusal.
    pub(super) fn move_on(
        &mut self,
        instances: &Instances,
        id: &AggregateId,
    ) -> Result<Result<(), String>, PluginError> {
        let state_schema = self.activation().description().state_schema;
        let state = self.instance.call(|i| i.snapshot(self.handle))?;
        let instance = instances.admit()?;
        match instance.call(|i| i.restore(id, state_schema, &state))? {
            Err(refusal) => Ok(Err(refusal)),
            Ok(handle) => {
                let (left, behind) =
                    (std::mem::replace(&mut self.instance, instance), std::mem::replace(&mut self.handle, handle));
                // A failure there is that instance's end, and nothing of this aggregate.
                let _ = left.call(|i| i.release(behind));
                Ok(Ok(()))
            }
        }
    }

    /// A throw-away copy of it in one of these instances; the inner error is the plugin's refusal of
    /// its own state.
    pub(super) fn copy(&self, instances: &Instances, id: &AggregateId) -> Result<Result<Copy, String>, PluginError> {
        if self.version == 0 {
            return Copy::create(instances, id).map(Ok);
        }
        let state = self.instance.call(|i| i.snapshot(self.handle))?;
        Copy::restore(instances, id, self.activation().description().state_schema, &state)
    }

    /// Whether its state can be read and is the log's.
    pub(super) fn is_sound(&self) -> bool {
        !self.instance.is_lost() && !self.doubtful
    }

    /// Whether it has events that no snapshot covers.
    pub(super) fn is_unsaved(&self) -> bool {
        self.version > self.snapshot_version
    }

    /// Whether a snapshot would spare whoever loads it anew a read: its last event is read in any case.
    pub(super) fn is_worth_saving(&self) -> bool {
        self.events_behind() > 1
    }

    /// By how many events its newest snapshot is behind.
    pub(super) fn events_behind(&self) -> u64 {
        self.version.saturating_sub(self.snapshot_version)
    }

    /// Whether events are stored that the state does not have yet.
    pub(super) fn is_to_evolve(&self) -> bool {
        !self.stored.is_empty()
    }

    /// The last sequence that the stream must have for an append to be allowed.
    pub(super) fn expected_sequence(&self) -> u64 {
        if self.aged_out { 0 } else { self.last_sequence }
    }

    pub(super) fn decide(&self, context: &Context<'_>, verb: &Name, payload: &[u8]) -> Result<Decision, PluginError> {
        self.instance.call(|i| i.decide(self.handle, context, verb, payload))
    }

    /// Applies events to the state; [`Live::record`] then says where they are.
    pub(super) fn evolve(&self, events: &[DomainEvent]) -> Result<Result<(), EvolveError>, PluginError> {
        self.instance.call(|i| i.evolve(self.handle, events))
    }

    /// Notes an event of the stream that the state has.
    pub(super) fn record(&mut self, sequence: u64, origin: &Origin) {
        self.commands.observe(&origin.command_id, origin.version, sequence);
        self.version = origin.version;
        self.last_sequence = sequence;
        self.last_event_id = origin.event_id;
        self.last_time = self.last_time.max(origin.time);
        self.aged_out = false;
    }

    /// Notes the events of a command that was just stored; [`Live::apply_stored`] follows.
    pub(super) fn record_own(
        &mut self,
        command_id: &str,
        first_sequence: u64,
        events: Vec<DomainEvent>,
        last_event_id: Uuid,
        time: Timestamp,
    ) {
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
        self.stored = events;
        self.commands.remember(command_id, self.version + 1, first_sequence, count);
        self.version += u64::from(count);
        self.last_sequence = first_sequence + u64::from(count) - 1;
        self.last_event_id = last_event_id;
        self.last_time = time;
        self.aged_out = false;
    }

    /// Applies the events that were just stored, which stay stored whatever the plugin does: the
    /// aggregate is doubtful where it cannot apply them. One whose instance was lost meanwhile through
    /// another aggregate is loaded anew, and nothing is said against its events.
    pub(super) fn apply_stored(&mut self) -> Result<(), String> {
        if self.stored.is_empty() {
            return Ok(());
        }
        let stored = std::mem::take(&mut self.stored);
        let applied = match self.evolve(&stored) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                // No call failed, and yet the plugin has: it decided what it cannot apply.
                self.activation().failed(&PluginError::ContractBroken(error.to_string()));
                Err(error.to_string())
            }
            Err(PluginError::InstanceLost) => {
                self.doubtful = true;
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        };
        self.doubtful |= applied.is_err();
        applied
    }

    /// The state for queries.
    pub(super) fn view(&self) -> Result<Vec<u8>, PluginError> {
        self.instance.call(|i| i.view(self.handle))
    }

    /// A snapshot of it as it stands.
    pub(super) fn snapshot(&self) -> Result<Snapshot, PluginError> {
        let state = self.instance.call(|i| i.snapshot(self.handle))?;
        let activation = self.activation();
        Ok(Snapshot {
            version: self.version,
            last_sequence: self.last_sequence,
            last_event_id: self.last_event_id,
            last_time_ms: self.last_time.0,
            code: activation.digest().0,
            state_schema: activation.description().state_schema,
            commands: self.commands.clone(),
            state,
        })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if !self.instance.is_lost() {
            // A failure marks the instance as lost, which is all there is to do about it.
            let _ = self.instance.call(|i| i.release(self.handle));
        }
    }
}
