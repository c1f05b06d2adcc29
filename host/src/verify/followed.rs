//! One aggregate on its way through the log: whether each event is the next and was written by a
//! host, whether it evolves, and whether the snapshot is what comes of it. Knows nothing of stores.

use std::sync::Arc;

use super::expected::{Expected, Loaded, ViewDigest, finding};
use super::report::{Finding, Kind, Report};
use crate::activation::Activation;
use crate::copy::{Copy, NotFollowed};
use crate::domain::{DomainEvent, EVENTS_PER_COMMAND_MAX, PluginError};
use crate::event::{Origin, StoredEvent, event_id};
use crate::instances::Instances;
use crate::name::{AggregateId, Name};

/// Findings of one aggregate that are told; one is enough to look at it.
const FINDINGS_MAX: usize = 8;

/// An aggregate that is followed.
pub(super) struct Followed {
    domain: Name,
    /// `None` once something is wrong with its history: what comes after means nothing then.
    copy: Option<Copy>,
    copy_version: u64,
    /// Version of the last event that was seen.
    seen: u64,
    /// The command of the last event, and which of its events that was.
    command: Option<(String, usize)>,
    /// The snapshot, until its event comes.
    expected: Option<Expected>,
    findings: Vec<Finding>,
    events: u64,
    snapshots: u64,
    lost: bool,
}

impl Followed {
    /// An aggregate whose log begins with its first event.
    pub(super) fn from_nothing(instances: &Instances, id: &AggregateId, loaded: Loaded) -> Self {
        let (copy, failure) = match Copy::create(instances, id) {
            Ok(copy) => (Some(copy), None),
            Err(error) => (None, Some(finding(Kind::Failing, id, 0, 0, format!("it cannot be made: {error}")))),
        };
        let mut findings: Vec<Finding> = loaded.finding.into_iter().collect();
        findings.extend(failure);
        Self::new(&instances.activation(), copy, 0, 0, loaded.expected, findings, loaded.lost)
    }

    /// An aggregate whose first events have left the log: a snapshot stands for them, or nothing does.
    pub(super) fn from_snapshot(code: &Arc<Activation>, id: &AggregateId, first_version: u64, loaded: Loaded) -> Self {
        let seen = first_version - 1;
        let mut findings: Vec<Finding> = loaded.finding.into_iter().collect();
        let covers = loaded.expected.as_ref().is_some_and(|expected| expected.version >= seen);
        if !covers || loaded.copy.is_none() {
            let why = format!(
                "its events up to version {seen} are gone, and no snapshot that the code reads stands for them"
            );
            findings.push(finding(Kind::Uncovered, id, seen, 0, why));
            return Self::new(code, None, 0, seen, loaded.expected.filter(|_| covers), findings, loaded.lost);
        }
        let at = loaded.expected.as_ref().map_or(0, |expected| expected.version);
        // Its state is where we begin, so that there is nothing to hold it against but its event.
        let expected = loaded.expected.filter(|_| at > seen).map(|expected| Expected { view: None, ..expected });
        Self::new(code, loaded.copy, at, seen, expected, findings, loaded.lost)
    }

    fn new(
        code: &Arc<Activation>,
        copy: Option<Copy>,
        copy_version: u64,
        seen: u64,
        expected: Option<Expected>,
        findings: Vec<Finding>,
        lost: bool,
    ) -> Self {
        let domain = code.description().domain.clone();
        let (command, events, snapshots) = (None, 0, 0);
        Self { domain, copy, copy_version, seen, command, expected, findings, events, snapshots, lost }
    }

    /// Whether its instance was lost through another aggregate, so that it is to be begun anew.
    pub(super) fn is_lost(&self) -> bool {
        self.lost || self.copy.as_ref().is_some_and(Copy::is_lost)
    }

    /// The position of the event that its snapshot waits for.
    pub(super) fn awaits(&self) -> Option<u64> {
        self.expected.as_ref().map(|expected| expected.sequence)
    }

    /// The next event in the log.
    pub(super) fn step(&mut self, id: &AggregateId, event: &StoredEvent) {
        self.events += 1;
        let (name, origin) = match self.written_by_a_host(event) {
            Ok(written) => written,
            Err(why) => return self.find(Kind::Foreign, id, self.seen, event.sequence, why),
        };
        if origin.version > self.seen + 1 {
            let (from, to) = (self.seen + 1, origin.version - 1);
            let missing =
                if from == to { format!("version {from} is") } else { format!("versions {from} to {to} are") };
            self.find(Kind::Gap, id, origin.version, event.sequence, format!("{missing} missing before it"));
            self.copy = None;
        }
        self.seen = origin.version;
        self.check_id(id, event, origin);
        self.evolve(id, event, name);
        self.hold_snapshot_against(id, event, origin);
    }

