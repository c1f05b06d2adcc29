//! A counter domain in Rust, where the real ones are components: it does what it is told,
//! failures included, and counts what is asked of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::domain::{
    Context, Decision, Description, Digest, DomainEvent, EvolveError, Generation, Handle, Instance, MessageType,
    PluginError,
};
use crate::name::{AggregateId, IdFormat, Name};

const VERBS: [&str; 7] = ["add", "add_many", "remove", "reach", "stamp", "spoil", "trap"];
const EVENTS: [&str; 4] = ["added", "removed", "stamped", "spoiled"];

/// One version of the counter's code.
pub(crate) struct Counter {
    description: Description,
    code: String,
    quirks: Quirks,
    pub(crate) seen: Arc<Seen>,
}

/// What sets a version apart from the first one.
#[derive(Clone, Copy, Default)]
pub(crate) struct Quirks {
    /// An `added` of so many counts one more.
    pub(crate) miscounts: Option<u64>,
    /// An `added` of so many cannot be applied.
    pub(crate) refuses: Option<u64>,
    /// An `added` of so many traps.
    pub(crate) traps: Option<u64>,
    /// A `spoiled` can be applied.
    pub(crate) knows_spoiled: bool,
    /// How it reads states that it wrote itself.
    pub(crate) own_states: Reads,
    /// How it reads those of other code.
    pub(crate) other_states: Reads,
    /// Whether it reads those of other state schemas at all.
    pub(crate) other_schemas: bool,
}

/// How code reads a state.
#[derive(Clone, Copy, Default)]
pub(crate) enum Reads {
    #[default]
    Rightly,
    /// It declines.
    Not,
    /// As one more.
    Wrongly,
    /// It traps.
    Trapping,
}

/// What was asked of the counter, over all its instances.
#[derive(Default)]
pub(crate) struct Seen {
    /// Aggregates in the memory of instances.
    pub(crate) live: AtomicUsize,
    /// Instances that were started.
    pub(crate) instances: AtomicUsize,
    /// Instances that were not let go.
    pub(crate) live_instances: AtomicUsize,
    /// Decisions.
    pub(crate) decisions: AtomicUsize,
    /// Snapshots that were read.
    pub(crate) restored: AtomicUsize,
}

impl Counter {
    /// Its first version.
    pub(crate) fn new() -> Self {
        Self::of_code("counter 1", 1)
    }

    /// A version of other code, which does the same as the first; it reads the states of its own
    /// state schema and of none other.
    pub(crate) fn of_code(code: &str, state_schema: u32) -> Self {
        let types = |names: &[&str]| -> Vec<MessageType> {
            let of = |name: &&str| MessageType { name: name_of(name), description: String::new(), schema: json!({}) };
            names.iter().map(of).collect()
        };
        let description = Description {
            domain: name_of("counter"),
            version: "1.0.0".into(),
            state_schema,
            id_field: "counter_id".into(),
            id_format: IdFormat::Token,
            commands: types(&VERBS),
            events: types(&EVENTS),
        };
        Self { description, code: code.to_owned(), quirks: Quirks::default(), seen: Arc::default() }
    }

    /// The same with quirks.
    pub(crate) fn with(mut self, quirks: impl FnOnce(&mut Quirks)) -> Self {
        quirks(&mut self.quirks);
        self
    }
}

impl Generation for Counter {
    fn description(&self) -> &Description {
        &self.description
    }

    fn digest(&self) -> Digest {
        Digest::of(self.code.as_bytes())
    }

    fn instantiate(&self) -> Result<Box<dyn Instance>, PluginError> {
        self.seen.instances.fetch_add(1, Ordering::SeqCst);
        self.seen.live_instances.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Running {
            counts: HashMap::new(),
            next: 0,
            state_schema: self.description.state_schema,
            code: self.code.clone(),
            quirks: self.quirks,
            seen: Arc::clone(&self.seen),
        }))
    }
}

struct Running {
    counts: HashMap<u32, u64>,
    next: u32,
    state_schema: u32,
    code: String,
    quirks: Quirks,
    seen: Arc<Seen>,
}

impl Running {
    fn admit(&mut self, count: u64) -> Handle {
        self.seen.live.fetch_add(1, Ordering::SeqCst);
        self.next += 1;
        self.counts.insert(self.next, count);
        Handle(self.next)
    }

    fn count(&self, aggregate: Handle) -> u64 {
        self.counts[&aggregate.0]
    }
}

