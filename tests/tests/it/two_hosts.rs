//! Two hosts on one queue group, both writing the same agents. It must not address one of them.

use anyhow::{Result, ensure};
use tests::load::{Outcome, agents, ensure_log_agrees, load, resolve};
use tests::{Agent, Host, Nats, eventually};

#[tokio::test]
async fn two_hosts_write_the_same_agents_without_gap_or_duplicate() -> Result<()> {
    let nats = Nats::start().await?;
    let _one = Host::start(&nats).await?;
    let _other = Host::start(&nats).await?;
    let agents = agents(&nats, 3).await?;

    let mut sent = load(&nats, &agents, 4, 12).await?;

    ensure_log_agrees(&nats, &sent).await?;
    for command in &sent {
        // Colliding past the retry limit is an honest answer; anything else here is not.
        let conflict = Outcome::Error("conflict".to_owned());
        ensure!(matches!(command.outcome, Outcome::Ok(_)) || command.outcome == conflict, "{command:?}");
    }
    resolve(&nats, &mut sent).await?;
    ensure_log_agrees(&nats, &sent).await
}

#[tokio::test]
async fn two_hosts_share_the_work() -> Result<()> {
    let nats = Nats::start().await?;
    let _one = Host::start(&nats).await?;
    let _other = Host::start(&nats).await?;

    eventually("both answer a ping", async || {
        ensure!(nats.ping().await?.len() == 2, "not both");
        Ok(())
    })
    .await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    for number in 0..10 {
        nats.ask(agent.set("number", number)).await?.ok()?;
    }

    // One event each: a command went to one of the two, never to both.
    ensure!(nats.stored(&agent.id).await?.len() == 11);
    Ok(())
}

#[tokio::test]
async fn one_host_takes_over_from_another() -> Result<()> {
    let nats = Nats::start().await?;
    let mut one = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    let _other = Host::start(&nats).await?;

    ensure!(one.terminate().await? == 0);

    let reply = nats.ask(agent.activate()).await?.ok()?;
    ensure!(reply.version()? == 2, "{}", reply.body);
    Ok(())
}
