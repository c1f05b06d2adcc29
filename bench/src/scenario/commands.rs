//! A command that stores one event, held against what the messages allow and against the same rules
//! called natively. It must not know how turns are taken.

use anyhow::Result;

use super::Scenario;
use crate::arena::Arena;
use crate::contender::Contender::{self, Limit, Native, Service};
use crate::duel::{self, Side};
use crate::load::Aim;
use crate::options::Plan;
use crate::results::{Goal, Outcome};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "commands",
    about: "A command of one event, agents evenly: the service, the agent rules called natively, and no rules at all",
    run: |plan| crate::event_loop()?.block_on(run(plan)),
};

/// Commands in flight: one alone, a busy client, more than anyone needs.
const IN_FLIGHT: [usize; 3] = [1, 64, 256];
const CONTENDERS: [Contender; 3] = [Limit, Native, Service];

async fn run(plan: &Plan) -> Result<Outcome> {
    let mut loads = IN_FLIGHT.map(|in_flight| (in_flight, duel::sides(CONTENDERS.map(Contender::name))));
    for round in 0..plan.rounds {
        // On a fresh server, so that none inherits another's store.
        let arena = Arena::start(plan, &[Limit, Native], plan.agents).await?;
        for (in_flight, sides) in &mut loads {
            arena.round(plan, round, &CONTENDERS, &Aim::updates(*in_flight), sides).await?;
        }
        arena.check().await?;
    }
    let mut table = duel::table();
    for (in_flight, sides) in &loads {
        duel::rows(&mut table, &in_flight.to_string(), sides);
    }
    let [(_, alone), (_, busy), (_, full)] = &loads;
    let mut goals = Vec::new();
    for (in_flight, [limit, native, service]) in [(64, three(busy)?), (256, three(full)?)] {
        let throughput = service.per_second();
        let promise = |to: &str| format!("{in_flight} in flight, throughput to {to}");
        goals.push(Goal::at_least(0.95, promise("native"), throughput.to(&native.per_second())));
        goals.push(Goal::at_least(0.90, promise("limit"), throughput.to(&limit.per_second())));
    }
    let [_, native, service] = three(alone)?;
    goals.push(Goal::at_most(1.05, "1 in flight, median to native", service.median().to(&native.median())));
    let [_, native, service] = three(busy)?;
    goals.push(Goal::at_most(1.15, "64 in flight, 99th percentile to native", service.p99().to(&native.p99())));
    Ok(Outcome { goals, tables: vec![table], notes: Vec::new() })
}

fn three(sides: &[Side]) -> Result<[&Side; 3]> {
    match sides {
        [limit, native, service] => Ok([limit, native, service]),
        _ => anyhow::bail!("there are {} sides, not three", sides.len()),
    }
}
