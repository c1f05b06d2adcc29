//! The first command to an agent that is in nobody's memory: after a clean restart, after a SIGKILL,
//! and where there is no snapshot. It must not know how a host loads.

mod reads;
mod reference;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use self::reads::Reads;
use super::Scenario;
use crate::contender::Contender;
use crate::ground::Ground;
use crate::host_process::HostProcess;
use crate::load::{Load, micros};
use crate::options::Plan;
use crate::results::{Cell, Figure, Goal, Outcome, Spread, Table, Unit};
use crate::seed::Seed;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "first_command",
    about: "The first command to an agent with a long history in a large stream: after a clean restart, after a SIGKILL, and without any snapshot",
    run: |plan| crate::event_loop()?.block_on(run(plan)),
};

/// Agents with a long history, all loaded after each start: the first is the host's very first.
const AGENTS: u64 = 4;
/// Warm commands of each, to compare with.
const WARM: usize = 25;
/// Commands of each that a SIGKILL finds without a snapshot: fewer than lead to one.
const UNSAVED: usize = 50;

/// Longest wait until changes are saved behind the commands, and how often it is looked.
const SAVED_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What first commands came to in one way of starting, over the rounds.
#[derive(Default)]
struct Way {
    very_first_us: Vec<f64>,
    others_us: Vec<f64>,
    warm_us: Vec<f64>,
    reads: Vec<f64>,
}

/// A server with a full stream, and those who are asked.
struct Field {
    ground: Ground,
    load: Load,
    starts: u32,
}

async fn run(plan: &Plan) -> Result<Outcome> {
    let ground = Ground::start().await?;
    let seed = Seed::prepare(plan, &ground).await?;
    let ids = seed.sow(&ground, AGENTS, plan.history, plan.stream_events).await?;
    let load = Load::new(ground.client.clone(), Contender::Service, ids);
    let mut field = Field { ground, load, starts: 0 };
    let [mut replayed, mut restarted, mut killed, mut killed_later] = [const { Way::new() }; 4];
    let (mut by_consumer_us, mut by_gets_us) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        field.forget_snapshots().await?;
        by_consumer_us.push(field.read_all(reference::by_consumer).await?);
        by_gets_us.push(field.read_all(reference::by_gets).await?);
        field.start(plan, &mut replayed).await?.stop()?;
        let host = field.start(plan, &mut restarted).await?;
        field.ask_all(UNSAVED).await?;
        host.kill()?;
        let host = field.start(plan, &mut killed).await?;
        field.ask_all_until_saved(UNSAVED).await?;
        host.kill()?;
        field.start(plan, &mut killed_later).await?.stop()?;
    }
    let references = [by_consumer_us, by_gets_us].map(|us| Figure::new(Unit::Microseconds, us));
    Ok(outcome(plan, &[&restarted, &killed_later, &killed, &replayed], references))
}

impl Field {
    /// Starts a host, asks every agent once while its reads are counted, and then often enough to
    /// know what a warm command takes.
    async fn start(&mut self, plan: &Plan, way: &mut Way) -> Result<HostProcess> {
        self.starts += 1;
        let name = format!("host-{}", self.starts);
        let host = HostProcess::start(plan, &self.ground, &name, &[]).await?;
        let (mut firsts_us, mut reads) = (Vec::new(), Vec::new());
        for id in self.load.ids() {
            let mut seen = Reads::watch(self.ground.url()).await?;
            firsts_us.push(micros(self.load.update(id).await?));
            reads.push(seen.about(id).await? as f64);
        }
        let mut warm_us = Vec::new();
        for took in self.ask_all(WARM).await? {
            warm_us.push(micros(took));
        }
        let (very_first, others) = firsts_us.split_first().context("there are no agents")?;
        way.very_first_us.push(*very_first);
        way.others_us.push(Spread::of(others.iter().copied()).median);
        way.warm_us.push(Spread::of(warm_us).median);
        way.reads.push(Spread::of(reads).max);
        Ok(host)
    }

    /// So many commands to each agent, one after another.
    async fn ask_all(&self, times: usize) -> Result<Vec<Duration>> {
        let mut took = Vec::new();
        for _ in 0..times {
            for id in self.load.ids() {
                took.push(self.load.update(id).await?);
            }
        }
        Ok(took)
    }

