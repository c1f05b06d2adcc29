//! The component with its state kept inside, held against the same component with state passed in
//! and out as bytes. It must not know how either is done.

use anyhow::Result;

use super::Scenario;
use crate::arena::Arena;
use crate::contender::Contender::{self, Bytes, Service};
use crate::duel;
use crate::load::Aim;
use crate::options::Plan;
use crate::results::{Goal, Outcome};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "bytes",
    about: "A command of one event to agents of 6 KB of state: the service, and the same component in a fresh instance for each command, state in and out as bytes",
    run: |plan| crate::event_loop()?.block_on(run(plan)),
};

const CONTENDERS: [Contender; 2] = [Bytes, Service];
const IN_FLIGHT: usize = 64;
/// What is added to the least that an agent has, which is about half a KB.
const SETTINGS_BYTES: usize = 5_600;

async fn run(plan: &Plan) -> Result<Outcome> {
    let mut sides = duel::sides(CONTENDERS.map(Contender::name));
    for round in 0..plan.rounds {
        let arena = Arena::start(plan, &[Bytes], plan.agents).await?;
        for contender in CONTENDERS {
            arena.load(contender)?.fill(SETTINGS_BYTES).await?;
        }
        arena.round(plan, round, &CONTENDERS, &Aim::updates(IN_FLIGHT), &mut sides).await?;
        arena.check().await?;
    }
    let mut table = duel::table();
    duel::rows(&mut table, &IN_FLIGHT.to_string(), &sides);
    let throughput = sides[1].per_second().to(&sides[0].per_second());
    let goals = vec![Goal::at_least(1.5, "6 KB of state, throughput to bytes", throughput)];
    Ok(Outcome { goals, tables: vec![table], notes: Vec::new() })
}
