//! Recorded commands, decided again: where the log keeps them, a candidate is asked what it would
//! have made of those that the live code decided. What differs is told and refuses nothing: to
//! decide otherwise is what new versions are for.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Run;
use super::copy::Copy;
use super::diff::diff;
use super::report::{Difference, Report};
use crate::activation::Activation;
use crate::domain::{Context, Decision, Description};
use crate::event::{Origin, RecordedCommand, StoredEvent, decision_seed};
use crate::message::{Command, Request};
use crate::name::{AggregateId, Subjects, header};
use crate::request;
use crate::store::{Extent, Unavailable};

/// Recorded commands that are held; a log that keeps more has its first ones decided again.
const COMMANDS_MAX: usize = 50_000;
/// Commands read at once.
const PAGE_COMMANDS: usize = 2_000;

/// Recorded commands by aggregate and id.
#[derive(Default)]
pub(super) struct Recorded(HashMap<(AggregateId, String), Command>);

/// What the candidate decided on the command whose events are being applied.
pub(super) struct Again {
    command_id: String,
    expected: Vec<Value>,
    recorded: Vec<Value>,
    version: u64,
    sequence: u64,
    verb: String,
}

impl Run<'_> {
    /// Reads the commands that the log keeps.
    pub(super) fn read_commands(&mut self, extent: Extent) -> Result<(), Unavailable> {
        let description = self.gate.candidate.description();
        let (mut from, mut beyond) = (Some(extent.first_sequence.max(1)), false);
        while let Some(sequence) = from.filter(|from| *from <= extent.last_sequence) {
            let (commands, next) =
                self.wait(self.gate.events.commands(sequence, extent.last_sequence, PAGE_COMMANDS))?;
            for command in commands {
                self.recorded.note(command, description);
            }
            beyond = next.is_some() && (self.recorded.0.len() >= COMMANDS_MAX || self.is_late());
            from = next.filter(|_| !beyond);
        }
        let what = match self.recorded.0.len() {
            0 => "recorded commands, to be decided again: the log keeps none that have an id".to_owned(),
            some if beyond => format!("recorded commands after the first {some}"),
            _ => "recorded commands that were refused: at which version is not recorded".to_owned(),
        };
        self.report.not_compared.push(what);
        Ok(())
    }
}

impl Recorded {
    fn note(&mut self, recorded: RecordedCommand, description: &Description) {
        let text = |name: &str| recorded.headers.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
        if text(header::MESSAGE_ID).is_none() {
            // The host gave it an id that only its events bear.
            return;
        }
        let subjects = Subjects::new(&description.domain);
        let Some(address) = subjects.parse(&recorded.subject) else { return };
        let read = request::read(&address, &text, recorded.payload.clone(), description, usize::MAX);
        if let Ok(Request::Command(command)) = read {
            self.0.insert((command.id.clone(), command.command_id.clone()), command);
        }
    }

    /// Lets the candidate decide the command that led to this event, where it is recorded and the
    /// live code decided it.
    pub(super) fn decide(
        &self,
        candidate: &Copy,
        id: &AggregateId,
        event: &StoredEvent,
        live: Option<&Arc<Activation>>,
    ) -> Option<Again> {
        let origin = event.origin.as_ref().ok()?;
        if origin.author.digest() != live.map(|live| live.digest()) {
            return None;
        }
        let command = self.0.get(&(id.clone(), origin.command_id.clone()))?;
        let expected = decided(candidate, command, origin)?;
        Some(Again {
            command_id: origin.command_id.clone(),
            expected,
            recorded: Vec::new(),
            version: origin.version,
            sequence: event.sequence,
            verb: command.verb.to_string(),
        })
    }
}

impl Again {
    /// Whether the event is one more of the same command.
    pub(super) fn goes_on_with(&self, origin: &Origin) -> bool {
        self.command_id == origin.command_id
    }

    /// Notes an event that the command led to.
    pub(super) fn saw(&mut self, event: &StoredEvent) {
        self.recorded.push(event_value(&event.name, &event.payload));
    }

    /// Holds what was recorded against what the candidate decided.
    pub(super) fn conclude(self, id: &AggregateId, report: &mut Report) {
        report.compared.commands += 1;
        if self.expected == self.recorded {
            return;
        }
        let places = diff(&json!({ "events": self.recorded }), &json!({ "events": self.expected }));
        report.decides_otherwise(Difference {
            aggregate: id.clone(),
            version: self.version,
            event: self.verb,
            sequence: self.sequence,
            of: "decision",
            places,
            coarse: false,
        });
    }
}

/// The events that the candidate decides on; `None` where its instance is lost.
fn decided(candidate: &Copy, command: &Command, origin: &Origin) -> Option<Vec<Value>> {
    let id = &command.id;
    let domain = candidate.domain();
    let context = Context {
        command_id: &command.command_id,
        aggregate_id: id,
        version: origin.version - 1,
        time: origin.time,
        correlation_id: command.correlation(),
        actor: command.actor.as_deref(),
        seed: decision_seed(domain, id, &command.command_id),
    };
    Some(match candidate.decide(&context, &command.verb, &command.payload).ok()? {
        Decision::Events(events) => {
            events.iter().map(|event| event_value(event.name.as_str(), &event.payload)).collect()
        }
        Decision::Rejected { reason, .. } => vec![json!({ "rejected": reason })],
        Decision::Invalid { field, message } => vec![json!({ "invalid": field, "message": message })],
    })
}

fn event_value(name: &str, payload: &[u8]) -> Value {
    let data: Value = serde_json::from_slice(payload).unwrap_or_default();
    json!({ "type": name, "data": data })
}
