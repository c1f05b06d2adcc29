//! One aggregate, followed by the candidate and by the live code side by side. Knows neither
//! where its events come from nor how many others there are.

use serde_json::Value;

use super::diff::diff;
use super::report::{Difference, Failing, Report};
use crate::copy::{Copy, NotFollowed};
use crate::domain::DomainEvent;
use crate::event::StoredEvent;
use crate::instances::Instances;
use crate::name::AggregateId;

/// Up to this version, views are compared at every event; a long history costs no more than that
/// at every [`STRIDE`]th and at its end.
const DENSE_VERSIONS: u64 = 64;
const STRIDE: u64 = 64;

/// An aggregate in both codes.
pub(super) struct Followed {
    /// `None` once it failed or differs: it is not followed any further.
    candidate: Option<Copy>,
    /// `None` where there is no live code, or it cannot follow.
    live: Option<Copy>,
    version: u64,
    /// What led to the version that it is at.
    last: Last,
    compared_at: u64,
    every_version: bool,
    /// What the report counts of it.
    counted: Counted,
}

/// How much of an aggregate was compared.
#[derive(Clone, Copy)]
struct Counted {
    events: u64,
    views: u64,
}

/// The event that was applied last.
#[derive(Clone, Default)]
struct Last {
    event: String,
    sequence: u64,
}

/// Whether following goes on.
pub(super) enum Step {
    /// It does, or has ended for a reason that is reported.
    Ok,
    /// A copy was lost to the failure of another aggregate.
    Lost,
}

impl Followed {
    /// An aggregate without events.
    pub(super) fn begin(
        candidates: &Instances,
        lives: Option<&Instances>,
        id: &AggregateId,
        report: &mut Report,
    ) -> Self {
        let candidate = match Copy::create(candidates, id) {
            Ok(copy) => Some(copy),
            Err(error) => {
                report.fails(Failing::at(id, 0, "", 0, format!("it cannot be made: {error}")));
                None
            }
        };
        Self::of(candidate, lives.and_then(|lives| Copy::create(lives, id).ok()), 0)
    }

    /// An aggregate that both codes have at this version.
    pub(super) fn of(candidate: Option<Copy>, live: Option<Copy>, version: u64) -> Self {
        // Two that come from a snapshot have shown what they make of it.
        let counted = Counted { events: 0, views: u64::from(version > 0 && live.is_some()) };
        Self { candidate, live, version, last: Last::default(), compared_at: version, every_version: false, counted }
    }

    /// Nothing that is followed any more.
    pub(super) fn ended() -> Self {
        Self::of(None, None, 0)
    }

    /// The same, with every version looked at.
    pub(super) fn with_every_version(self, every_version: bool) -> Self {
        Self { every_version, ..self }
    }

    /// Whether a copy was lost to the failure of another aggregate, so that it is to be begun anew.
    pub(super) fn is_lost(&self) -> bool {
        self.candidate
            .as_ref()
            .is_some_and(|candidate| candidate.is_lost() || self.live.as_ref().is_some_and(Copy::is_lost))
    }

    /// Takes out of the report what was counted of it.
    pub(super) fn uncount(self, report: &mut Report) {
        report.compared.events -= self.counted.events;
        report.compared.views -= self.counted.views;
    }

    /// Applies an event to both.
    pub(super) fn step(&mut self, id: &AggregateId, event: &StoredEvent, report: &mut Report) -> Step {
        let Some(candidate) = &self.candidate else { return Step::Ok };
        let already = event.origin.as_ref().is_ok_and(|origin| origin.version <= self.version);
        if already {
            return Step::Ok;
        }
        let Ok((name, _)) = event.written_as(self.version + 1) else {
            report.parked(id, event.sequence);
            self.candidate = None;
            return Step::Ok;
        };
        self.version += 1;
        self.last = Last { event: name.to_string(), sequence: event.sequence };
        let fact = DomainEvent { name, payload: event.payload.clone() };
        let lives = self.live.as_ref().map(|live| live.evolve(&fact));
        match candidate.evolve(&fact) {
            Ok(()) => {}
            Err(NotFollowed::Lost) => return Step::Lost,
            Err(NotFollowed::Failed(_)) if matches!(lives, Some(Err(NotFollowed::Failed(_)))) => {
                // What the live code cannot apply either is no fault of the candidate.
                report.parked(id, event.sequence);
                self.candidate = None;
                return Step::Ok;
            }
            Err(NotFollowed::Failed(why)) => {
                report.fails(Failing::at(id, self.version, &self.last.event, event.sequence, why));
                self.candidate = None;
                return Step::Ok;
            }
        }
        match lives {
            Some(Err(NotFollowed::Lost)) => return Step::Lost,
            Some(Err(NotFollowed::Failed(_))) => {
                report.heals(id, event.sequence);
                self.live = None;
            }
            Some(Ok(())) | None => {}
        }
        report.compared.events += 1;
        self.counted.events += 1;
        if self.every_version || self.version <= DENSE_VERSIONS || self.version.is_multiple_of(STRIDE) {
            self.compare(id, report);
        }
        Step::Ok
    }

