//! Aggregates that stay in memory, held against loading them for each command. It must not know how
//! either is done.

use anyhow::Result;

use super::Scenario;
use crate::arena::Arena;
use crate::contender::Contender::{self, Reload, Service};
use crate::duel;
use crate::load::Aim;
use crate::options::Plan;
use crate::results::Outcome;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "reload",
    about: "A command of one event: the service, and native rules on an agent that an ordered consumer loads for each command",
    run: |plan| crate::event_loop()?.block_on(run(plan)),
};

const CONTENDERS: [Contender; 2] = [Reload, Service];
const IN_FLIGHT: [usize; 2] = [1, 64];

async fn run(plan: &Plan) -> Result<Outcome> {
    let mut loads = IN_FLIGHT.map(|in_flight| (in_flight, duel::sides(CONTENDERS.map(Contender::name))));
    for round in 0..plan.rounds {
        let arena = Arena::start(plan, &[Reload], plan.agents).await?;
        for (in_flight, sides) in &mut loads {
            arena.round(plan, round, &CONTENDERS, &Aim::updates(*in_flight), sides).await?;
        }
        arena.check().await?;
    }
    let mut table = duel::table();
    for (in_flight, sides) in &loads {
        duel::rows(&mut table, &in_flight.to_string(), sides);
    }
    let notes = vec![
        "No goal: with every event of any agent the twin gets slower, the service does not. Each run begins with one event for each agent.".to_owned(),
    ];
    Ok(Outcome { tables: vec![table], notes, ..Outcome::default() })
}
