//! Commands of several events, which are stored all or none, where many wait. It must not know how
//! the service groups them.

use anyhow::Result;

use super::Scenario;
use crate::arena::Arena;
use crate::contender::Contender::{self, Batch, Service};
use crate::duel;
use crate::load::{Aim, Asked};
use crate::options::Plan;
use crate::results::{Cell, Goal, Outcome, Table};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "several_events",
    about: "A deployment of two events, each of a new agent: the service, and a twin with an atomic batch of its own for each command",
    run: |plan| crate::event_loop()?.block_on(run(plan)),
};

const CONTENDERS: [Contender; 2] = [Batch, Service];
/// One alone, and as many as wait where a batch takes its time.
const IN_FLIGHT: [usize; 2] = [1, 256];
/// How much longer a turn is: that many commands of the twin take half a second.
const LONGER: u32 = 4;

async fn run(plan: &Plan) -> Result<Outcome> {
    // In a smoke run fewer, so that some are answered before it is over.
    let many = if plan.smoke { 16 } else { IN_FLIGHT[1] };
    let mut loads = [IN_FLIGHT[0], many].map(|in_flight| (in_flight, duel::sides(CONTENDERS.map(Contender::name))));
    let turns = plan.turns.div_ceil(LONGER);
    let plan = &Plan { measured: plan.measured * LONGER, turns, ..plan.clone() };
    for round in 0..plan.rounds {
        // An agent for each lane; those that are deployed are new ones.
        let arena = Arena::start(plan, &[Batch], many).await?;
        for (in_flight, sides) in &mut loads {
            arena.round(plan, round, &CONTENDERS, &Aim::of(Asked::DeployNew, *in_flight), sides).await?;
        }
        arena.check().await?;
    }
    let mut table = Table::new(["in flight", "who answers", "median µs", "p99 µs", "commands/s", "to one batch each"]);
    for (in_flight, sides) in &loads {
        for side in sides {
            let rate = side.overall_per_second();
            let ratio = rate.to(&sides[0].overall_per_second());
            let figures = [side.median(), side.p99(), rate, ratio].map(Cell::from);
            table.row([in_flight.to_string().into(), Cell::from(side.name.as_str())].into_iter().chain(figures));
        }
    }
    let [_, (_, sides)] = &loads;
    let rate = sides[1].overall_per_second().to(&sides[0].overall_per_second());
    let goals = vec![Goal::at_least(10.0, format!("two events each, {many} in flight, rate to one batch each"), rate)];
    Ok(Outcome { goals, tables: vec![table], notes: Vec::new() })
}
