//! What one shard measures of the requests it serves, and what it has in hand.

use std::time::Duration;

use super::{Asked, Counter, Gauge, Histogram};

/// Bounds of times, in nanoseconds: from what a command takes in memory to the longest timeout.
const TIMES: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];
/// Bounds of histories, in events.
const EVENTS: &[u64] = &[0, 10, 50, 100, 200, 500, 1_000, 5_000, 10_000, 50_000, 100_000];

/// A part of a request's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It waits for its shard and its aggregate.
    Queue,
    /// Its aggregate is brought into memory.
    Load,
    /// The plugin decides.
    Decide,
    /// JetStream stores.
    Append,
    /// The plugin applies what was stored.
    Evolve,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Queue, Self::Load, Self::Decide, Self::Append, Self::Evolve];

    /// Its name for people and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Load => "load",
            Self::Decide => "decide",
            Self::Append => "append",
            Self::Evolve => "evolve",
        }
    }
}

/// What one shard measures.
#[derive(Debug)]
pub struct Meter {
    /// Commands, from arrival to reply.
    pub commands: Histogram,
    /// Queries likewise.
    pub queries: Histogram,
    stages: [Histogram; Stage::ALL.len()],
    /// Events applied to bring an aggregate into memory.
    pub replayed: Histogram,
    /// Aggregates in memory.
    pub live: Gauge,
    /// Requests that wait for an aggregate which is at work.
    pub waiting: Gauge,
    /// How often the shard took up something. One that has work and takes none up is stuck.
    pub turns: Counter,
}

impl Default for Meter {
    fn default() -> Self {
        let times = || Histogram::new(TIMES);
        Self {
            commands: times(),
            queries: times(),
            stages: std::array::from_fn(|_| times()),
            replayed: Histogram::new(EVENTS),
            live: Gauge::default(),
            waiting: Gauge::default(),
            turns: Counter::default(),
        }
    }
}

impl Meter {
    /// Counts how long a request took from its arrival.
    pub fn answered(&self, asked: Asked<'_>, after: Duration) {
        match asked {
            Asked::Command(_) => self.commands.observe(nanos(after)),
            Asked::Query => self.queries.observe(nanos(after)),
        }
    }

    /// Counts how long a stage took.
    pub fn passed(&self, stage: Stage, took: Duration) {
        self.stages[stage as usize].observe(nanos(took));
    }

    /// What was counted of a stage.
    pub fn stage(&self, stage: Stage) -> &Histogram {
        &self.stages[stage as usize]
    }

    /// Notes what the shard has in hand as it takes up the next thing.
    pub fn turn(&self, live: usize, waiting: usize) {
        self.turns.add(1);
        self.live.set(live as u64);
        self.waiting.set(waiting as u64);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
