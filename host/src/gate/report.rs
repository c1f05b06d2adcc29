//! What a gate found: which code was held against which, over what, and where they part. Knows
//! how it reads, not how it was found.

mod text;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::diff::Place;
use crate::activation::Activation;
use crate::domain::{Digest, Generation};
use crate::name::{AggregateId, Name};

/// How many aggregates a report shows; the others are counted.
pub const SHOWN_MAX: usize = 5;

/// What came of a gate.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The domain.
    pub domain: Name,
    /// The code that was to prove itself.
    pub candidate: Code,
    /// The code it was held against; `None` where none was live.
    pub live: Option<Code>,
    /// What it came to.
    pub verdict: Verdict,
    /// How much was compared.
    pub compared: Compared,
    /// In words what was not.
    pub not_compared: Vec<String>,
    /// How many aggregates differ.
    pub differing: usize,
    /// The first of them.
    pub differences: Vec<Difference>,
    /// How many recorded commands the candidate decides otherwise, which refuses nothing.
    pub deciding_otherwise: usize,
    /// The first of them.
    pub decisions: Vec<Difference>,
    /// How many aggregates the candidate cannot bring up to date.
    pub failing: usize,
    /// The first of them.
    pub failures: Vec<Failing>,
    /// How many snapshots of the live code the candidate takes for another state.
    pub misread: usize,
    /// The first of them.
    #[serde(skip)]
    pub(super) misreading: Option<Difference>,
    /// Code of which it takes some snapshot for another state, whatever it makes of others.
    #[serde(skip)]
    pub misread_code: BTreeSet<Digest>,
    /// How many aggregates are parked whatever code is live.
    pub parked: usize,
    /// Code whose snapshots the candidate was seen to read as the state that the events give.
    pub reads: BTreeSet<Digest>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A plugin's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Code {
    /// The plugin's version.
    pub version: String,
    /// SHA-256 of the component.
    pub digest: Digest,
    /// Number of the state's shape.
    pub state_schema: u32,
}

impl Code {
    /// The code of a generation.
    pub fn of(generation: &dyn Generation) -> Self {
        let description = generation.description();
        Self {
            version: description.version.clone(),
            digest: generation.digest(),
            state_schema: description.state_schema,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.digest.to_string();
        write!(f, "{} (sha256:{}, state schema {})", self.version, &digest[..12], self.state_schema)
    }
}

/// What a comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing that was compared differs.
    Same,
    /// Some state differs.
    Different,
    /// The candidate fails on what is recorded.
    Failed,
}

impl Verdict {
    /// The verdict as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different => "different",
            Self::Failed => "failed",
        }
    }
}

/// How much was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Histories that both codes evolved to their end.
    pub aggregates: usize,
    /// Their events.
    pub events: u64,
    /// Views held against each other, at some version of some aggregate.
    pub views: u64,
    /// Snapshots of the candidate that it read back.
    pub own_snapshots: usize,
    /// Snapshots of the live code that the candidate read.
    pub live_snapshots: usize,
    /// Snapshots of the live code that it declined, so that events are replayed.
    pub declined_snapshots: usize,
    /// Recorded commands that were decided again.
    pub commands: usize,
}

/// An aggregate whose state differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The aggregate.
    pub aggregate: AggregateId,
    /// The version at which the codes first part.
    pub version: u64,
    /// The event that led there.
    pub event: String,
    /// That event's position in the stream.
    pub sequence: u64,
    /// What was compared: `view`, `snapshot` or `decision`.
    pub of: &'static str,
    /// Where they differ.
    pub places: Vec<Place>,
    /// Whether an earlier version may differ already.
    #[serde(skip)]
    pub(super) coarse: bool,
}

/// An aggregate that the candidate cannot bring up to date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failing {
    /// The aggregate.
    pub aggregate: AggregateId,
    /// The version at which it fails.
    pub version: u64,
    /// The event it fails on.
    pub event: String,
    /// That event's position in the stream.
    pub sequence: u64,
    /// In words.
    pub why: String,
}

impl Failing {
    /// An aggregate that fails at a version.
    pub(super) fn at(aggregate: &AggregateId, version: u64, event: &str, sequence: u64, why: String) -> Self {
        Self { aggregate: aggregate.clone(), version, event: event.to_owned(), sequence, why }
    }
}

impl Report {
    /// A report of nothing yet.
    pub(super) fn new(domain: Name, candidate: Code, live: Option<Code>) -> Self {
        Self {
            domain,
            candidate,
            live,
            verdict: Verdict::Same,
            compared: Compared::default(),
            not_compared: Vec::new(),
            differing: 0,
            differences: Vec::new(),
            deciding_otherwise: 0,
            decisions: Vec::new(),
            failing: 0,
            failures: Vec::new(),
            misread: 0,
            misreading: None,
            misread_code: BTreeSet::new(),
            parked: 0,
            reads: BTreeSet::new(),
            took_ms: 0,
        }
    }

    /// Notes an aggregate that the candidate cannot bring up to date.
    pub(super) fn fails(&mut self, failing: Failing) {
        self.failing += 1;
        if self.failures.len() < SHOWN_MAX {
            self.failures.push(failing);
        }
    }

    /// Notes an aggregate whose states differ; `coarse` where an earlier version may do so already.
    pub(super) fn differs(&mut self, difference: Difference, coarse: bool) {
        self.differing += 1;
        if self.differences.len() < SHOWN_MAX {
            self.differences.push(Difference { coarse, ..difference });
        }
    }

