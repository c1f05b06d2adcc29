//! Walks the whole log of a domain and its snapshots, and finds what should not be: missing
//! versions, events that no host wrote or that do not evolve, snapshots that are not what their
//! events give. Knows stores and code, not how either is had. Changes nothing.

mod expected;
mod followed;
mod part;
mod report;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use futures::TryStreamExt;
use tokio::runtime::Handle;

use self::expected::Loaded;
use self::followed::Followed;
use self::part::Part;
pub use self::report::{Finding, Kind, Report, SHOWN_MAX};
use crate::activation::Activation;
use crate::event::StoredEvent;
use crate::instances::Instances;
use crate::name::AggregateId;
use crate::store::{EventStore, Extent, Replica, SnapshotStore, Unavailable};

/// Events read at once: hosts that serve meanwhile wait for no more than that.
const PAGE_EVENTS: usize = 200;
/// Snapshots that are looked at for aggregates without events.
const SNAPSHOTS_MAX: usize = 200_000;

/// How far a verification is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Position in the stream that was reached.
    pub sequence: u64,
    /// The last position.
    pub last_sequence: u64,
    /// How many walks through the log are left after this one, as far as is known.
    pub walks_left: usize,
}

/// What a verification needs.
pub struct Verification<'a> {
    /// The code that has to understand it all.
    pub code: Arc<Activation>,
    /// The log.
    pub events: Arc<dyn EventStore>,
    /// The snapshots.
    pub snapshots: Arc<dyn SnapshotStore>,
    /// Aggregates that may be in memory at once; more take further walks through the log.
    pub aggregates_max: usize,
    /// Where the stores' answers are waited for.
    pub runtime: Handle,
    /// Told now and then how far it is.
    pub progress: &'a dyn Fn(Progress),
}

impl Verification<'_> {
    /// Verifies all that was stored when it began. Blocks, so it needs a thread of its own.
    ///
    /// # Errors
    /// [`Unavailable`] where log or snapshots cannot be read.
    pub fn run(self) -> Result<Report, Unavailable> {
        let extent = self.wait(self.events.extent())?;
        let mut report = Report::of(&self.code);
        let mut parts = vec![Part::WHOLE];
        while let Some(part) = parts.pop() {
            if let Some(halves) = self.walk(part, extent, parts.len(), &mut report)? {
                parts.extend(halves);
            }
        }
        self.look_at_snapshots_alone(&mut report)?;
        Ok(report)
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
        self.runtime.block_on(answer)
    }

    /// One walk through the log, for the aggregates of one part. Where those are too many it is given
    /// up, and gives the halves of the part.
    fn walk(
        &self,
        part: Part,
        extent: Extent,
        walks_left: usize,
        report: &mut Report,
    ) -> Result<Option<[Part; 2]>, Unavailable> {
        let instances = Instances::new(Arc::clone(&self.code), self.aggregates_max);
        let mut followed: HashMap<AggregateId, Followed> = HashMap::new();
        let mut sequence = extent.first_sequence.max(1);
        let mut pages = self.events.scan(sequence, extent.last_sequence, PAGE_EVENTS);
        while sequence <= extent.last_sequence {
            (self.progress)(Progress { sequence, last_sequence: extent.last_sequence, walks_left });
            let Some(page) = self.wait(pages.try_next())? else { break };
            for (id, event) in page.events.iter().filter(|(id, _)| part.has(id)) {
                if !followed.contains_key(id) {
                    if followed.len() >= self.aggregates_max
                        && let Some(halves) = part.halves()
                    {
                        return Ok(Some(halves));
                    }
                    followed.insert(id.clone(), self.begin(&instances, id, event, extent)?);
                }
                if let Some(followed) = followed.get_mut(id) {
                    followed.step(id, event);
                }
            }
            sequence = page.through + 1;
        }
        let mut lost = Vec::new();
        for (id, followed) in followed {
            match followed.is_lost() {
                true => lost.push(id),
                false => self.finish(&id, followed, extent, report)?,
            }
        }
        for id in lost {
            self.replay_alone(&id, extent, report)?;
        }
        Ok(None)
    }

    /// Begins to follow an aggregate at the first event that is left of it.
    fn begin(
        &self,
        instances: &Instances,
        id: &AggregateId,
        first: &StoredEvent,
        extent: Extent,
    ) -> Result<Followed, Unavailable> {
        let loaded = Loaded::of(self.wait(self.snapshots.load(id))?, instances, id);
        let first_version = first.origin.as_ref().map_or(1, |origin| origin.version);
        Ok(match first_version {
            // Nothing has left the front of the log, so what is missing was taken out of its midst.
            2.. if extent.first_sequence > 1 => Followed::from_snapshot(&self.code, id, first_version, loaded),
            _ => Followed::from_nothing(instances, id, loaded),
        })
    }

    /// One aggregate whose instance was lost through another one, in an instance of its own.
    fn replay_alone(&self, id: &AggregateId, extent: Extent, report: &mut Report) -> Result<(), Unavailable> {
        let instances = Instances::new(Arc::clone(&self.code), 1);
        let (mut from, mut followed) = (1, None);
        loop {
            let events = self.wait(self.events.read(id, from, extent.last_sequence, PAGE_EVENTS))?;
            let Some(last) = events.last() else { break };
            from = last.sequence + 1;
            for event in &events {
                let followed = match &mut followed {
                    Some(followed) => followed,
                    None => followed.insert(self.begin(&instances, id, event, extent)?),
                };
                followed.step(id, event);
            }
        }
        match followed {
            Some(followed) => self.finish(id, followed, extent, report),
            None => Ok(()),
        }
    }

    /// What comes after the last event: a snapshot that is younger than the walk, or than the log.
    fn finish(
        &self,
        id: &AggregateId,
        mut followed: Followed,
        extent: Extent,
        report: &mut Report,
    ) -> Result<(), Unavailable> {
        if let Some(newest) = followed.awaits().filter(|sequence| *sequence > extent.last_sequence) {
            let mut from = extent.last_sequence + 1;
            loop {
                let events = self.wait(self.events.read(id, from, newest, PAGE_EVENTS))?;
                let Some(last) = events.last() else { break };
                from = last.sequence + 1;
                events.iter().for_each(|event| followed.step(id, event));
            }
        }
        followed.finish(id, report);
        Ok(())
    }

    /// Snapshots of aggregates of which the log has nothing: all their events have aged, or the log
    /// is not the one that they were made of.
    fn look_at_snapshots_alone(&self, report: &mut Report) -> Result<(), Unavailable> {
        let mut ids = self.wait(self.snapshots.ids(SNAPSHOTS_MAX + 1))?;
        if ids.len() > SNAPSHOTS_MAX {
            ids.truncate(SNAPSHOTS_MAX);
            let why = format!("snapshots beyond the first {SNAPSHOTS_MAX}, for aggregates without events");
            report.not_verified.push(why);
        }
        let instances = Instances::new(Arc::clone(&self.code), 1);
        for id in ids {
            if self.wait(self.events.head(&id, Replica::Leader))?.is_some() {
                continue;
            }
            let loaded = Loaded::of(self.wait(self.snapshots.load(&id))?, &instances, &id);
            report.aggregates += 1;
            // Its last event may have aged since the walk began.
            let extent = self.wait(self.events.extent())?;
            for finding in loaded.alone(&id, extent) {
                report.add(finding);
            }
        }
        Ok(())
    }
}
