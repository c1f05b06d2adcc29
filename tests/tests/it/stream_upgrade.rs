//! The stream of the deployment guide, made by hand, and the one command that changes a stream. It
//! must not test streams that the host makes.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::stream::guide_stream;
use tests::{Agent, Cli, Host, Nats, eventually};

async fn guide() -> Result<Nats> {
    let nats = Nats::start().await?;
    nats.create_stream(&guide_stream()).await?;
    Ok(nats)
}

#[tokio::test]
async fn the_guides_stream_serves_commands_of_one_event() -> Result<()> {
    let nats = guide().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();

    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;

    ensure!(nats.ask(agent.state()).await?.ok()?.version()? == 2);
    Ok(())
}

#[tokio::test]
async fn on_the_guides_stream_a_command_of_two_events_names_setting_and_remedy() -> Result<()> {
    let nats = guide().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();

    let reply = nats.ask(agent.deploy_configured()).await?.error("unavailable")?;

    reply.naming(&["allow_atomic", "agent-service stream upgrade"])?;
    ensure!(nats.stored(&agent.id).await?.is_empty(), "half of the command was stored");
    nats.ask(agent.state()).await?.error("not_found")?;
    Ok(())
}

#[tokio::test]
async fn after_the_upgrade_a_command_of_two_events_is_stored() -> Result<()> {
    let nats = guide().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    let command = agent.deploy_configured().msg_id("same");
    nats.ask(command.clone()).await?.error("unavailable")?;

    Cli::new(&nats).run(&["stream", "upgrade"]).await?.exit(0)?;

    // The refusal was said to be worth a retry, so the running host has to notice.
    eventually("the command is stored", async || nats.ask(command.clone()).await?.ok()).await?;
    ensure!(nats.stored(&agent.id).await?.len() == 2);
    Ok(())
}

#[tokio::test]
async fn the_upgrade_changes_only_what_it_has_to() -> Result<()> {
    let nats = guide().await?;
    let before = nats.stream_config("AGENT_EVENTS").await?;

    Cli::new(&nats).run(&["stream", "upgrade", "agent"]).await?.exit(0)?;

    let mut after = nats.stream_config("AGENT_EVENTS").await?;
    ensure!(after["allow_atomic"] == true, "{after}");
    for setting in ["allow_atomic", "allow_direct", "metadata"] {
        after[setting] = before[setting].clone();
    }
    let mut before = before;
    for setting in ["allow_atomic", "allow_direct", "metadata"] {
        before[setting] = before[setting].clone();
    }
    ensure!(after == before, "{before} became {after}");
    ensure!(after["subjects"] == json!(["agent.commands.>", "agent.events.>"]), "{after}");
    Ok(())
}

#[tokio::test]
async fn an_upgrade_keeps_what_is_stored_and_can_be_repeated() -> Result<()> {
    let nats = guide().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    for _ in 0..2 {
        Cli::new(&nats).run(&["stream", "upgrade"]).await?.exit(0)?;
    }

    ensure!(nats.stored(&agent.id).await?.len() == 1);
    ensure!(nats.ask(agent.activate()).await?.ok()?.version()? == 2);
    Ok(())
}

#[tokio::test]
async fn an_upgrade_without_a_stream_is_an_error() -> Result<()> {
    let nats = Nats::start().await?;

    let output = Cli::new(&nats).run(&["stream", "upgrade"]).await?;

    ensure!(output.code != 0 && output.stderr.contains("AGENT_EVENTS"), "{output:?}");
    ensure!(nats.stream_config("AGENT_EVENTS").await.is_err(), "a stream was made");
    Ok(())
}
