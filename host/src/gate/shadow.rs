//! A shadow: a candidate decides live commands beside the live code, without effect. It reads each
//! aggregate's events for itself, so it can do no harm but read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use hashlink::LruCache;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::diff::{Place, diff};
use super::report::{Code, SHOWN_MAX};
use crate::activation::Activation;
use crate::copy::{Copy, NotFollowed};
use crate::domain::{Context, Decision, DomainEvent, Generation};
use crate::event::decision_seed;
use crate::instances::Instances;
use crate::name::{AggregateId, Name};
use crate::store::EventStore;
use crate::witness::{Window, Witnessed};

/// Aggregates that a shadow keeps, so that their next command costs it no replay.
const KEPT_MAX: usize = 1_024;
/// Events read at once.
const EVENTS_PER_READ: usize = 256;

/// What a shadow has seen.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// The code that decides beside the live one.
    #[serde(flatten)]
    pub candidate: Code,
    /// `running` or `done`.
    pub state: &'static str,
    /// Commands that both decided.
    pub compared: u64,
    /// Those of them that they decided differently.
    pub differing: u64,
    /// Commands of the share that were not compared: too many at once, or a history that the
    /// candidate cannot read or that is no longer complete.
    pub not_compared: u64,
    /// Why not, the first time.
    pub why_not: Option<String>,
    /// The first that were decided differently.
    pub differences: Vec<Differing>,
}

/// A command that was decided differently.
#[derive(Debug, Clone, Serialize)]
pub struct Differing {
    /// The aggregate.
    pub aggregate: AggregateId,
    /// Its version.
    pub version: u64,
    /// What was asked.
    pub verb: Name,
    /// The command's id.
    pub command_id: String,
    /// The command's payload.
    pub command: Value,
    /// What the live code decided.
    pub live: Value,
    /// What the candidate decided.
    pub candidate: Value,
    /// Where the two differ.
    pub places: Vec<Place>,
}

/// A shadow and what it has seen so far. A clone is the same shadow.
#[derive(Clone)]
pub struct Shadow {
    seen: Arc<Mutex<Seen>>,
    window: Arc<Window>,
}

impl Shadow {
    /// A shadow of this code that sees a share of the commands, from 0 to 1, and what it sees.
    pub fn new(candidate: &dyn Generation, share: f64) -> (Self, mpsc::Receiver<Witnessed>) {
        let (window, witnessed) = Window::open(share);
        let (compared, differing, not_compared) = Default::default();
        let (why_not, differences, state) = (None, Vec::new(), "running");
        let candidate = Code::of(candidate);
        let seen = Seen { candidate, state, compared, differing, not_compared, why_not, differences };
        (Self { seen: Arc::new(Mutex::new(seen)), window: Arc::new(window) }, witnessed)
    }

    /// What the live code shows its decisions to.
    pub fn window(&self) -> Arc<Window> {
        Arc::clone(&self.window)
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        seen.not_compared += self.window.missed();
        seen
    }

    /// Decides what it sees until the time is up. Blocks, so it needs a thread of its own.
    pub fn run(
        &self,
        candidate: Arc<dyn Generation>,
        mut witnessed: mpsc::Receiver<Witnessed>,
        events: &Arc<dyn EventStore>,
        runtime: &Handle,
        until: Instant,
    ) {
        let domain = candidate.description().domain.clone();
        let activation = Arc::new(Activation::new(candidate, 0, [].into()));
        let instances = Instances::new(activation, KEPT_MAX);
        let mut reader = Reader { instances, events, runtime, kept: LruCache::new(KEPT_MAX) };
        // Asked each time: where commands come faster than it decides, there is always one more.
        while Instant::now() < until
            && let Ok(Some(one)) =
                runtime.block_on(async { tokio::time::timeout_at(until.into(), witnessed.recv()).await })
        {
            let outcome = reader.decide(&domain, &one);
            self.note(one, outcome);
        }
        let left = std::iter::from_fn(|| witnessed.try_recv().ok()).count() as u64;
        self.change(|seen| {
            seen.not_compared += left;
            seen.state = "done";
        });
    }

