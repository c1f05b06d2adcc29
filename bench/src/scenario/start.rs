//! From the start of a host until it serves, with the component's code in the cache and an empty
//! stream. It must not know what a host does meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use xtask::poll::PATIENCE;

use super::Scenario;
use crate::agents;
use crate::contender::Contender;
use crate::ground::Ground;
use crate::host_process::{HostProcess, is_answered};
use crate::load::Load;
use crate::options::Plan;
use crate::results::{Cell, Figure, Goal, Outcome, Table, Unit};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "start",
    about: "From the start of a host until it serves, compiled code in the cache, empty stream; connection and readiness as the host's log has them",
    run: |plan| crate::event_loop()?.block_on(run(plan)),
};

/// Between two questions whether it answers.
const INTERVAL: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Took {
    connected_to_ready: Vec<f64>,
    to_service_api: Vec<f64>,
    to_command: Vec<f64>,
}

async fn run(plan: &Plan) -> Result<Outcome> {
    let mut took = Took::default();
    // Compiles, where no scenario before has.
    HostProcess::start(plan, &Ground::start().await?, "first", &[]).await?.stop()?;
    for _ in 0..plan.rounds {
        let ground = Ground::start().await?;
        let load = Load::new(ground.client.clone(), Contender::Service, agents::ids(1));
        let mut host = HostProcess::spawn(plan, &ground, "host", &[])?;
        until_served(&mut host, async || is_answered(&ground, "$SRV.PING.agent-service").await).await?;
        took.to_service_api.push(millis(host.begun().elapsed()));
        until_served(&mut host, async || load.is_served().await).await?;
        took.to_command.push(millis(host.begun().elapsed()));
        took.connected_to_ready.push(millis(host.connected_to_ready()?));
        host.stop()?;
    }
    Ok(outcome(took))
}

fn outcome(took: Took) -> Outcome {
    let figure = |rounds: Vec<f64>| Figure::new(Unit::Milliseconds, rounds);
    let ready = figure(took.connected_to_ready);
    let mut table = Table::new(["from", "until", "ms"]);
    let rows = [
        ("the NATS connection stands", "ready", ready.clone()),
        ("the process is started", "the service API answers", figure(took.to_service_api)),
        ("the process is started", "the first command is answered", figure(took.to_command)),
    ];
    for (from, until, figure) in rows {
        table.row([Cell::from(from), until.into(), figure.into()]);
    }
    let goals = vec![Goal::at_most(150.0, "ready after the connection stands, empty stream", ready)];
    Outcome { goals, tables: vec![table], notes: Vec::new() }
}

async fn until_served(host: &mut HostProcess, served: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !served().await? {
        if let Some(status) = host.exit_status()? {
            bail!("the service ended at start ({status}): {}", host.log()?);
        }
        ensure!(Instant::now() < deadline, "the service did not answer within {PATIENCE:?}: {}", host.log()?);
        tokio::time::sleep(INTERVAL).await;
    }
    Ok(())
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