impl Instance for Running {
    fn create(&mut self, _: &AggregateId) -> Result<Handle, PluginError> {
        Ok(self.admit(0))
    }

    fn restore(
        &mut self,
        _: &AggregateId,
        state_schema: u32,
        state: &[u8],
    ) -> Result<Result<Handle, String>, PluginError> {
        if state_schema != self.state_schema && !self.quirks.other_schemas {
            return Ok(Err(format!("schema {state_schema} is foreign")));
        }
        let (code, count) = std::str::from_utf8(state).expect("text").split_once('=').expect("code and count");
        let count = count.parse::<u64>().expect("a count");
        let count = match if code == self.code { self.quirks.own_states } else { self.quirks.other_states } {
            Reads::Rightly => count,
            Reads::Wrongly => count + 1,
            Reads::Not => return Ok(Err(format!("a state of {code} is foreign"))),
            Reads::Trapping => return Err(PluginError::Trapped("by a state".into())),
        };
        self.seen.restored.fetch_add(1, Ordering::SeqCst);
        Ok(Ok(self.admit(count)))
    }

    fn decide(
        &mut self,
        aggregate: Handle,
        context: &Context<'_>,
        verb: &Name,
        payload: &[u8],
    ) -> Result<Decision, PluginError> {
        self.seen.decisions.fetch_add(1, Ordering::SeqCst);
        let payload: Value = serde_json::from_slice(payload).expect("checked to be JSON");
        let n = payload["n"].as_u64().unwrap_or_default();
        let count = self.count(aggregate);
        let decision = match verb.as_str() {
            "add" if n == 0 => return Ok(Decision::Invalid { field: "n".into(), message: "adds nothing".into() }),
            "add" => vec![event("added", &payload)],
            "add_many" => (0..n).map(|_| event("added", &json!({ "n": 1 }))).collect(),
            "remove" if n > count => {
                return Ok(Decision::Rejected { reason: "too_few".into(), message: format!("there are {count}") });
            }
            "remove" => vec![event("removed", &payload)],
            "reach" if count >= n => vec![],
            "reach" => vec![event("added", &json!({ "n": n - count }))],
            "stamp" => vec![event("stamped", &json!({ "time": context.time.0 }))],
            "spoil" => vec![event("spoiled", &json!({}))],
            _ => return Err(PluginError::Trapped("told to".into())),
        };
        Ok(Decision::Events(decision))
    }

    fn evolve(&mut self, aggregate: Handle, events: &[DomainEvent]) -> Result<Result<(), EvolveError>, PluginError> {
        for (index, event) in events.iter().enumerate() {
            let payload: Value = serde_json::from_slice(&event.payload).expect("JSON");
            let n = payload["n"].as_u64().unwrap_or_default();
            let count = self.count(aggregate);
            let quirks = &self.quirks;
            let count = match event.name.as_str() {
                "added" if quirks.miscounts == Some(n) => count + n + 1,
                "added" if quirks.refuses == Some(n) => {
                    return Ok(Err(EvolveError { index, message: format!("{n} cannot be added") }));
                }
                "added" if quirks.traps == Some(n) => return Err(PluginError::Trapped("by an event".into())),
                "added" => count + n,
                "removed" => count - n,
                "stamped" => count,
                "spoiled" if quirks.knows_spoiled => count,
                other => return Ok(Err(EvolveError { index, message: format!("`{other}` cannot be applied") })),
            };
            // Event by event, so that those before one that fails have their effect.
            self.counts.insert(aggregate.0, count);
        }
        Ok(Ok(()))
    }

    fn snapshot(&mut self, aggregate: Handle) -> Result<Vec<u8>, PluginError> {
        Ok(format!("{}={}", self.code, self.count(aggregate)).into_bytes())
    }

    fn view(&mut self, aggregate: Handle) -> Result<Vec<u8>, PluginError> {
        Ok(json!({ "count": self.count(aggregate) }).to_string().into_bytes())
    }

    fn release(&mut self, aggregate: Handle) -> Result<(), PluginError> {
        self.seen.live.fetch_sub(1, Ordering::SeqCst);
        self.counts.remove(&aggregate.0);
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.seen.live.fetch_sub(self.counts.len(), Ordering::SeqCst);
        self.seen.live_instances.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An event of the domain.
pub(crate) fn event(name: &str, payload: &Value) -> DomainEvent {
    DomainEvent { name: name_of(name), payload: payload.to_string().into() }
}

pub(crate) fn name_of(name: &str) -> Name {
    Name::new(name).expect("a name")
}
