//! A log of the counter domain and its snapshots, written without a host. Knows nothing of those who
//! read it.

use std::cell::RefCell;
use std::collections::HashMap;

use futures::executor::block_on;
use serde_json::{Value, json};

use super::counter::{Counter, event, name_of};
use super::shelf::Shelf;
use crate::activation::plugin_text;
use crate::clock::Timestamp;
use crate::domain::{Author, Generation};
use crate::event::{NewEvents, RecordedCommand, event_id};
use crate::name::AggregateId;
use crate::snapshot::Snapshot;
use crate::store::memory::events::MemoryEvents;
use crate::store::{EventStore, Replica, SnapshotStore};

/// A log and snapshots.
pub(crate) struct Recorded {
    pub(crate) events: MemoryEvents,
    pub(crate) snapshots: Shelf,
    /// How many events each aggregate has had.
    versions: RefCell<HashMap<AggregateId, u64>>,
}

impl Recorded {
    pub(crate) fn new() -> Self {
        Self { events: MemoryEvents::new(), snapshots: Shelf::default(), versions: RefCell::default() }
    }

    /// Appends an `added` of so many to the counter's history; gives its sequence.
    pub(crate) fn added(&self, counter: &str, n: u64) -> u64 {
        self.happened(counter, "added", &json!({ "n": n }))
    }

    /// Appends an event to the counter's history; gives its sequence.
    pub(crate) fn happened(&self, counter: &str, name: &str, payload: &Value) -> u64 {
        let id = id(counter);
        let head = block_on(self.events.head(&id, Replica::Leader)).expect("the log answers");
        let mut versions = self.versions.borrow_mut();
        let version = versions.entry(id.clone()).or_default();
        *version += 1;
        let command_id = format!("command-{version}");
        let appended = self.events.append(NewEvents {
            expected_sequence: head.map_or(0, |head| head.sequence),
            first_version: *version,
            time: Timestamp(*version),
            author: Author { plugin: plugin_text(&Counter::new()), activation: 1 },
            correlation_id: command_id.clone(),
            actor: None,
            traceparent: None,
            tracestate: None,
            events: vec![event(name, payload)],
            event_ids: vec![event_id(&name_of("counter"), &id, &command_id, 0)],
            command_id,
            id,
        });
        block_on(appended).expect("the log takes it").first_sequence
    }

    /// Keeps the command that led to the counter's event at this version, as a stream does that
    /// captures commands; without an id it is one that the host gave its id.
    pub(crate) fn asked(&self, counter: &str, verb: &str, n: u64, version: Option<u64>) {
        let id = version.map(|version| ("Nats-Msg-Id".to_owned(), format!("command-{version}")));
        self.events.keep_command(RecordedCommand {
            subject: format!("counter.commands.{counter}.{verb}"),
            headers: id.into_iter().collect(),
            payload: json!({ "n": n }).to_string().into(),
        });
    }

    /// Leaves a snapshot of the counter as it stands, written by this code, which shows this count.
    pub(crate) fn leave_snapshot(&self, counter: &str, code: &Counter, count: u64) {
        let id = id(counter);
        let last = self.events.of(&id).pop().expect("it has events");
        let origin = last.origin.expect("a host wrote it");
        let mut instance = code.instantiate().expect("an instance");
        let aggregate = instance.create(&id).expect("an aggregate");
        let evolved = instance.evolve(aggregate, &[event("added", &json!({ "n": count }))]);
        evolved.expect("no trap").expect("it can be applied");
        let snapshot = Snapshot {
            version: origin.version,
            last_sequence: last.sequence,
            last_event_id: origin.event_id,
            last_time_ms: origin.time.0,
            code: code.digest().0,
            state_schema: code.description().state_schema,
            commands: Default::default(),
            state: instance.snapshot(aggregate).expect("a state"),
        };
        block_on(self.snapshots.save(&id, snapshot, 0)).expect("the shelf takes it");
    }
}

pub(crate) fn id(id: &str) -> AggregateId {
    AggregateId::new(id).expect("an id")
}
