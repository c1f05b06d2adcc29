//! `Agent-Expected-Version`: executed only at that version. It must not test conflicts between
//! hosts.

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use tests::{Agent, Host, Nats};

#[tokio::test]
async fn version_zero_is_right_for_an_agent_without_events() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();

    nats.ask(agent.deploy().expected_version("0")).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn version_zero_is_a_conflict_for_an_agent_with_events() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    let reply = nats.ask(agent.activate().expected_version("0")).await?.error("conflict")?;

    ensure!(reply.body["retryable"] == false && reply.version()? == 1, "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn the_right_version_is_executed() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy_configured()).await?.ok()?;

    let reply = nats.ask(agent.activate().expected_version("2")).await?.ok()?;

    ensure!(reply.version()? == 3, "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_wrong_version_is_a_conflict_that_stores_nothing() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    for wrong in ["2", "18446744073709551615"] {
        let reply = nats.ask(agent.activate().expected_version(wrong)).await?.error("conflict")?;
        ensure!(reply.body["retryable"] == false && reply.version()? == 1, "{}", reply.body);
    }

    ensure!(nats.stored(&agent.id).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn an_impossible_version_is_invalid() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    for impossible in ["-1", "one", "1.5", "1e3", "0x1", "18446744073709551616", "1 2"] {
        let reply = nats.ask(agent.activate().expected_version(impossible)).await?;
        reply.error("invalid")?.naming(&["Agent-Expected-Version"])?;
    }

    ensure!(nats.stored(&agent.id).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn of_many_commands_that_expect_the_same_version_one_wins() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    let commands = (0..10).map(|number| nats.ask(agent.set("winner", number).expected_version("1")));
    let mut winners = 0;
    for reply in try_join_all(commands).await? {
        if reply.body["status"] == "ok" {
            winners += 1;
        } else {
            let reply = reply.error("conflict")?;
            ensure!(reply.body["retryable"] == false && reply.version()? == 2, "{}", reply.body);
        }
    }

    ensure!(winners == 1, "{winners} winners");
    ensure!(nats.stored(&agent.id).await?.len() == 2);
    Ok(())
}
