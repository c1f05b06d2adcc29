//! Events on their way into the store and out of it. Knows what an event must say of
//! itself, not how it is carried.

use bytes::Bytes;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::domain::{Author, DomainEvent};
use crate::message::Command;
use crate::name::{AggregateId, Name};

/// Namespace of the UUIDv5 that events bear as their id.
const EVENT_NAMESPACE: Uuid = Uuid::from_u128(0x5f0c_1f5e_8a4b_5d0e_9c54_6b1f_7d2a_e301);

/// The events of one command, to be stored all or none.
#[derive(Debug, Clone)]
pub struct NewEvents {
    /// The aggregate.
    pub id: AggregateId,
    /// Last sequence of the aggregate in the stream, 0 where it has none.
    pub expected_sequence: u64,
    /// Version of the first event.
    pub first_version: u64,
    /// When they were decided.
    pub time: Timestamp,
    /// The code that decided them.
    pub author: Author,
    /// The id of the command that caused them.
    pub command_id: String,
    /// Its correlation id.
    pub correlation_id: String,
    /// Its actor.
    pub actor: Option<String>,
    /// Its trace context.
    pub traceparent: Option<String>,
    /// What tracing systems keep beside that.
    pub tracestate: Option<String>,
    /// The facts, at least one.
    pub events: Vec<DomainEvent>,
    /// Their ids, one for each.
    pub event_ids: Vec<Uuid>,
}

impl NewEvents {
    /// The events of `command` in its domain, which found the aggregate at `version`.
    pub fn of(
        domain: &Name,
        command: &Command,
        version: u64,
        expected_sequence: u64,
        time: Timestamp,
        author: Author,
        events: Vec<DomainEvent>,
    ) -> Self {
        Self {
            id: command.id.clone(),
            expected_sequence,
            first_version: version + 1,
            time,
            author,
            command_id: command.command_id.clone(),
            correlation_id: command.correlation().to_owned(),
            actor: command.actor.clone(),
            traceparent: command.traceparent.clone(),
            tracestate: command.tracestate.clone(),
            event_ids: (0..events.len())
                .map(|index| event_id(domain, &command.id, &command.command_id, index))
                .collect(),
            events,
        }
    }
}

/// The id of a command's event: the same whenever that command of that aggregate leads to
/// an event at that index, and never the command's id itself, which another aggregate may share.
pub fn event_id(domain: &Name, id: &AggregateId, command_id: &str, index: usize) -> Uuid {
    // None of the parts can hold a NUL.
    Uuid::new_v5(&EVENT_NAMESPACE, format!("{domain}\0{id}\0{command_id}\0{index}").as_bytes())
}

/// The seed of a decision: the same whenever this command of this aggregate is decided.
pub fn decision_seed(domain: &Name, id: &AggregateId, command_id: &str) -> (u64, u64) {
    event_id(domain, id, command_id, usize::MAX).as_u64_pair()
}

/// An event as the stream has it.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Its position in the stream.
    pub sequence: u64,
    /// When the log stored it, by the log's own clock: its age counts from then.
    pub stored: Timestamp,
    /// The last token of its subject.
    pub name: String,
    /// Its payload.
    pub payload: Bytes,
    /// The last sequence of its aggregate that it was to follow, by which the log judged it; `None`
    /// where that was not stated, as by later events of one command.
    pub after: Option<u64>,
    /// What its headers say, or what is wrong with them.
    pub origin: Result<Origin, String>,
}

/// A command as a stream has captured it, unread.
#[derive(Debug, Clone)]
pub struct RecordedCommand {
    /// Its subject.
    pub subject: String,
    /// Its headers, the first value of each.
    pub headers: Vec<(String, String)>,
    /// Its payload.
    pub payload: Bytes,
}

/// Where an event comes from, by its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `ce-id`.
    pub event_id: Uuid,
    /// The aggregate's version with it.
    pub version: u64,
    /// When it was decided.
    pub time: Timestamp,
    /// The id of the command that caused it.
    pub command_id: String,
    /// The correlation id.
    pub correlation_id: String,
    /// The actor, as the client claimed.
    pub actor: Option<String>,
    /// The code that decided it.
    pub author: Author,
}

impl StoredEvent {
    /// Its id, where a host wrote it.
    pub fn event_id(&self) -> Option<Uuid> {
        self.origin.as_ref().ok().map(|origin| origin.event_id)
    }

    /// The version it bears, where a host wrote it.
    pub fn version(&self) -> Option<u64> {
        self.origin.as_ref().ok().map(|origin| origin.version)
    }

    /// The activation number of the code that decided it, 0 where it has none.
    pub fn activation(&self) -> u64 {
        self.origin.as_ref().map_or(0, |origin| origin.author.activation)
    }

    /// The event's name and origin, where a host wrote it as version `version` of its aggregate.
    ///
    /// # Errors
    /// In words what shows that no host wrote it.
    pub fn written_as(&self, version: u64) -> Result<(Name, &Origin), String> {
        let origin = self.origin.as_ref().map_err(Clone::clone)?;
        if origin.version != version {
            return Err(format!("it bears version {}, version {version} is next", origin.version));
        }
        let name = Name::new(&self.name).map_err(|error| error.to_string())?;
        Ok((name, origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_ids_differ_in_every_part() {
        let name = |n| Name::new(n).expect("a name");
        let id = |i| AggregateId::new(i).expect("an id");
        let first = event_id(&name("agent"), &id("a"), "c", 0);
        assert_eq!(first, event_id(&name("agent"), &id("a"), "c", 0));
        assert_eq!(first.get_version_num(), 5);
        for other in [
            event_id(&name("orders"), &id("a"), "c", 0),
            event_id(&name("agent"), &id("b"), "c", 0),
            event_id(&name("agent"), &id("a"), "d", 0),
            event_id(&name("agent"), &id("a"), "c", 1),
        ] {
            assert_ne!(first, other);
        }
    }
}
