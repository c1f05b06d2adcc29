//! A log of the counter domain, written without a host, and gates over it.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use serde_json::{Value, json};

use crate::activation::{Activation, plugin_text};
use crate::clock::Timestamp;
use crate::domain::{Author, Digest, Generation};
use crate::event::{NewEvents, RecordedCommand, event_id};
use crate::gate::{Budget, Gate, Report};
use crate::name::AggregateId;
use crate::snapshot::Snapshot;
use crate::store::memory::events::MemoryEvents;
use crate::store::{EventStore, SnapshotStore, Unavailable};
use crate::testing::counter::{Counter, event, name_of};
use crate::testing::shelf::Shelf;

/// Far longer than any gate of these tests takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A log and snapshots.
pub(super) struct Recorded {
    pub(super) events: MemoryEvents,
    pub(super) snapshots: Shelf,
    /// How many events each aggregate has had.
    versions: RefCell<HashMap<AggregateId, u64>>,
}

impl Recorded {
    pub(super) fn new() -> Self {
        Self { events: MemoryEvents::new(), snapshots: Shelf::default(), versions: RefCell::default() }
    }

    /// Appends an `added` of so many to the counter's history; gives its sequence.
    pub(super) fn added(&self, counter: &str, n: u64) -> u64 {
        self.happened(counter, "added", &json!({ "n": n }))
    }

    /// Appends an event to the counter's history; gives its sequence.
    pub(super) fn happened(&self, counter: &str, name: &str, payload: &Value) -> u64 {
        let id = id(counter);
        let head = block_on(self.events.head(&id)).expect("the log answers");
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
            events: vec![event(name, payload)],
            event_ids: vec![event_id(&name_of("counter"), &id, &command_id, 0)],
            command_id,
            id,
        });
        block_on(appended).expect("the log takes it").first_sequence
    }

    /// Keeps the command that led to the counter's event at this version, as a stream does that
    /// captures commands; without an id it is one that the host gave its id.
    pub(super) fn asked(&self, counter: &str, verb: &str, n: u64, version: Option<u64>) {
        let id = version.map(|version| ("Nats-Msg-Id".to_owned(), format!("command-{version}")));
        self.events.keep_command(RecordedCommand {
            subject: format!("counter.commands.{counter}.{verb}"),
            headers: id.into_iter().collect(),
            payload: json!({ "n": n }).to_string().into(),
        });
    }

    /// Leaves a snapshot of the counter as it stands, written by this code, which shows this count.
    pub(super) fn leave_snapshot(&self, counter: &str, code: &Counter, count: u64) {
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

    /// Holds a candidate against live code, with time and room enough.
    pub(super) fn gate(&self, candidate: Counter, live: Option<Counter>) -> Report {
        self.gate_with(candidate, live, |_| {}).expect("the log answers")
    }

    /// The same with other settings.
    pub(super) fn gate_with<'a>(
        &self,
        candidate: Counter,
        live: Option<Counter>,
        settings: impl FnOnce(&mut Gate<'a>),
    ) -> Result<Report, Unavailable> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut gate = Gate {
            candidate: Arc::new(candidate),
            candidate_reads: BTreeSet::new(),
            live: live.map(|live| Arc::new(Activation::new(Arc::new(live), 1, BTreeSet::new()))),
            events: Arc::new(self.events.clone()),
            snapshots: Arc::new(self.snapshots.clone()),
            recent: Vec::new(),
            budget: Budget { time: PATIENCE, aggregates: 1_000 },
            runtime: runtime.handle().clone(),
            progress: &|_| {},
        };
        settings(&mut gate);
        gate.run()
    }
}

/// Code that does the same as the first version.
pub(super) fn candidate() -> Counter {
    Counter::of_code("candidate", 1)
}

/// The same that has raised its state schema, and reads the older one.
pub(super) fn raised_candidate() -> Counter {
    Counter::of_code("candidate", 2).with(|quirks| quirks.other_schemas = true)
}

/// What code is live.
pub(super) fn live() -> Option<Counter> {
    Some(Counter::new())
}

/// The digest of the code that is live.
pub(super) fn live_digest() -> Digest {
    Counter::new().digest()
}

pub(super) fn id(id: &str) -> AggregateId {
    AggregateId::new(id).expect("an id")
}
