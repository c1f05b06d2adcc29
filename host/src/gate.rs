//! The gate: recorded histories are evolved by a candidate and by the live code, and what they
//! show of them is compared, before the candidate may decide anything. Knows stores and code,
//! not how either is had, and not what is done with the verdict.

mod commands;
mod copy;
mod diff;
mod followed;
mod incomplete;
mod report;
mod shadow;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use tokio::runtime::Handle;

pub(crate) use self::copy::{Copy, NotFollowed};
pub use self::diff::{Place, diff};
use self::followed::{Followed, Step};
pub use self::report::{Code, Compared, Difference, Failing, Report, SHOWN_MAX, Verdict};
pub use self::shadow::{Seen, Shadow};
use crate::activation::Activation;
use crate::domain::{Digest, Generation};
use crate::event::StoredEvent;
use crate::instances::Instances;
use crate::name::AggregateId;
use crate::store::{EventStore, Extent, SnapshotStore, Unavailable};

/// Events read at once. JetStream sends what it reads for us and what it acknowledges to those who
/// append through one queue: a long page would hold up every command for as long as it takes.
const PAGE_EVENTS: usize = 200;
/// A log of at most so many events is read once as a whole; in a longer one the aggregates that
/// were used last are read one by one before the rest.
const SHORT_LOG_EVENTS: u64 = 200_000;
/// Aggregates that are read one by one, of those that were used last.
pub const RECENT_MAX: usize = 200;

/// Aggregates beyond the budget that are told apart, so that each counts once.
const SKIPPED_MAX: usize = 100_000;

/// How much a gate may take.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// How long it may read and compare.
    pub time: Duration,
    /// How many aggregates it may hold.
    pub aggregates: usize,
}

/// How far a gate is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Position in the stream that was reached.
    pub sequence: u64,
    /// The last position.
    pub last_sequence: u64,
    /// Aggregates that are followed.
    pub aggregates: usize,
}

/// What a gate needs.
pub struct Gate<'a> {
    /// The code that is to prove itself.
    pub candidate: Arc<dyn Generation>,
    /// Code whose snapshots the candidate was proven to read before.
    pub candidate_reads: BTreeSet<Digest>,
    /// The code it is held against.
    pub live: Option<Arc<Activation>>,
    /// The log.
    pub events: Arc<dyn EventStore>,
    /// The snapshots.
    pub snapshots: Arc<dyn SnapshotStore>,
    /// The aggregates that were used last, the latest first.
    pub recent: Vec<AggregateId>,
    /// How much it may take.
    pub budget: Budget,
    /// Where the stores' answers are waited for.
    pub runtime: Handle,
    /// Told now and then how far it is.
    pub progress: &'a dyn Fn(Progress),
}

impl Gate<'_> {
    /// Compares as much as the budget allows. Blocks, so it needs a thread of its own.
    ///
    /// # Errors
    /// [`Unavailable`] where the log cannot be read: nothing is proven.
    pub fn run(self) -> Result<Report, Unavailable> {
        let begun = Instant::now();
        let candidate = Arc::new(Activation::new(Arc::clone(&self.candidate), 0, self.candidate_reads.clone()));
        let mut run = Run {
            candidates: Instances::new(Arc::clone(&candidate), self.budget.aggregates),
            lives: self.live.as_ref().map(|live| Instances::new(Arc::clone(live), self.budget.aggregates)),
            report: self.new_report(),
            followed: HashMap::new(),
            again: Vec::new(),
            skipped: HashSet::new(),
            gate: &self,
            until: begun + self.budget.time,
        };
        let extent = run.wait(self.events.extent())?;
        run.replay_recent(extent)?;
        run.replay_all(extent)?;
        run.finish_all();
        run.replay_again(extent)?;
        run.look_at_aged(extent)?;
        run.locate_differences(extent)?;
        run.decide_again(extent)?;
        let mut report = run.report;
        report.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(report.concluded(self.live.as_deref()))
    }

    fn new_report(&self) -> Report {
        let live = self.live.as_ref().map(|live| Code::of(&*live.generation));
        Report::new(self.candidate.description().domain.clone(), Code::of(&*self.candidate), live)
    }
}

/// A gate at work.
struct Run<'a> {
    gate: &'a Gate<'a>,
    candidates: Instances,
    lives: Option<Instances>,
    report: Report,
    followed: HashMap<AggregateId, Followed>,
    /// Aggregates whose copies were lost through another one's failure.
    again: Vec<AggregateId>,
    /// Aggregates beyond the budget.
    skipped: HashSet<AggregateId>,
    until: Instant,
}

