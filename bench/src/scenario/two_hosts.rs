//! Two hosts that share one queue group, held against one: who has an agent in memory is not who gets
//! its next command. It must not know how hosts agree.

use anyhow::{Context as _, Result};

use super::Scenario;
use crate::agents::{self, Choice, Draw};
use crate::contender::Contender;
use crate::duel;
use crate::ground::Ground;
use crate::host_process::{HostProcess, counters};
use crate::load::{Aim, Asked, Load};
use crate::options::Plan;
use crate::results::{Cell, Figure, Goal, Outcome, Table, Unit};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "two_hosts",
    about: "Two hosts on one queue group, and one: commands to agents evenly and to ten hot ones, and a query right after a change",
    run: |plan| crate::event_loop()?.block_on(run(plan)),
};

const IN_FLIGHT: usize = 64;
const HOT: usize = 10;
const NAMES: [&str; 2] = ["one host", "two hosts"];

/// Hosts on a server of their own.
struct Field {
    load: Load,
    hosts: Vec<HostProcess>,
    ground: Ground,
}

impl Field {
    async fn start(plan: &Plan, count: usize) -> Result<Self> {
        let ground = Ground::start().await?;
        let mut hosts = Vec::new();
        for nth in 0..count {
            hosts.push(HostProcess::start(plan, &ground, &format!("host-{nth}"), &[]).await?);
        }
        let load = Load::new(ground.client.clone(), Contender::Service, agents::ids(plan.agents));
        load.deploy().await?;
        Ok(Self { load, hosts, ground })
    }

    /// Appends so far that another host was ahead of.
    async fn conflicts(&self) -> Result<f64> {
        let counters = counters(&self.ground, self.hosts.len()).await?;
        counters.iter().map(|data| data["conflicts"].as_f64().context("a host without conflicts")).sum()
    }
}

async fn run(plan: &Plan) -> Result<Outcome> {
    let hot = Choice::Drawn(Draw::uniform(HOT.min(plan.agents)));
    let loads = [
        ("evenly", Aim { lenient: true, ..Aim::updates(IN_FLIGHT) }),
        ("ten hot agents", Aim::drawn(IN_FLIGHT, &hot)),
        ("a query after a change, 1", Aim::of(Asked::StateAfterUpdate, 1)),
    ];
    let mut sides = loads.each_ref().map(|_| duel::sides(NAMES));
    let mut conflicts = loads.each_ref().map(|_| NAMES.map(|_| Vec::new()));
    for round in 0..plan.rounds {
        let fields = [Field::start(plan, 1).await?, Field::start(plan, 2).await?];
        for (((_, aim), sides), conflicts) in loads.iter().zip(&mut sides).zip(&mut conflicts) {
            let mut before = [0.0; NAMES.len()];
            let mut answered = [0; NAMES.len()];
            for (before, field) in before.iter_mut().zip(&fields) {
                *before = field.conflicts().await?;
            }
            let take = async |who: usize| {
                let turn = fields[who].load.measure(plan, aim).await?;
                answered[who] += turn.answered;
                Ok(turn)
            };
            duel::round(plan, round, sides, take).await?;
            for (who, field) in fields.iter().enumerate() {
                let of_a_thousand = 1_000.0 / answered[who].max(1) as f64;
                conflicts[who].push((field.conflicts().await? - before[who]) * of_a_thousand);
            }
        }
    }
    let mut table = duel::table();
    let mut collisions = Table::new(["load", "who answers", "conflicts of 1,000 answered", "refused of 1,000"]);
    for (((name, _), sides), conflicts) in loads.iter().zip(&sides).zip(conflicts) {
        duel::rows(&mut table, name, sides);
        for (side, conflicts) in sides.iter().zip(conflicts) {
            let conflicts = Figure::new(Unit::Count, conflicts);
            collisions.row([Cell::from(*name), side.name.as_str().into(), conflicts.into(), side.refused().into()]);
        }
    }
    let throughput = sides[0][1].per_second().to(&sides[0][0].per_second());
    let promise = format!("{} agents evenly, {IN_FLIGHT} in flight, throughput of two hosts to one", plan.agents);
    let goals = vec![Goal::at_least(1.0, promise, throughput)];
    Ok(Outcome { goals, tables: vec![table, collisions], notes: Vec::new() })
}
