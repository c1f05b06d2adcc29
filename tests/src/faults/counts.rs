//! How much there was of everything, of one run or of many. It must not judge.

use std::collections::BTreeMap;
use std::fmt;

use super::answer::{Answer, Sent};
use super::kind::Kind;
use super::logged::Logged;

/// The counts.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Runs that were counted.
    pub runs: usize,
    /// Commands, each with an id of its own.
    pub commands: usize,
    /// Those of them that the durable lane has accepted.
    pub accepted: usize,
    /// Attempts without an outcome.
    pub unknown: usize,
    /// Commands without an outcome that got one when sent again.
    pub resolved: usize,
    /// Commands by their first answer with an outcome: `ok`, or the code.
    pub by_answer: BTreeMap<String, usize>,
    /// Events in the log.
    pub events: usize,
    /// Faults by kind.
    pub faults: BTreeMap<Kind, usize>,
    /// Hosts that ended though nobody killed them.
    pub ended: usize,
    /// Rules that did not hold.
    pub violations: usize,
}

impl Counts {
    /// Those of one run.
    pub fn of(sent: &[Sent], log: &[Logged], faults: &[Kind], violations: usize, ended: usize) -> Self {
        let mut counts =
            Self { runs: 1, commands: sent.len(), events: log.len(), ended, violations, ..Self::default() };
        for sent in sent {
            counts.accepted += usize::from(sent.accepted().is_some());
            counts.unknown += sent.answers.iter().filter(|answer| **answer == Answer::Unknown).count();
            let answer = sent.answers.iter().find(|answer| **answer != Answer::Unknown);
            let was_open = sent.answers.last().is_some_and(|answer| *answer == Answer::Unknown);
            counts.resolved += usize::from(was_open && sent.again.as_ref().is_some_and(|again| !again.is_open()));
            let name = match answer {
                Some(Answer::Ok { .. }) => "ok",
                Some(Answer::Refused { code, .. }) => code,
                Some(Answer::Malformed(_)) => "malformed",
                Some(Answer::Unknown) | None => "without an answer at first",
            };
            *counts.by_answer.entry(name.to_owned()).or_default() += 1;
        }
        for fault in faults {
            *counts.faults.entry(*fault).or_default() += 1;
        }
        counts
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.commands += other.commands;
        self.accepted += other.accepted;
        self.unknown += other.unknown;
        self.resolved += other.resolved;
        self.events += other.events;
        self.ended += other.ended;
        self.violations += other.violations;
        for (answer, count) in &other.by_answer {
            *self.by_answer.entry(answer.clone()).or_default() += count;
        }
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
    }

    /// Commands that were answered so.
    pub fn answered(&self, answer: &str) -> usize {
        self.by_answer.get(answer).copied().unwrap_or_default()
    }
}

/// A table, one count per line.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, count: usize| writeln!(f, "{name:34}{count:>10}");
        line("runs", self.runs)?;
        line("commands sent", self.commands)?;
        for (answer, count) in &self.by_answer {
            line(&format!("  {answer}"), *count)?;
        }
        line("accepted by the durable lane", self.accepted)?;
        line("attempts of unknown outcome", self.unknown)?;
        line("commands resolved afterwards", self.resolved)?;
        line("events stored", self.events)?;
        line("faults", self.faults.values().sum())?;
        for (fault, count) in &self.faults {
            line(&format!("  {}", fault.name()), *count)?;
        }
        line("hosts that ended by themselves", self.ended)?;
        line("violations", self.violations)
    }
}
