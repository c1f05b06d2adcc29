//! Events are tried out on a throw-away copy before they are stored: all that new code decides while
//! it is on probation, and a share of what code decides later. What does not survive that is never
//! stored. Knows nothing of storage.

use std::cell::Cell;
use std::sync::Arc;

use super::live::Live;
use crate::activation::Activation;
use crate::domain::{DomainEvent, PluginError};
use crate::instances::Instances;
use crate::name::{AggregateId, Name};

/// Where copies live, apart from what serves: a trap takes nobody down.
pub(super) struct Trials {
    instances: Instances,
    percent: u8,
    /// What has added up of the share since the last trial.
    due: Cell<u8>,
}

/// An event that does not survive its trial.
#[derive(Debug, thiserror::Error)]
#[error("the plugin decided the event `{event}` and cannot apply it ({why}): nothing is stored")]
pub(super) struct TrialFailed {
    event: Name,
    why: String,
}

impl Trials {
    /// Trials of this code: of so many commands in a hundred once it is no longer on probation.
    pub(super) fn new(activation: Arc<Activation>, percent: u8) -> Self {
        Self { instances: Instances::new(activation, 1), percent, due: Cell::default() }
    }

    /// Other code is live.
    pub(super) fn activate(&self, activation: Arc<Activation>) {
        self.instances.activate(activation);
    }

    /// Instances of the live code in which nobody lives.
    pub(super) fn instances(&self) -> &Instances {
        &self.instances
    }

    /// Whether the events that this code has just decided are to be tried out.
    pub(super) fn are_due(&self, decided_by: &Arc<Activation>) -> bool {
        // Code that was live when the command began, and is no more, is tried no more.
        if !Arc::ptr_eq(decided_by, &self.instances.activation()) {
            return false;
        }
        if decided_by.is_tried_out() {
            return true;
        }
        let due = self.due.get() + self.percent;
        self.due.set(due % 100);
        due >= 100
    }

    /// Applies events to a copy of the aggregate.
    ///
    /// # Errors
    /// [`TrialFailed`] names the first that cannot be applied. A copy that cannot be made says nothing
    /// of the events; it counts against the code.
    pub(super) fn run(&self, id: &AggregateId, live: &Live, events: &[DomainEvent]) -> Result<(), TrialFailed> {
        let why = match live.copy(&self.instances, id) {
            Ok(Ok(copy)) => {
                return events.iter().try_for_each(|event| {
                    let why = match copy.apply(event) {
                        Ok(Ok(())) => return Ok(()),
                        Ok(Err(error)) => {
                            // No call failed, and yet the plugin has.
                            live.activation().failed(&PluginError::ContractBroken(error.message.clone()));
                            error.message
                        }
                        Err(error) => error.to_string(),
                    };
                    Err(TrialFailed { event: event.name.clone(), why })
                });
            }
            Ok(Err(refusal)) => {
                live.activation().failed(&PluginError::ContractBroken(refusal.clone()));
                format!("it does not read its own state: {refusal}")
            }
            Err(error) => error.to_string(),
        };
        tracing::error!(aggregate = %id, plugin = &*live.activation().author.plugin, why, "events cannot be tried out: the plugin gives no copy of its state");
        Ok(())
    }
}
