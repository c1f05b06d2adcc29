//! The unit under a systemd that runs: started, ready, confined, started anew, watched and stopped. It must
//! not test what the host says to systemd.

use anyhow::{Result, ensure};
use tests::systemd::Machine;
use tests::{Agent, Nats, eventually};

/// With a filter, by `seccomp(2)`.
const FILTERED: &str = "2";

#[tokio::test]
async fn systemd_starts_the_unit_and_has_it_confined_watched_and_restarted() -> Result<()> {
    let nats = Nats::start().await?;
    let Some(machine) = Machine::boot(&nats).await? else { return Ok(()) };

    // There is nothing to serve, and the start waits for it.
    machine.shows("StatusText", "not ready: plugins: there is no plugin to serve").await?;
    ensure!(machine.property("ActiveState")? == "activating");
    machine.has_plugin()?;
    machine.shows("ActiveState", "active").await?;
    machine.shows("StatusText", "ready, serving agent").await?;
    let agent = Agent::new();
    nats.ask(agent.deploy_configured()).await?.ok()?;

    for (word, value) in [("NoNewPrivs", "1"), ("CapEff", "0000000000000000"), ("Seccomp", FILTERED)] {
        ensure!(machine.status(word)? == value, "{word}: {}", machine.status(word)?);
    }
    ensure!(!machine.status("Uid")?.split_whitespace().any(|id| id == "0"), "it runs as root");

    machine.tell(&["kill", "--signal=KILL"])?;
    machine.shows("NRestarts", "1").await?;
    machine.shows("ActiveState", "active").await?;
    served_again(&nats, &agent).await?;

    // It lives, and does nothing.
    machine.tell(&["kill", "--signal=STOP"])?;
    machine.shows("NRestarts", "2").await?;
    ensure!(machine.journal()?.contains("Watchdog timeout"), "{}", machine.journal()?);
    machine.shows("ActiveState", "active").await?;
    served_again(&nats, &agent).await?;

    machine.tell(&["stop"])?;
    ensure!(machine.property("ActiveState")? == "inactive" && machine.property("Result")? == "success");
    nats.has_snapshot_of(&agent.id).await
}

async fn served_again(nats: &Nats, agent: &Agent) -> Result<()> {
    eventually("the agent is there again", async || {
        ensure!(nats.ask(agent.state()).await?.ok()?.version()? == 2);
        Ok(())
    })
    .await
}
