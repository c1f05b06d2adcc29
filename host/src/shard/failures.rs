//! Why an aggregate cannot be had, said to whoever asks for it and to the log: what happened, where,
//! and what to do. Knows nothing of how it was found.

use std::num::NonZeroU64;

use super::pipeline::Pipeline;
use crate::domain::{Author, Digest, PluginError};
use crate::event::StoredEvent;
use crate::message::{Code, Failure};
use crate::name::AggregateId;
use crate::snapshot::Snapshot;

impl Pipeline {
    /// The aggregate has events of code that went live after this host's: old code never serves
    /// what new code has written, so the host goes on to it first.
    pub(super) fn outdated(&self, id: &AggregateId, newer: u64) -> Failure {
        let own = self.instances.activation().number();
        let message = format!(
            "this aggregate has events of activation {newer}, and this host serves activation {own}: send the request again, this host is to follow"
        );
        Failure { awaits: NonZeroU64::new(newer), ..Failure::new(Code::Unavailable, message).about(id) }
    }

    /// Events of code that this host has never run, and that its own does not understand: no
    /// fault of theirs.
    pub(super) fn not_understood(&self, id: &AggregateId, author: &Author, why: &str) -> Failure {
        tracing::warn!(domain = %self.domain, aggregate = %id, newer = &*author.plugin, why, "another host runs newer code, whose events the code of this one does not understand");
        let message = format!(
            "this aggregate has events of code that this host does not run ({}), and its own does not understand them ({why}): give this host the newer plugin",
            author.plugin
        );
        Failure::new(Code::Unavailable, message).about(id)
    }

    /// An event out of turn: the oldest ones are gone, or no host wrote it.
    pub(super) fn not_ours(
        &self,
        id: &AggregateId,
        at_version: u64,
        event: &StoredEvent,
        expected: u64,
        why: &str,
    ) -> Failure {
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
    pub(super) fn incomplete(&self, id: &AggregateId, first_version: u64) -> Failure {
        tracing::error!(domain = %self.domain, aggregate = %id, first_version, "older events are gone and no snapshot covers them");
        let message = format!(
            "the first event left of this aggregate has version {first_version} and no usable snapshot covers those before it: restore the stream or the snapshot from a backup"
        );
        Failure::new(Code::Unavailable, message).about(id)
    }

    /// Nothing but the snapshot of other code says what the state was, and nothing proves that
    /// the live code takes it for the same.
    pub(super) fn unproven(&self, id: &AggregateId, snapshot: &Snapshot, why_needed: &str) -> Failure {
        let code = Digest(snapshot.code);
        tracing::error!(domain = %self.domain, aggregate = %id, %code, "the snapshot was written by other code, and the events are not there to replace it");
        let message = format!(
            "the snapshot of this aggregate was written by other code ({code}) of the same state schema number, and {why_needed}: serve that code again, or raise the plugin's state schema number and let it read the older one"
        );
        Failure::new(Code::Unavailable, message).about(id)
    }

    /// What is known of the aggregate contradicts the stream: a lost, restored or recreated log.
    pub(super) fn contradiction(&self, id: &AggregateId, version: u64, what: &str) -> Failure {
        tracing::error!(domain = %self.domain, aggregate = %id, version, what, "the stream contradicts what is known of an aggregate: was it lost, restored or recreated?");
        self.metrics.contradictions.add(1);
        self.metrics.doubts.note(id);
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