    /// Notes a recorded command that the candidate decides otherwise.
    pub(super) fn decides_otherwise(&mut self, difference: Difference) {
        self.deciding_otherwise += 1;
        if self.decisions.len() < SHOWN_MAX {
            self.decisions.push(difference);
        }
    }

    /// Notes a snapshot of the live code that the candidate takes for another state.
    pub(super) fn misreads(&mut self, difference: Difference) {
        self.misread += 1;
        self.misreading.get_or_insert(difference);
    }

    /// Notes an aggregate that is parked, whatever code is live.
    pub(super) fn parked(&mut self, id: &AggregateId, sequence: u64) {
        if self.parked == 0 {
            self.not_compared.push(format!("{id}: it is parked, see sequence {sequence} of the stream"));
        }
        self.parked += 1;
    }

    /// Notes an aggregate that only the candidate understands.
    pub(super) fn heals(&mut self, id: &AggregateId, sequence: u64) {
        self.not_compared.push(format!("{id}: the live code cannot apply sequence {sequence}, the candidate can"));
    }

    /// The aggregates whose version is to be looked for; their differences are taken out.
    pub(super) fn take_coarse(&mut self) -> Vec<AggregateId> {
        let (coarse, exact) = std::mem::take(&mut self.differences).into_iter().partition(|d| d.coarse);
        self.differences = exact;
        let coarse: Vec<Difference> = coarse;
        coarse.into_iter().map(|difference| difference.aggregate).collect()
    }

    /// The report with its verdict.
    pub(super) fn concluded(mut self, live: Option<&Activation>) -> Self {
        let Compared { live_snapshots, declined_snapshots, .. } = self.compared;
        if let Some(live) = live {
            if live_snapshots > 0 && declined_snapshots == 0 && self.failing == 0 {
                self.reads.insert(live.digest());
            }
            // Where states differ, the live code's is another one than the events give the candidate.
            if self.misread + self.differing > 0 {
                self.misread_code.insert(live.digest());
            }
            self.judge_misreading(live.description().state_schema);
        }
        self.reads.retain(|code| !self.misread_code.contains(code));
        if self.parked > 1 {
            self.not_compared.push(format!("{} aggregates are parked in all", self.parked));
        }
        self.verdict = match (self.failing, self.differing) {
            (0, 0) => Verdict::Same,
            (0, _) => Verdict::Different,
            _ => Verdict::Failed,
        };
        self
    }
    /// Snapshots that are taken for another state: under the same state schema number the host
    /// replays instead; under another one it would have offered them.
    fn judge_misreading(&mut self, live_schema: u32) {
        let Some(Difference { aggregate, version, event, sequence, places, .. }) = self.misreading.take() else {
            return;
        };
        let places: Vec<String> = places.iter().take(3).map(ToString::to_string).collect();
        let places = places.join(", ");
        if live_schema == self.candidate.state_schema {
            self.not_compared.push(format!(
                "{} snapshots of the live code, which the candidate takes for another state, so that events are replayed; first that of {aggregate}: {places}",
                self.misread
            ));
        } else {
            self.failing += self.misread;
            let why = format!(
                "it takes snapshots of state schema {live_schema} for another state than the events give: {places}"
            );
            self.failures.push(Failing { aggregate, version, event, sequence, why });
        }
    }

    /// Whether it lets the candidate go live: differences only where they are wanted, which the
    /// plugin says with a higher state schema number, or somebody with `accept_drift`.
    pub fn passes(&self, accept_drift: bool) -> bool {
        let raised = self.live.as_ref().is_some_and(|live| live.state_schema < self.candidate.state_schema);
        match self.verdict {
            Verdict::Same => true,
            Verdict::Different => raised || accept_drift,
            Verdict::Failed => false,
        }
    }

    /// One line for a log.
    pub fn summary(&self) -> String {
        let Compared { aggregates, events, views, .. } = self.compared;
        let compared =
            format!("{aggregates} aggregates, {events} events, {views} views compared in {} ms", self.took_ms);
        match (self.verdict, self.failures.first(), self.differences.first()) {
            (Verdict::Failed, Some(first), _) => format!(
                "it fails on {} recorded aggregates, first on {} at version {} (event `{}`, sequence {}): {}; {compared}",
                self.failing, first.aggregate, first.version, first.event, first.sequence, first.why
            ),
            (Verdict::Different, _, Some(first)) => {
                let places: Vec<String> = first.places.iter().take(3).map(ToString::to_string).collect();
                format!(
                    "the state of {} recorded aggregates differs, first that of {} at version {} (event `{}`, sequence {}): {}; {compared}",
                    self.differing,
                    first.aggregate,
                    first.version,
                    first.event,
                    first.sequence,
                    places.join(", ")
                )
            }
            _ => compared,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdict: Verdict, live_schema: Option<u32>, own_schema: u32) -> Report {
        let code = |state_schema| Code { version: "1".into(), digest: Digest::of(b"code"), state_schema };
        let domain = Name::new("counter").expect("a name");
        Report { verdict, ..Report::new(domain, code(own_schema), live_schema.map(code)) }
    }

    #[test]
    fn differences_pass_only_where_they_are_wanted() {
        let different = |live, own| report(Verdict::Different, live, own);
        assert!(!different(Some(1), 1).passes(false) && different(Some(1), 1).passes(true));
        assert!(different(Some(1), 2).passes(false), "the plugin says that it means another state");
        assert!(!different(Some(2), 1).passes(false), "a lower number says nothing");
        assert!(report(Verdict::Same, Some(1), 1).passes(false));
        assert!(!report(Verdict::Failed, Some(1), 2).passes(true), "what is recorded must be read");
    }
}