    fn note(&self, one: Witnessed, outcome: Result<Value, String>) {
        self.change(|seen| match outcome {
            Err(why) => {
                seen.not_compared += 1;
                seen.why_not.get_or_insert(format!("{}: {why}", one.command.id));
            }
            Ok(candidate) => {
                seen.compared += 1;
                let live = told(&one.decision);
                if live == candidate {
                    return;
                }
                seen.differing += 1;
                if seen.differences.len() < SHOWN_MAX {
                    seen.differences.push(Differing {
                        places: diff(&live, &candidate),
                        command: parsed(&one.command.payload),
                        aggregate: one.command.id,
                        version: one.version,
                        verb: one.command.verb,
                        command_id: one.command.command_id,
                        live,
                        candidate,
                    });
                }
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Aggregates as the candidate reads them.
struct Reader<'a> {
    instances: Instances,
    events: &'a Arc<dyn EventStore>,
    runtime: &'a Handle,
    kept: LruCache<AggregateId, Kept>,
}

struct Kept {
    copy: Copy,
    version: u64,
    last_sequence: u64,
}

impl Reader<'_> {
    /// What the candidate decides, or why it cannot be asked.
    fn decide(&mut self, domain: &Name, one: &Witnessed) -> Result<Value, String> {
        let command = &one.command;
        let kept = self.at(&command.id, one.version, one.last_sequence)?;
        let context = Context {
            command_id: &command.command_id,
            aggregate_id: &command.id,
            version: one.version,
            time: one.time,
            correlation_id: command.correlation(),
            actor: command.actor.as_deref(),
            seed: decision_seed(domain, &command.id, &command.command_id),
        };
        let decided = kept.copy.decide(&context, &command.verb, &command.payload);
        let outcome = decided.map_or_else(|error| json!({ "failed": error.to_string() }), |decision| told(&decision));
        self.kept.insert(command.id.clone(), kept);
        Ok(outcome)
    }

    /// The aggregate at this version. It is taken out: after a failure it is of no use.
    fn at(&mut self, id: &AggregateId, version: u64, sequence: u64) -> Result<Kept, String> {
        let usable = |kept: &Kept| kept.version <= version && !kept.copy.is_lost();
        let mut kept = match self.kept.remove(id).filter(usable) {
            Some(kept) => kept,
            None => {
                let copy = Copy::create(&self.instances, id).map_err(|error| error.to_string())?;
                Kept { copy, version: 0, last_sequence: 0 }
            }
        };
        while kept.version < version {
            let read = self.events.read(id, kept.last_sequence + 1, sequence, EVENTS_PER_READ);
            let events = self.runtime.block_on(read).map_err(|error| error.to_string())?;
            if events.is_empty() {
                return Err("its history is no longer complete".into());
            }
            for event in events {
                let (name, _) = event.written_as(kept.version + 1)?;
                let fact = DomainEvent { name, payload: event.payload.clone() };
                kept.copy.evolve(&fact).map_err(|error| match error {
                    NotFollowed::Failed(why) => {
                        format!("the candidate cannot apply sequence {}: {why}", event.sequence)
                    }
                    NotFollowed::Lost => "the candidate failed on another aggregate".into(),
                })?;
                kept.version += 1;
                kept.last_sequence = event.sequence;
            }
        }
        Ok(kept)
    }
}

/// A decision as JSON, to be held against another one.
fn told(decision: &Decision) -> Value {
    match decision {
        Decision::Events(events) => {
            let events = events.iter().map(|event| json!({"type": event.name, "data": parsed(&event.payload)}));
            json!({ "events": events.collect::<Vec<_>>() })
        }
        Decision::Rejected { reason, message } => json!({"rejected": reason, "message": message}),
        Decision::Invalid { field, message } => json!({"invalid": field, "message": message}),
    }
}

fn parsed(json: &[u8]) -> Value {
    // The host has checked that it is JSON.
    serde_json::from_slice(json).unwrap_or_default()
}
