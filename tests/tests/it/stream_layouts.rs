//! The stream as the host makes it, in both layouts, and a stream that stands. It must not test
//! which settings are refused.

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use serde_json::{Value, json};
use tests::stream::{event_stream, guide_stream};
use tests::{Agent, Host, Nats, eventually};

const YEAR_NS: u64 = 365 * 24 * 60 * 60 * 1_000_000_000;

#[tokio::test]
async fn the_first_start_makes_the_stream_with_the_guides_defaults() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;

    let config = nats.stream_config("AGENT_EVENTS").await?;

    ensure!(config["subjects"] == json!(["agent.events.>"]), "{config}");
    ensure!(config["storage"] == "file" && config["retention"] == "limits", "{config}");
    ensure!(config["max_age"] == YEAR_NS && config["num_replicas"] == 1, "{config}");
    ensure!(config["allow_atomic"] == true && config["allow_direct"] == true, "{config}");
    Ok(())
}

#[tokio::test]
async fn the_streams_name_and_age_are_settings() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::builder(&nats)?.env("STREAM_NAME", "AGENTS_OF_ACME").env("STREAM_MAX_AGE", "30d");
    let _host = host.start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    let config = nats.stream_config("AGENTS_OF_ACME").await?;
    ensure!(config["max_age"] == YEAR_NS / 365 * 30, "{config}");
    let events = nats.stored_in("AGENTS_OF_ACME", "agent.events.>").await?;
    ensure!(events[0].header("ce-source")? == "/local/AGENTS_OF_ACME");
    ensure!(nats.stream_config("AGENT_EVENTS").await.is_err(), "a second stream was made");
    Ok(())
}

#[tokio::test]
async fn an_age_of_0_keeps_events_for_ever() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::builder(&nats)?.env("STREAM_MAX_AGE", "0").start(&nats).await?;

    let config = nats.stream_config("AGENT_EVENTS").await?;

    ensure!(config["max_age"] == 0, "{config}");
    Ok(())
}

#[tokio::test]
async fn more_replicas_than_servers_are_refused() -> Result<()> {
    let nats = Nats::start().await?;
    Host::builder(&nats)?.env("STREAM_REPLICAS", 3).refuses(&["AGENT_EVENTS", "replicas"]).await
}

#[tokio::test]
async fn the_combined_layout_captures_commands_too() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::builder(&nats)?.env("STREAM_LAYOUT", "combined").start(&nats).await?;
    let agent = Agent::new();

    nats.ask(agent.deploy()).await?.ok()?;

    let config = nats.stream_config("AGENT_EVENTS").await?;
    ensure!(config["subjects"] == json!(["agent.commands.>", "agent.events.>"]), "{config}");
    ensure!(
        config["allow_atomic"] == true && config["allow_direct"] == true && config["max_age"] == YEAR_NS,
        "{config}"
    );
    ensure!(nats.stored_in("AGENT_EVENTS", "agent.commands.>").await?.len() == 1);
    ensure!(nats.stored(&agent.id).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn in_the_combined_layout_everything_works_as_in_the_split_one() -> Result<()> {
    let nats = Nats::start().await?;
    let builder = Host::builder(&nats)?.env("STREAM_LAYOUT", "combined");
    let mut host = builder.start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy_configured()).await?.ok()?;
    nats.ask(agent.activate().msg_id("once")).await?.ok()?;

    host.kill().await?;
    let _host = builder.start(&nats).await?;

    ensure!(nats.ask(agent.activate().msg_id("once")).await?.ok()?.duplicate()?);
    nats.ask(agent.activate()).await?.rejected("invalid_transition")?;
    ensure!(nats.ask(agent.state()).await?.ok()?.version()? == 3);
    ensure!(nats.ask(agent.history(0, 10)).await?.ok()?.events()?.len() == 3);
    Ok(())
}

#[tokio::test]
async fn in_the_combined_layout_the_reply_can_be_told_from_the_acknowledgement() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::builder(&nats)?.env("STREAM_LAYOUT", "combined").start(&nats).await?;
    let inbox = nats.client().new_inbox();
    let mut answers = nats.client().subscribe(inbox.clone()).await?;

    nats.publish_with_reply(Agent::new().deploy(), &inbox).await?;

    let mut acknowledgements = 0;
    loop {
        let answer = tokio::time::timeout(tests::PATIENCE, answers.next()).await?.context("no reply")?;
        let body: Value = serde_json::from_slice(&answer.payload)?;
        if answer.headers.is_some_and(|headers| headers.get("Agent-Status").is_some()) {
            ensure!(body["status"] == "ok", "{body}");
            break;
        }
        ensure!(body["stream"] == "AGENT_EVENTS", "{body}");
        acknowledgements += 1;
    }
    ensure!(acknowledgements == 1, "{acknowledgements} acknowledgements");
    Ok(())
}

#[tokio::test]
async fn a_stream_that_stands_is_adopted_and_not_changed() -> Result<()> {
    for mut config in [event_stream(), guide_stream()] {
        config["description"] = json!("made by hand");
        config["max_age"] = json!(YEAR_NS / 2);
        let nats = Nats::start().await?;
        nats.create_stream(&config).await?;
        let before = nats.stream_config("AGENT_EVENTS").await?;

        let mut host = Host::start(&nats).await?;
        let agent = Agent::new();
        nats.ask(agent.deploy()).await?.ok()?;
        ensure!(host.terminate().await? == 0);

        ensure!(nats.stored(&agent.id).await?.len() == 1);
        let after = nats.stream_config("AGENT_EVENTS").await?;
        ensure!(after == before, "{before} became {after}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_that_captures_commands_earns_a_warning() -> Result<()> {
    let nats = Nats::start().await?;
    nats.create_stream(&guide_stream()).await?;

    let host = Host::start(&nats).await?;

    host.logs(&["warn", "AGENT_EVENTS", "acknowledge"]).await
}

#[tokio::test]
async fn a_full_stream_refuses_commands_and_stores_nothing() -> Result<()> {
    let nats = Nats::start().await?;
    let mut config = event_stream();
    config["discard"] = json!("new");
    config["max_msgs"] = json!(2);
    nats.create_stream(&config).await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;

    nats.ask(agent.suspend().msg_id("later")).await?.error("unavailable")?;
    ensure!(nats.ask(agent.state()).await?.ok()?.state()["status"] == "Active");

    config["max_msgs"] = json!(10);
    nats.update_stream(&config).await?;
    eventually("there is room again", async || nats.ask(agent.suspend().msg_id("later")).await?.ok()).await?;
    ensure!(nats.stored(&agent.id).await?.len() == 3);
    Ok(())
}
