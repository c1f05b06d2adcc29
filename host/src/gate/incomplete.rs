//! Histories whose oldest events retention has removed: what is left of them is a snapshot, so a
//! candidate that cannot read it must not go live.

use super::Run;
use super::followed::{Followed, parsed};
use super::report::{Difference, Failing};
use crate::activation::Reading;
use crate::copy::Copy;
use crate::domain::Digest;
use crate::name::AggregateId;
use crate::snapshot::Snapshot;
use crate::store::{Extent, Found, Replica, Unavailable};

/// An aggregate in the candidate, and in the live code where that has it.
type Copies = (Copy, Option<Copy>);

impl Run<'_> {
    /// Begins to follow an aggregate whose first event left is `first_version`, at this sequence.
    pub(super) fn begin_from_snapshot(
        &mut self,
        id: &AggregateId,
        first_version: u64,
        sequence: u64,
    ) -> Result<Followed, Unavailable> {
        let snapshot = match self.wait(self.gate.snapshots.load(id))? {
            Found::Snapshot { snapshot, .. } if snapshot.version + 1 >= first_version => snapshot,
            _ => {
                self.report.parked(id, sequence);
                return Ok(Followed::ended());
            }
        };
        let (candidate, live) = match self.restored(id, &snapshot) {
            Ok(Some(copies)) => copies,
            Ok(None) => return Ok(Followed::ended()),
            Err(why) => {
                self.report.fails(Failing::at(id, snapshot.version, "", snapshot.last_sequence, why));
                return Ok(Followed::ended());
            }
        };
        Ok(Followed::of(Some(candidate), live, snapshot.version))
    }

    /// Aggregates of which the log has nothing any more.
    pub(super) fn look_at_aged(&mut self, extent: Extent) -> Result<(), Unavailable> {
        if extent.first_sequence <= 1 || extent.age_max.is_none() {
            return Ok(());
        }
        let max = self.gate.budget.aggregates;
        let mut ids = self.wait(self.gate.snapshots.ids(max.saturating_add(1)))?;
        if ids.len() > max {
            ids.truncate(max);
            self.report.not_compared.push(format!(
                "aggregates whose events have aged beyond the first {max} snapshots: the gate takes no more"
            ));
        }
        for id in ids {
            if self.is_late() {
                self.report.not_compared.push("snapshots of aggregates whose events have aged: the time was up".into());
                break;
            }
            if self.followed.contains_key(&id) || self.wait(self.gate.events.head(&id, Replica::Leader))?.is_some() {
                continue;
            }
            let Found::Snapshot { snapshot, .. } = self.wait(self.gate.snapshots.load(&id))? else { continue };
            match self.restored(&id, &snapshot) {
                Ok(copies) => self.report.compared.aggregates += usize::from(copies.is_some()),
                Err(why) => {
                    self.report.fails(Failing::at(&id, snapshot.version, "", snapshot.last_sequence, why));
                }
            }
        }
        Ok(())
    }

    /// Both codes with the state of a snapshot that nothing can replace; nothing where they take it
    /// for different ones, or neither has it.
    fn restored(&mut self, id: &AggregateId, snapshot: &Snapshot) -> Result<Option<Copies>, String> {
        let live = self.in_live(id, snapshot);
        let (candidate, view) = match self.in_candidate(id, snapshot, live.is_some()) {
            Ok(shown) => shown,
            Err(_) if self.lives.is_some() && live.is_none() => {
                // What the live code cannot serve either is no fault of the candidate.
                self.report.parked(id, snapshot.last_sequence);
                return Ok(None);
            }
            Err(why) => return Err(why),
        };
        let Some((live, expected)) = live else { return Ok(Some((candidate, None))) };
        self.report.compared.views += 1;
        let code = Digest(snapshot.code);
        let places = super::diff::diff(&parsed(&expected), &parsed(&view));
        if places.is_empty() {
            self.report.reads.insert(code);
            return Ok(Some((candidate, Some(live))));
        }
        let difference = Difference {
            aggregate: id.clone(),
            version: snapshot.version,
            event: String::new(),
            sequence: snapshot.last_sequence,
            of: "snapshot",
            places,
            coarse: false,
        };
        self.report.differs(difference, false);
        self.report.misread_code.insert(code);
        Ok(None)
    }

    /// The live code's copy of a snapshot and what it shows, where it may and can read it.
    fn in_live(&self, id: &AggregateId, snapshot: &Snapshot) -> Option<(Copy, Vec<u8>)> {
        let lives = self.lives.as_ref()?;
        if lives.activation().reading_of(snapshot) == Reading::Never {
            return None;
        }
        let copy = Copy::restore(lives, id, snapshot.state_schema, &snapshot.state).ok()?.ok()?;
        let view = copy.view().ok()?;
        Some((copy, view))
    }

    /// The candidate's copy of a snapshot and what it shows.
    fn in_candidate(&self, id: &AggregateId, snapshot: &Snapshot, is_live: bool) -> Result<(Copy, Vec<u8>), String> {
        const GONE: &str = "its events are no longer complete";
        let copy = Copy::restore(&self.candidates, id, snapshot.state_schema, &snapshot.state)
            .map_err(|error| format!("{GONE}, and it fails to read the snapshot: {error}"))?
            .map_err(|refusal| format!("{GONE}, and it declines the snapshot: {refusal}"))?;
        let view = copy.view().map_err(|error| format!("its state cannot be shown: {error}"))?;
        if !is_live && self.candidates.activation().reading_of(snapshot) == Reading::Never {
            let code = Digest(snapshot.code);
            return Err(format!(
                "{GONE}, its snapshot was written by other code ({code}) of the same state schema number, and no live code is there to show that the two mean the same by it"
            ));
        }
        Ok((copy, view))
    }
}