    /// Holds the views against each other.
    fn compare(&mut self, id: &AggregateId, report: &mut Report) {
        let Some(candidate) = &self.candidate else { return };
        let shown = match candidate.view() {
            Ok(view) => view,
            Err(error) => {
                let why = format!("its state cannot be shown: {error}");
                report.fails(Failing::at(id, self.version, &self.last.event, self.last.sequence, why));
                self.candidate = None;
                return;
            }
        };
        let Some(Ok(expected)) = self.live.as_ref().map(Copy::view) else { return };
        report.compared.views += 1;
        self.counted.views += 1;
        let before = std::mem::replace(&mut self.compared_at, self.version);
        if shown == expected {
            return;
        }
        let places = diff(&parsed(&expected), &parsed(&shown));
        if !places.is_empty() {
            let coarse = before + 1 < self.version;
            report.differs(self.difference(id, "view", places), coarse);
            self.candidate = None;
        }
    }

    /// What comes after the last event.
    pub(super) fn finish(
        mut self,
        id: &AggregateId,
        candidates: &Instances,
        lives: Option<&Instances>,
        report: &mut Report,
    ) {
        if self.compared_at < self.version {
            self.compare(id, report);
        }
        let Some(candidate) = &self.candidate else { return };
        report.compared.aggregates += 1;
        if let Err(why) = self.read_back(id, candidates, candidate, report) {
            report.fails(Failing::at(id, self.version, &self.last.event, self.last.sequence, why));
            return;
        }
        if let (Some(live), Some(lives)) = (&self.live, lives) {
            let state_schema = lives.activation().description().state_schema;
            self.read_live(id, candidates, candidate, live, state_schema, report);
        }
    }

    /// The candidate's own snapshot must give the same state again.
    fn read_back(
        &self,
        id: &AggregateId,
        candidates: &Instances,
        candidate: &Copy,
        report: &mut Report,
    ) -> Result<(), String> {
        let own_schema = candidates.activation().description().state_schema;
        let state = candidate.snapshot().map_err(|error| format!("it fails to make a snapshot: {error}"))?;
        let restored = Copy::restore(candidates, id, own_schema, &state)
            .map_err(|error| format!("it fails to read its own snapshot: {error}"))?
            .map_err(|refusal| format!("it does not read its own snapshot: {refusal}"))?;
        if !same_view(candidate, &restored) {
            return Err("its own snapshot, read back, shows another state".into());
        }
        report.compared.own_snapshots += 1;
        Ok(())
    }

    /// The live code's snapshot may be declined, but not be taken for another state.
    fn read_live(
        &self,
        id: &AggregateId,
        candidates: &Instances,
        candidate: &Copy,
        live: &Copy,
        state_schema: u32,
        report: &mut Report,
    ) {
        let Ok(state) = live.snapshot() else { return };
        match Copy::restore(candidates, id, state_schema, &state) {
            Ok(Ok(restored)) if same_view(candidate, &restored) => report.compared.live_snapshots += 1,
            Ok(Ok(restored)) => {
                let shown = |copy: &Copy| copy.view().map(|view| parsed(&view)).unwrap_or_default();
                let places = diff(&shown(candidate), &shown(&restored));
                report.misreads(self.difference(id, "snapshot", places));
            }
            Ok(Err(_)) => report.compared.declined_snapshots += 1,
            Err(error) => {
                let why = format!("it fails to read a snapshot of the live code: {error}");
                report.fails(Failing::at(id, self.version, &self.last.event, self.last.sequence, why));
            }
        }
    }

    fn difference(&self, id: &AggregateId, of: &'static str, places: Vec<super::diff::Place>) -> Difference {
        Difference {
            aggregate: id.clone(),
            version: self.version,
            event: self.last.event.clone(),
            sequence: self.last.sequence,
            of,
            places,
            coarse: false,
        }
    }
}

/// Whether two copies show the same state.
pub(super) fn same_view(one: &Copy, other: &Copy) -> bool {
    match (one.view(), other.view()) {
        (Ok(one), Ok(other)) => one == other || parsed(&one) == parsed(&other),
        _ => false,
    }
}

pub(super) fn parsed(view: &[u8]) -> Value {
    // An instance gives no view that is not JSON.
    serde_json::from_slice(view).unwrap_or_default()
}
