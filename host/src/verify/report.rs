//! What a verification found, counted by kind. Knows nothing of how it was found.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::activation::Activation;
use crate::domain::Digest;
use crate::name::{AggregateId, Name};

/// Findings that are told one by one; the others are counted.
pub const SHOWN_MAX: usize = 50;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Versions are missing.
    Gap,
    /// No host wrote an event.
    Foreign,
    /// The code cannot apply an event, or fails.
    Failing,
    /// The first events have aged, and no snapshot stands for them.
    Uncovered,
    /// A snapshot's checksum does not hold, or it is none.
    SnapshotDamaged,
    /// A snapshot is not the state that the events give.
    SnapshotDiffers,
    /// A snapshot stands for events that the log does not have.
    SnapshotContradicts,
}

impl Kind {
    /// For people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Gap => "versions are missing",
            Self::Foreign => "an event that no host wrote",
            Self::Failing => "an event does not evolve",
            Self::Uncovered => "aged events that no snapshot stands for",
            Self::SnapshotDamaged => "a damaged snapshot",
            Self::SnapshotDiffers => "a snapshot that is not what the events give",
            Self::SnapshotContradicts => "a snapshot of events that the log does not have",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// With which aggregate.
    #[serde(serialize_with = "as_text")]
    pub aggregate: AggregateId,
    /// At which version.
    pub version: u64,
    /// At which position of the stream, 0 where it has none.
    pub sequence: u64,
    /// In words.
    pub why: String,
}

/// What there is, and what is wrong with it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The domain.
    #[serde(serialize_with = "as_text")]
    pub domain: Name,
    /// The code that everything was evolved by.
    pub code: Digest,
    /// Aggregates that were looked at.
    pub aggregates: u64,
    /// Events that were looked at.
    pub events: u64,
    /// Snapshots whose state was held against the events.
    pub snapshots: u64,
    /// Findings by kind.
    pub found: BTreeMap<Kind, u64>,
    /// The first of them.
    pub findings: Vec<Finding>,
    /// What was not looked at, and why.
    pub not_verified: Vec<String>,
}

impl Report {
    pub(super) fn of(code: &Activation) -> Self {
        Self {
            domain: code.description().domain.clone(),
            code: code.digest(),
            aggregates: 0,
            events: 0,
            snapshots: 0,
            found: BTreeMap::new(),
            findings: Vec::new(),
            not_verified: Vec::new(),
        }
    }

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn add(&mut self, finding: Finding) {
        *self.found.entry(finding.kind).or_default() += 1;
        if self.findings.len() < SHOWN_MAX {
            self.findings.push(finding);
        }
    }
}

fn as_text<S: serde::Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
