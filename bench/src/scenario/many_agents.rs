//! Ten times as many agents as fit into memory, held against all of them in memory. It must not know
//! how a host chooses whom it keeps.

use anyhow::Result;

use super::Scenario;
use crate::agents::{self, Choice, Draw};
use crate::contender::Contender;
use crate::duel;
use crate::ground::Ground;
use crate::host_process::HostProcess;
use crate::load::{Aim, Load};
use crate::options::Plan;
use crate::results::{Goal, Outcome};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "many_agents",
    about: "A command of one event to many agents, drawn uniformly and by Zipf's law: a host that keeps a tenth of them in memory, and one that keeps all",
    run: |plan| crate::event_loop()?.block_on(run(plan)),
};

const IN_FLIGHT: usize = 64;

/// A host on a server of its own.
struct Field {
    load: Load,
    _host: HostProcess,
    _ground: Ground,
}

async fn run(plan: &Plan) -> Result<Outcome> {
    let fields = [field(plan, plan.aggregates).await?, field(plan, plan.aggregates / 10).await?];
    let names = ["all in memory", "a tenth in memory"];
    let draws = [
        ("uniform", 0.5, Choice::Drawn(Draw::uniform(plan.aggregates))),
        ("Zipf", 0.9, Choice::Drawn(Draw::zipf(plan.aggregates))),
    ];
    let (mut table, mut goals) = (duel::table(), Vec::new());
    for (name, least, choice) in &draws {
        let mut sides = duel::sides(names);
        for round in 0..plan.rounds {
            let aim = Aim::drawn(IN_FLIGHT, choice);
            duel::round(plan, round, &mut sides, async |who| fields[who].load.measure(plan, &aim).await).await?;
        }
        duel::rows(&mut table, &format!("{IN_FLIGHT}, {name}"), &sides);
        let throughput = sides[1].per_second().to(&sides[0].per_second());
        let promise = format!("{} agents, {name}, throughput of a tenth in memory to all", plan.aggregates);
        goals.push(Goal::at_least(*least, promise, throughput));
    }
    Ok(Outcome { goals, tables: vec![table], notes: Vec::new() })
}

async fn field(plan: &Plan, capacity: usize) -> Result<Field> {
    let ground = Ground::start().await?;
    let capacity = capacity.max(1).to_string();
    let host = HostProcess::start(plan, &ground, "host", &[("CACHE_CAPACITY", &capacity)]).await?;
    let load = Load::new(ground.client.clone(), Contender::Service, agents::ids(plan.aggregates));
    load.deploy().await?;
    Ok(Field { load, _host: host, _ground: ground })
}
