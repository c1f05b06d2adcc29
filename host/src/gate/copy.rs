//! A throw-away aggregate of some code, to be held against another one. Knows nothing of
//! storage.

use std::rc::Rc;

use crate::domain::{Context, Decision, DomainEvent, Handle, PluginError};
use crate::instances::{Instances, SharedInstance};
use crate::name::{AggregateId, Name};

/// An aggregate that serves nobody.
pub(crate) struct Copy {
    instance: Rc<SharedInstance>,
    handle: Handle,
}

/// Why a copy does not follow an event.
pub(crate) enum NotFollowed {
    /// The code cannot apply it, or fails.
    Failed(String),
    /// Its instance was lost to the failure of another aggregate.
    Lost,
}

impl Copy {
    /// A new aggregate without events.
    pub(crate) fn create(instances: &Instances, id: &AggregateId) -> Result<Self, PluginError> {
        let instance = instances.admit()?;
        let handle = instance.call(|i| i.create(id))?;
        Ok(Self { instance, handle })
    }

    /// An aggregate from a state; the inner error is the code's refusal to read it.
    pub(crate) fn restore(
        instances: &Instances,
        id: &AggregateId,
        state_schema: u32,
        state: &[u8],
    ) -> Result<Result<Self, String>, PluginError> {
        let instance = instances.admit()?;
        let restored = instance.call(|i| i.restore(id, state_schema, state))?;
        Ok(restored.map(|handle| Self { instance, handle }))
    }

    /// Applies an event.
    pub(crate) fn evolve(&self, event: &DomainEvent) -> Result<(), NotFollowed> {
        match self.instance.call(|i| i.evolve(self.handle, std::slice::from_ref(event))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(NotFollowed::Failed(error.message)),
            Err(PluginError::InstanceLost) => Err(NotFollowed::Lost),
            Err(error) => Err(NotFollowed::Failed(error.to_string())),
        }
    }

    /// Whether nothing can be asked of it any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.instance.is_lost()
    }

    /// The state for queries.
    pub(crate) fn view(&self) -> Result<Vec<u8>, PluginError> {
        self.instance.call(|i| i.view(self.handle))
    }

    /// What the code decides on a command.
    pub(crate) fn decide(&self, context: &Context<'_>, verb: &Name, payload: &[u8]) -> Result<Decision, PluginError> {
        self.instance.call(|i| i.decide(self.handle, context, verb, payload))
    }

    /// The state in the code's own format.
    pub(crate) fn snapshot(&self) -> Result<Vec<u8>, PluginError> {
        self.instance.call(|i| i.snapshot(self.handle))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if !self.is_lost() {
            // A failure marks the instance as lost, which is all there is to do about it.
            let _ = self.instance.call(|i| i.release(self.handle));
        }
    }
}