impl Run<'_> {
    fn wait<T>(&self, answer: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
        self.gate.runtime.block_on(answer)
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    /// The aggregates that were used last, one by one, where the whole log may be too long.
    fn replay_recent(&mut self, extent: Extent) -> Result<(), Unavailable> {
        if extent.last_sequence.saturating_sub(extent.first_sequence) < SHORT_LOG_EVENTS {
            return Ok(());
        }
        let half = Instant::now() + self.gate.budget.time / 2;
        for id in self.gate.recent.iter().take(RECENT_MAX.min(self.gate.budget.aggregates)) {
            if Instant::now() >= half {
                break;
            }
            self.replay_one(id, extent, false)?;
        }
        Ok(())
    }

    /// The whole log in order, as far as time allows.
    fn replay_all(&mut self, extent: Extent) -> Result<(), Unavailable> {
        let mut sequence = extent.first_sequence.max(1);
        let mut pages = self.gate.events.scan(sequence, extent.last_sequence, PAGE_EVENTS);
        while sequence <= extent.last_sequence {
            let aggregates = self.followed.len();
            (self.gate.progress)(Progress { sequence, last_sequence: extent.last_sequence, aggregates });
            if self.is_late() {
                let left = extent.last_sequence - sequence + 1;
                self.report.not_compared.push(format!(
                    "the last {left} of {} positions of the stream: the time for the gate ({} s) was up",
                    extent.last_sequence,
                    self.gate.budget.time.as_secs()
                ));
                break;
            }
            let Some(page) = self.wait(pages.try_next())? else { break };
            for (id, event) in &page.events {
                self.take(id, event)?;
            }
            sequence = page.through + 1;
        }
        let (skipped, max) = (self.skipped.len(), self.gate.budget.aggregates);
        if skipped > 0 {
            let at_least = if skipped < SKIPPED_MAX { "" } else { "at least " };
            self.report.not_compared.push(format!("{at_least}{skipped} aggregates: the gate takes {max}"));
        }
        Ok(())
    }

    /// One event of the log.
    fn take(&mut self, id: &AggregateId, event: &StoredEvent) -> Result<(), Unavailable> {
        if !self.followed.contains_key(id) {
            if self.followed.len() >= self.gate.budget.aggregates {
                if self.skipped.len() < SKIPPED_MAX {
                    self.skipped.insert(id.clone());
                }
                return Ok(());
            }
            let followed = self.begin(id, event)?;
            self.followed.insert(id.clone(), followed);
        }
        let Some(followed) = self.followed.get_mut(id) else { return Ok(()) };
        match followed.step(id, event, &mut self.report) {
            Step::Ok => {}
            Step::Lost => {
                self.again.push(id.clone());
                std::mem::replace(followed, Followed::ended()).uncount(&mut self.report);
            }
        }
        Ok(())
    }

    /// Begins to follow an aggregate at the first event that is left of it.
    fn begin(&mut self, id: &AggregateId, event: &StoredEvent) -> Result<Followed, Unavailable> {
        match &event.origin {
            Ok(origin) if origin.version > 1 => self.begin_from_snapshot(id, origin.version, event.sequence),
            _ => Ok(Followed::begin(&self.candidates, self.lives.as_ref(), id, &mut self.report)),
        }
    }

    /// One aggregate from its own events; with `dense` every version is looked at.
    fn replay_one(&mut self, id: &AggregateId, extent: Extent, dense: bool) -> Result<(), Unavailable> {
        let mut from = 1;
        let mut followed: Option<Followed> = None;
        loop {
            let events = self.wait(self.gate.events.read(id, from, extent.last_sequence, PAGE_EVENTS))?;
            let Some(last) = events.last() else { break };
            from = last.sequence + 1;
            for event in &events {
                let followed = match &mut followed {
                    Some(followed) => followed,
                    None => followed.insert(self.begin(id, event)?.with_every_version(dense)),
                };
                if matches!(followed.step(id, event, &mut self.report), Step::Lost) {
                    self.report.not_compared.push(format!("{id}: another aggregate took its instance down twice"));
                    *followed = Followed::ended();
                }
            }
        }
        if let Some(followed) = followed {
            followed.finish(id, &self.candidates, self.lives.as_ref(), &mut self.report);
            self.followed.insert(id.clone(), Followed::ended());
        }
        Ok(())
    }

    /// What comes after the last event: views once more, and snapshots.
    fn finish_all(&mut self) {
        for (id, followed) in &mut self.followed {
            // Those that have ended stay known: the log has events of them.
            let followed = std::mem::replace(followed, Followed::ended());
            if followed.is_lost() {
                followed.uncount(&mut self.report);
                self.again.push(id.clone());
                continue;
            }
            followed.finish(id, &self.candidates, self.lives.as_ref(), &mut self.report);
        }
    }

    /// Those whose instances were lost, each alone now.
    fn replay_again(&mut self, extent: Extent) -> Result<(), Unavailable> {
        for id in std::mem::take(&mut self.again) {
            if self.is_late() {
                self.report.not_compared.push(format!("{id} and those after it: the time for the gate was up"));
                break;
            }
            self.replay_one(&id, extent, false)?;
        }
        Ok(())
    }

    /// Where views were held against each other at some versions only, the version at which they
    /// first part is looked for among all.
    fn locate_differences(&mut self, extent: Extent) -> Result<(), Unavailable> {
        let coarse: Vec<AggregateId> = self.report.take_coarse();
        for id in coarse {
            let before = (self.report.differing, self.report.compared);
            self.replay_one(&id, extent, true)?;
            (self.report.differing, self.report.compared) = before;
        }
        Ok(())
    }
}
