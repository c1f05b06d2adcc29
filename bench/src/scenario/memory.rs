//! Resident memory of a host: idle, for each agent in memory, and after agents have left it. It must
//! not know where a host keeps them.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Scenario;
use crate::agents;
use crate::contender::Contender;
use crate::ground::Ground;
use crate::host_process::HostProcess;
use crate::load::Load;
use crate::options::Plan;
use crate::place::{Native, grow};
use crate::results::{Cell, Figure, Goal, Outcome, Table, Unit};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "memory",
    about: "Resident memory of a host: idle with the agent plugin, for each agent in memory, and after large agents have made room for small ones",
    run: |plan| crate::event_loop()?.block_on(run(plan)),
};

/// Sizes of state, as JSON.
const STATE_BYTES: [usize; 2] = [750, 6_500];
/// Rounds at most: each takes its time.
const ROUNDS_MAX: u32 = 3;
/// Memory has to come back within this.
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The share of what large agents took more than small ones that has to come back.
const BACK_MIN: f64 = 0.8;
const IDLE_BYTES_MAX: f64 = 60e6;

/// A host whose memory is as full as it may be.
struct Full {
    host: HostProcess,
    ground: Ground,
    idle: f64,
    per_agent: f64,
    full: f64,
}

async fn run(plan: &Plan) -> Result<Outcome> {
    let (mut idle, mut back) = (Vec::new(), Vec::new());
    let mut per_agent = STATE_BYTES.map(|_| Vec::new());
    let mut back_after_ms = Vec::new();
    for _ in 0..plan.rounds.min(ROUNDS_MAX) {
        let small = fill(plan, STATE_BYTES[0]).await?;
        let large = fill(plan, STATE_BYTES[1]).await?;
        idle.extend([small.idle, large.idle]);
        for (rounds, full) in per_agent.iter_mut().zip([&small, &large]) {
            rounds.push(full.per_agent);
        }
        let begun = Instant::now();
        add(&large.ground, plan.live, STATE_BYTES[0]).await?;
        let share = |now: f64| (large.full - now) / (large.full - small.full).max(1.0);
        let mut now = share(large.host.resident_bytes()?);
        while now < BACK_MIN && begun.elapsed() < BACK_WITHIN && !plan.smoke {
            tokio::time::sleep(LOOK_EVERY).await;
            now = share(large.host.resident_bytes()?);
        }
        back.push(now);
        back_after_ms.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let back = Figure::new(Unit::Ratio, back);
    let idle = Figure::new(Unit::Bytes, idle);
    let mut table = Table::new(["resident memory", "measured", "allowed"]);
    table.row([Cell::from("idle host with the agent plugin, B"), idle.clone().into(), "60,000,000".into()]);
    let mut goals = vec![Goal::at_most(IDLE_BYTES_MAX, "resident memory of an idle host", idle)];
    for (bytes, rounds) in STATE_BYTES.into_iter().zip(per_agent) {
        let json = json_bytes(bytes)?;
        let max = (4_096 + 3 * json) as f64;
        let figure = Figure::new(Unit::Bytes, rounds);
        let allowed = Figure::once(Unit::Bytes, max);
        table.row([format!("for each agent of {json} B of state, B").into(), figure.clone().into(), allowed.into()]);
        goals.push(Goal::at_most(max, format!("memory of a live agent of {json} B of state"), figure));
    }
    table.row([Cell::from("share that comes back, large agents gone"), back.clone().into(), "0.80".into()]);
    let after = Figure::new(Unit::Milliseconds, back_after_ms);
    table.row([Cell::from("until then, from the first small agent on, ms"), after.into(), "60,000".into()]);
    goals.push(Goal::at_least(BACK_MIN, "share of memory back within a minute after eviction", back));
    Ok(Outcome { goals, tables: vec![table], notes: Vec::new() })
}

/// Starts a host and lets it keep as many agents of that size as it may. What they take is all that it
/// has more than before, buffers included.
async fn fill(plan: &Plan, bytes: usize) -> Result<Full> {
    let ground = Ground::start().await?;
    let capacity = plan.live.to_string();
    let host = HostProcess::start(plan, &ground, "host", &[("CACHE_CAPACITY", &capacity)]).await?;
    let idle = host.resident_bytes()?;
    // Hashing does not fill all shards alike: a few less than there is room for.
    let count = plan.live - plan.live / 20;
    add(&ground, count, bytes).await?;
    let full = host.resident_bytes()?;
    Ok(Full { host, ground, idle, per_agent: (full - idle) / count as f64, full })
}

async fn add(ground: &Ground, count: usize, bytes: usize) -> Result<()> {
    let load = Load::new(ground.client.clone(), Contender::Service, agents::ids(count));
    load.deploy().await?;
    load.fill(missing(bytes)?).await
}

/// What is added to a new agent so that it has about that size.
fn missing(bytes: usize) -> Result<usize> {
    Ok(bytes.saturating_sub(json_bytes(0)?))
}

/// How large an agent's state is as JSON, which is what the plugin's snapshot is.
fn json_bytes(bytes: usize) -> Result<usize> {
    let id = uuid::Uuid::nil().to_string();
    grow(&mut Native::new(&id), bytes, &id)
}
