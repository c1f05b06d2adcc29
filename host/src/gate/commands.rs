//! Recorded commands, decided again: where the log keeps them, a candidate is asked what it would
//! have made of those that the live code decided. What differs is told and refuses nothing: to
//! decide otherwise is what new versions are for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Run;
use super::diff::diff;
use super::report::Difference;
use crate::copy::Copy;
use crate::domain::{Context, Decision, DomainEvent};
use crate::event::{RecordedCommand, StoredEvent, decision_seed};
use crate::message::{Command, Request};
use crate::name::{AggregateId, Subjects, header};
use crate::request;
use crate::store::{Extent, Unavailable};

/// Recorded commands that are held at once; of a log that keeps more, the first ones.
const COMMANDS_MAX: usize = 50_000;
/// Messages read at once.
const PAGE: usize = 250;

/// The recorded commands of one aggregate, by id.
type Recorded = BTreeMap<String, Command>;

/// The events of one command, as they stand in a history.
struct Outcome {
    command_id: String,
    events: Vec<StoredEvent>,
}

impl Run<'_> {
    /// Decides again what is recorded, as far as time allows.
    pub(super) fn decide_again(&mut self, extent: Extent) -> Result<(), Unavailable> {
        let Some(live) = self.gate.live.as_ref().map(|live| live.digest()) else { return Ok(()) };
        let recorded = self.recorded_commands(extent)?;
        if !recorded.is_empty() {
            let what = "recorded commands that were refused: the log does not say at which version";
            self.report.not_compared.push(what.to_owned());
        }
        for (id, commands) in recorded {
            if self.is_late() {
                self.report.not_compared.push(format!("recorded commands of {id} and others: the time was up"));
                break;
            }
            let Ok(copy) = Copy::create(&self.candidates, &id) else { continue };
            let (mut version, mut from, mut parted) = (0, Some(1), Vec::new());
            while let Some(sequence) = from {
                let read = self.wait(self.gate.events.read(&id, sequence, extent.last_sequence, PAGE))?;
                from = read.last().map(|last| last.sequence + 1).filter(|next| *next <= extent.last_sequence);
                parted.extend(read);
                let mut whole = outcomes(std::mem::take(&mut parted));
                if from.is_some() {
                    // A page's end may part the events of one command.
                    parted = whole.pop().map_or_else(Vec::new, |last| last.events);
                }
                for outcome in whole {
                    let by_live = outcome.author_is(live);
                    if let Some(command) = commands.get(&outcome.command_id).filter(|_| by_live) {
                        self.compare_decision(&copy, command, version, &outcome);
                    }
                    match outcome.applied(&copy, version) {
                        Some(next) => version = next,
                        // The gate has told of it already.
                        None => from = None,
                    }
                }
            }
        }
        Ok(())
    }

    /// The commands that the log keeps, by aggregate.
    fn recorded_commands(&self, extent: Extent) -> Result<BTreeMap<AggregateId, Recorded>, Unavailable> {
        let mut recorded: BTreeMap<AggregateId, Recorded> = BTreeMap::new();
        let (mut from, mut count) = (Some(extent.first_sequence.max(1)), 0);
        while let Some(sequence) = from.filter(|_| count < COMMANDS_MAX && !self.is_late()) {
            let (commands, next) = self.wait(self.gate.events.commands(sequence, extent.last_sequence, PAGE))?;
            for command in commands.iter().filter_map(|command| self.read_command(command)) {
                count += 1;
                recorded.entry(command.id.clone()).or_default().insert(command.command_id.clone(), command);
            }
            from = next;
        }
        Ok(recorded)
    }

    /// A recorded command, read as the bus reads one; `None` where it has no id of its own, which
    /// then only its events bear.
    fn read_command(&self, recorded: &RecordedCommand) -> Option<Command> {
        let text = |name: &str| recorded.headers.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
        text(header::MESSAGE_ID)?;
        let description = self.gate.candidate.description();
        let subjects = Subjects::new(&description.domain);
        let address = subjects.parse(&recorded.subject)?;
        match request::read(&address, &text, recorded.payload.clone(), description, usize::MAX).ok()? {
            Request::Command(command) => Some(command),
            Request::Query(_) => None,
        }
    }

    fn compare_decision(&mut self, copy: &Copy, command: &Command, version: u64, outcome: &Outcome) {
        let Some(Ok(origin)) = outcome.events.first().map(|event| event.origin.as_ref()) else { return };
        let context = Context {
            command_id: &command.command_id,
            aggregate_id: &command.id,
            version,
            time: origin.time,
            correlation_id: command.correlation(),
            actor: command.actor.as_deref(),
            seed: decision_seed(&self.gate.candidate.description().domain, &command.id, &command.command_id),
        };
        let again = match copy.decide(&context, &command.verb, &command.payload) {
            Ok(Decision::Events(events)) => {
                json!({"events": events.iter().map(|event| told(event.name.as_str(), &event.payload)).collect::<Vec<_>>()})
            }
            Ok(Decision::Rejected { reason, .. }) => json!({ "rejected": reason }),
            Ok(Decision::Invalid { field, message }) => json!({"invalid": field, "message": message}),
            Err(error) => json!({ "failed": error.to_string() }),
        };
        let before =
            json!({"events": outcome.events.iter().map(|event| told(&event.name, &event.payload)).collect::<Vec<_>>()});
        self.report.compared.commands += 1;
        if again != before {
            self.report.decides_otherwise(Difference {
                aggregate: command.id.clone(),
                version,
                event: command.verb.to_string(),
                sequence: outcome.events.first().map_or(0, |event| event.sequence),
                of: "decision",
                places: diff(&before, &again),
                coarse: false,
            });
        }
    }
}

impl Outcome {
    /// Whether this code decided it.
    fn author_is(&self, code: crate::domain::Digest) -> bool {
        let origin = self.events.first().and_then(|event| event.origin.as_ref().ok());
        origin.is_some_and(|origin| origin.author.digest() == Some(code))
    }

    /// Applies it; gives the version after it, `None` where it cannot be applied.
    fn applied(&self, copy: &Copy, version: u64) -> Option<u64> {
        self.events.iter().try_fold(version, |version, event| {
            let (name, _) = event.written_as(version + 1).ok()?;
            copy.evolve(&DomainEvent { name, payload: event.payload.clone() }).ok()?;
            Some(version + 1)
        })
    }
}

/// Events by the command that they come from, which lie together.
fn outcomes(events: Vec<StoredEvent>) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    for event in events {
        let command_id = event.origin.as_ref().map(|origin| origin.command_id.clone()).unwrap_or_default();
        match outcomes.last_mut() {
            Some(last) if last.command_id == command_id => last.events.push(event),
            _ => outcomes.push(Outcome { command_id, events: vec![event] }),
        }
    }
    outcomes
}

fn told(name: &str, payload: &[u8]) -> Value {
    let data: Value = serde_json::from_slice(payload).unwrap_or_default();
    json!({"type": name, "data": data})
}
