//! Answers that store nothing and must not be stale: a rejection and a query. It must not know how
//! the service confirms them.

use anyhow::Result;

use super::Scenario;
use crate::arena::Arena;
use crate::contender::Contender::{self, Look, Service};
use crate::duel;
use crate::load::{Aim, Asked};
use crate::options::Plan;
use crate::results::{Goal, Outcome};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "answers",
    about: "A rejection and a query: the service, and a twin that reads the agent's last event from the leader and replies",
    run: |plan| crate::event_loop()?.block_on(run(plan)),
};

const CONTENDERS: [Contender; 2] = [Look, Service];
const LOADS: [(&str, Asked, usize); 4] = [
    ("a rejection, 1", Asked::DeployAgain, 1),
    ("a query, 1", Asked::State, 1),
    ("a rejection, 64", Asked::DeployAgain, 64),
    ("a query, 64", Asked::State, 64),
];
const MEDIAN_TO_LOOK_MAX: f64 = 1.6;

async fn run(plan: &Plan) -> Result<Outcome> {
    let mut loads = LOADS.map(|load| (load, duel::sides(CONTENDERS.map(Contender::name))));
    for round in 0..plan.rounds {
        let arena = Arena::start(plan, &[Look], plan.agents).await?;
        for ((_, asked, in_flight), sides) in &mut loads {
            arena.round(plan, round, &CONTENDERS, &Aim::of(*asked, *in_flight), sides).await?;
        }
        arena.check().await?;
    }
    let (mut table, mut goals) = (duel::table(), Vec::new());
    for ((name, _, in_flight), sides) in &loads {
        duel::rows(&mut table, name, sides);
        if *in_flight == 1 {
            let median = sides[1].median().to(&sides[0].median());
            let promise = format!("{name} in flight, median to a reply after one leader read");
            goals.push(Goal::at_most(MEDIAN_TO_LOOK_MAX, promise, median));
        }
    }
    Ok(Outcome { goals, tables: vec![table], notes: Vec::new() })
}