    /// The event's name and origin, where it can be the next one.
    fn written_by_a_host<'e>(&self, event: &'e StoredEvent) -> Result<(Name, &'e Origin), String> {
        let origin = event.origin.as_ref().map_err(Clone::clone)?;
        if origin.version <= self.seen {
            return Err(format!("it bears version {}, and version {} has been", origin.version, self.seen));
        }
        // Where versions are missing the name is as telling as ever.
        event.written_as(origin.version)
    }

    /// An event's id comes from its command, so that nobody makes one up.
    fn check_id(&mut self, id: &AggregateId, event: &StoredEvent, origin: &Origin) {
        let of = |index| event_id(&self.domain, id, &origin.command_id, index) == origin.event_id;
        let index = match &self.command {
            Some((command, index)) if *command == origin.command_id => Some(index + 1).filter(|index| of(*index)),
            Some(_) => Some(0).filter(|index| of(*index)),
            // The first that is left may be one of the last of its command.
            None => (0..EVENTS_PER_COMMAND_MAX).find(|index| of(*index)),
        };
        if index.is_none() {
            let why = "its ce-id is not that of an event of its command".to_owned();
            self.find(Kind::Foreign, id, origin.version, event.sequence, why);
        }
        self.command = Some((origin.command_id.clone(), index.unwrap_or_default()));
    }

    fn evolve(&mut self, id: &AggregateId, event: &StoredEvent, name: Name) {
        let Some(copy) = self.copy.as_ref().filter(|_| self.copy_version < self.seen) else { return };
        match copy.evolve(&DomainEvent { name, payload: event.payload.clone() }) {
            Ok(()) => self.copy_version = self.seen,
            Err(NotFollowed::Lost) => self.lost = true,
            Err(NotFollowed::Failed(why)) => {
                self.copy = None;
                self.find(Kind::Failing, id, self.seen, event.sequence, why);
            }
        }
    }

    /// At the snapshot's own version.
    fn hold_snapshot_against(&mut self, id: &AggregateId, event: &StoredEvent, origin: &Origin) {
        let version = self.seen;
        let Some(expected) = self.expected.take_if(|expected| expected.version == version) else { return };
        if expected.sequence != event.sequence || expected.event_id != origin.event_id {
            let why = format!(
                "its last event is {} at {}, the log has {} at {} in its place",
                expected.event_id, expected.sequence, origin.event_id, event.sequence
            );
            return self.find(Kind::SnapshotContradicts, id, version, event.sequence, why);
        }
        let (Some(view), Some(copy)) = (expected.view, &self.copy) else { return };
        match copy.view() {
            Ok(shown) if ViewDigest::of(&shown) == view => self.snapshots += 1,
            Ok(_) => {
                self.snapshots += 1;
                let why = "what it shows is not what the events up to its version give".to_owned();
                self.find(Kind::SnapshotDiffers, id, version, event.sequence, why);
            }
            Err(PluginError::InstanceLost) => self.lost = true,
            Err(error) => {
                self.copy = None;
                self.find(Kind::Failing, id, version, event.sequence, format!("its state cannot be shown: {error}"));
            }
        }
    }

    /// What comes after the last event.
    pub(super) fn finish(mut self, id: &AggregateId, report: &mut Report) {
        if let Some(expected) = self.expected.take_if(|expected| expected.version > self.seen) {
            let why = format!("it stands for version {}, the log ends with version {}", expected.version, self.seen);
            self.find(Kind::SnapshotContradicts, id, expected.version, expected.sequence, why);
        }
        if let Some(copy) = &self.copy
            && let Err(error) = copy.view()
        {
            self.find(Kind::Failing, id, self.seen, 0, format!("its state cannot be shown: {error}"));
        }
        report.aggregates += 1;
        report.events += self.events;
        report.snapshots += self.snapshots;
        self.findings.into_iter().for_each(|finding| report.add(finding));
    }

    fn find(&mut self, kind: Kind, id: &AggregateId, version: u64, sequence: u64, why: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding(kind, id, version, sequence, why));
        }
    }
}