    /// The same, and waits until each agent has a snapshot that was taken afterwards.
    async fn ask_all_until_saved(&self, times: usize) -> Result<()> {
        self.ask_all(times).await?;
        let asked = self.newest_snapshots().await?;
        let give_up = Instant::now() + SAVED_MAX;
        while self.newest_snapshots().await?.iter().zip(&asked).any(|(now, asked)| now == asked) {
            ensure!(Instant::now() < give_up, "changes are not saved behind the commands");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// The sequence of each agent's snapshot, 0 without one.
    async fn newest_snapshots(&self) -> Result<Vec<u64>> {
        let stream = self.ground.context.get_stream("KV_AGENT_SNAPSHOTS").await?;
        let mut newest = Vec::new();
        for id in self.load.ids() {
            let last = stream.get_last_raw_message_by_subject(&format!("$KV.AGENT_SNAPSHOTS.{id}")).await;
            newest.push(last.map_or(0, |message| message.sequence));
        }
        Ok(newest)
    }

    /// As if the agents had never been in a snapshot.
    async fn forget_snapshots(&self) -> Result<()> {
        let stream = self.ground.context.get_stream("KV_AGENT_SNAPSHOTS").await?;
        for id in self.load.ids() {
            stream.purge().filter(format!("$KV.AGENT_SNAPSHOTS.{id}")).await?;
        }
        Ok(())
    }

    /// What it takes this program to read one agent's events, the median of all agents.
    async fn read_all(&self, read: impl AsyncFn(&Ground, &str) -> Result<Duration>) -> Result<f64> {
        let mut took = Vec::new();
        for id in self.load.ids() {
            took.push(micros(read(&self.ground, id).await?));
        }
        Ok(Spread::of(took).median)
    }
}

impl Way {
    const fn new() -> Self {
        Self { very_first_us: Vec::new(), others_us: Vec::new(), warm_us: Vec::new(), reads: Vec::new() }
    }

    fn very_first(&self) -> Figure {
        Figure::new(Unit::Microseconds, self.very_first_us.iter().copied())
    }

    fn others(&self) -> Figure {
        Figure::new(Unit::Microseconds, self.others_us.iter().copied())
    }

    fn warm(&self) -> Figure {
        Figure::new(Unit::Microseconds, self.warm_us.iter().copied())
    }

    fn reads(&self) -> Figure {
        Figure::new(Unit::Count, self.reads.iter().copied())
    }
}

fn outcome(plan: &Plan, ways: &[&Way; 4], [by_consumer, by_gets]: [Figure; 2]) -> Outcome {
    let mut table = Table::new([
        "the agent was left by",
        "the host's very first command, µs",
        "an agent's first command, µs",
        "a warm command, µs",
        "very first to warm",
        "first to warm",
        "reads of one agent",
    ]);
    for (name, way) in
        ["a clean stop", "a SIGKILL, once changes were saved", "a SIGKILL at once", "events alone, no snapshot"]
            .into_iter()
            .zip(ways)
    {
        let ratios = [way.very_first().to(&way.warm()), way.others().to(&way.warm())];
        let figures = [way.very_first(), way.others(), way.warm()].into_iter().chain(ratios).chain([way.reads()]);
        table.row([Cell::from(name)].into_iter().chain(figures.map(Cell::from)));
    }
    let [restarted, .., replayed] = ways;
    let mut reading =
        Table::new(["reading one agent's events without a host", "µs", "first command without a snapshot, to it"]);
    for (name, figure) in [("an ordered consumer", by_consumer), ("batched direct gets of 1,000", by_gets)] {
        let ratio = replayed.others().to(&figure);
        reading.row([Cell::from(name), figure.into(), ratio.into()]);
    }
    let promise =
        |what: &str| format!("after a clean restart, {} events in {}: {what}", plan.history, plan.stream_events);
    let goals = vec![
        Goal::at_most(3.0, promise("reads"), restarted.reads()),
        Goal::at_most(3.0, promise("very first command to warm"), restarted.very_first().to(&restarted.warm())),
    ];
    Outcome { goals, tables: vec![table, reading], notes: Vec::new() }
}
