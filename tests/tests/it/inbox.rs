//! The durable lane: accepted while nobody is there, executed once, in order, with an outcome for
//! who wants one. It must not test failing hosts or failing commands.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::{Agent, Host, Nats, eventually};

#[tokio::test]
async fn commands_accepted_while_no_host_runs_are_executed_later() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    nats.stream_stands("AGENT_INBOX").await?;
    ensure!(host.terminate().await? == 0);
    let agents: Vec<Agent> = (0..3).map(|_| Agent::new()).collect();
    for agent in &agents {
        nats.accept(agent.deploy().durable()).await?;
        nats.accept(agent.activate().by_subject(&agent.id).durable()).await?;
        nats.accept(agent.set("number", 1).durable()).await?;
    }
    ensure!(nats.stream_messages("AGENT_INBOX").await? == 9);

    let _host = Host::start(&nats).await?;

    nats.inbox_is_empty("AGENT_INBOX").await?;
    for agent in &agents {
        let events: Vec<String> = nats.stored(&agent.id).await?.iter().map(|event| event.subject.clone()).collect();
        let expected = ["deployed", "activated", "configuration_changed"];
        ensure!(events.len() == 3, "{events:?}");
        ensure!(events.iter().zip(expected).all(|(event, expected)| event.ends_with(expected)), "{events:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_command_without_an_id_has_its_place_for_one() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    nats.stream_stands("AGENT_INBOX").await?;
    let agent = Agent::new();

    let sequence = nats.accept(agent.deploy().durable()).await?;
    nats.accept(agent.activate().durable().msg_id("mine")).await?;

    nats.inbox_is_empty("AGENT_INBOX").await?;
    let events = nats.stored(&agent.id).await?;
    ensure!(events.len() == 2);
    ensure!(events[0].header("ce-causationid")? == format!("AGENT_INBOX:{sequence}"));
    ensure!(events[1].header("ce-causationid")? == "mine");
    Ok(())
}

#[tokio::test]
async fn whoever_asks_for_the_outcome_gets_it_also_a_refusal() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    nats.stream_stands("AGENT_INBOX").await?;
    let mut outcomes = nats.outcomes().await?;
    let agent = Agent::new();
    let target = outcomes.subject.clone();

    nats.accept(agent.deploy().durable().header("Agent-Reply-To", &target)).await?;
    ensure!(outcomes.next().await?.ok()?.version()? == 1);
    nats.accept(agent.deploy().durable().header("Agent-Reply-To", &target)).await?;
    outcomes.next().await?.error("rejected")?;
    nats.accept(agent.command("sing", &json!({})).durable().header("Agent-Reply-To", &target)).await?;
    outcomes.next().await?.error("invalid")?;
    let message = agent.activate().durable().header("Agent-Expected-Version", "7");
    nats.accept(message.header("Agent-Reply-To", &target)).await?;
    outcomes.next().await?.error("conflict")?;

    nats.inbox_is_empty("AGENT_INBOX").await?;
    ensure!(nats.stream_messages("AGENT_DEAD").await? == 0, "a refusal was parked");
    ensure!(nats.stored(&agent.id).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn the_same_id_again_is_not_executed_again() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    nats.stream_stands("AGENT_INBOX").await?;
    let mut outcomes = nats.outcomes().await?;
    let agent = Agent::new();
    nats.ask(agent.deploy().msg_id("once")).await?.ok()?;

    // The first went by the other lane.
    nats.accept(agent.deploy().durable().msg_id("once").header("Agent-Reply-To", &outcomes.subject)).await?;

    let outcome = outcomes.next().await?.ok()?;
    ensure!(outcome.duplicate()? && outcome.version()? == 1, "{}", outcome.body);
    ensure!(nats.stored(&agent.id).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn an_outcome_that_would_be_more_than_a_reply_is_refused_with_its_command() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::start(&nats).await?;
    nats.stream_stands("AGENT_INBOX").await?;
    let victim = Agent::new();
    let event = format!("agent.events.{}.activated", victim.id);
    for target in [&event, "$JS.API.STREAM.PURGE.AGENT_EVENTS", "two words", "wild.*", "agent.inbox.activate"] {
        let agent = Agent::new();
        nats.accept(agent.deploy().durable().header("Agent-Reply-To", target)).await?;
        nats.inbox_is_empty("AGENT_INBOX").await?;
        nats.ask(agent.state()).await?.error("not_found")?;
        host.logs(&[target, "dropped"]).await?;
    }
    ensure!(nats.stored(&victim.id).await?.is_empty(), "an outcome became an event");
    Ok(())
}

#[tokio::test]
async fn a_host_without_the_lane_makes_no_streams_and_serves_all_else() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::builder(&nats)?.env("INBOX", "off").start(&nats).await?;
    nats.ask(Agent::new().deploy()).await?.ok()?;
    ensure!(nats.stream_messages("AGENT_INBOX").await.is_err(), "it made an inbox");
    Ok(())
}

#[tokio::test]
async fn an_inbox_that_drops_commands_is_refused_and_all_else_served() -> Result<()> {
    let nats = Nats::start().await?;
    let config = json!({
        "name": "AGENT_INBOX", "subjects": ["agent.inbox.>"], "retention": "workqueue", "max_age": 1_000_000_000_000_u64,
    });
    nats.create_stream(&config).await?;
    let host = Host::start(&nats).await?;
    host.logs(&["AGENT_INBOX", "max_age"]).await?;
    nats.ask(Agent::new().deploy()).await?.ok()?;
    ensure!(nats.stream_config("AGENT_INBOX").await?["max_age"] == config["max_age"], "it was changed");
    Ok(())
}

#[tokio::test]
async fn an_inbox_deleted_under_the_host_is_told_and_not_made_anew() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::start(&nats).await?;
    nats.stream_stands("AGENT_INBOX").await?;
    eventually("the consumer stands", async || nats.inbox_consumer().await.map(drop)).await?;
    nats.accept(Agent::new().deploy().durable()).await?;
    nats.inbox_is_empty("AGENT_INBOX").await?;

    nats.delete_stream("AGENT_INBOX").await?;

    host.logs(&["AGENT_INBOX", "deleted"]).await?;
    ensure!(nats.stream_messages("AGENT_INBOX").await.is_err(), "it was made anew");
    nats.ask(Agent::new().deploy()).await?.ok()?;
    Ok(())
}
