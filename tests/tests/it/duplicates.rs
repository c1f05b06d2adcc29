//! The same command id again: the effect of once, and the first outcome. It must not rely on
//! JetStream's own deduplication, which forgets.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use serde_json::json;
use tests::stored::ensure_history;
use tests::stream::event_stream;
use tests::{Agent, Host, Nats, Reply, eventually};

/// JetStream's shortest duplicate window.
const SHORTEST_WINDOW_MS: u64 = 100;

async fn with_shortest_window() -> Result<Nats> {
    let nats = Nats::start().await?;
    let mut config = event_stream();
    config["duplicate_window"] = json!(SHORTEST_WINDOW_MS * 1_000_000);
    nats.create_stream(&config).await?;
    Ok(nats)
}

/// Waits until JetStream has forgotten the ids of all events of an agent.
async fn window_has_passed(nats: &Nats, agent: &Agent) -> Result<()> {
    let last = nats.stored(&agent.id).await?.last().context("no events")?.time_ms;
    eventually("the duplicate window passes", async || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i128;
        ensure!(now - last > 3 * i128::from(SHORTEST_WINDOW_MS), "not yet");
        Ok(())
    })
    .await
}

fn ensure_repeats(first: &Reply, again: &Reply) -> Result<()> {
    ensure!(!first.duplicate()? && again.duplicate()?, "{} then {}", first.body, again.body);
    let mut expected = first.body.clone();
    expected["duplicate"] = json!(true);
    ensure!(again.body == expected, "{} then {}", first.body, again.body);
    Ok(())
}

#[tokio::test]
async fn the_same_command_again_gets_the_first_outcome() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    let command = agent.deploy().msg_id("once");

    let first = nats.ask(command.clone()).await?.ok()?;
    let again = nats.ask(command).await?.ok()?;

    ensure_repeats(&first, &again)?;
    ensure!(nats.stored(&agent.id).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn the_same_command_of_two_events_again_gets_both_of_them() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    let command = agent.deploy_configured().msg_id("once");

    let first = nats.ask(command.clone()).await?.ok()?;
    let again = nats.ask(command).await?.ok()?;

    ensure!(again.events()?.len() == 2);
    ensure_repeats(&first, &again)
}

#[tokio::test]
async fn the_same_command_many_times_at_once_counts_once() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    let command = agent.set("key", 1).msg_id("once");
    let replies = try_join_all((0..12).map(|_| nats.ask(command.clone()))).await?;

    let mut first = 0;
    for reply in replies {
        let reply = reply.ok()?;
        ensure!(reply.version()? == 2, "{}", reply.body);
        first += usize::from(!reply.duplicate()?);
    }
    ensure!(first == 1, "{first} replies claim to be the first");
    ensure!(nats.stored(&agent.id).await?.len() == 2);
    Ok(())
}

#[tokio::test]
async fn the_same_command_after_others_gets_the_version_of_its_time() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    let first = nats.ask(agent.activate().msg_id("once")).await?.ok()?;
    for number in 0..20 {
        nats.ask(agent.set("number", number)).await?.ok()?;
    }

    let again = nats.ask(agent.activate().msg_id("once")).await?.ok()?;

    ensure!(again.version()? == 2, "{}", again.body);
    ensure_repeats(&first, &again)
}

#[tokio::test]
async fn the_same_command_after_a_crash_counts_once() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    let first = nats.ask(agent.deploy().msg_id("once")).await?.ok()?;

    host.kill().await?;
    let _host = Host::start(&nats).await?;
    let again = nats.ask(agent.deploy().msg_id("once")).await?.ok()?;

    ensure_repeats(&first, &again)?;
    ensure!(nats.stored(&agent.id).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn the_same_command_after_an_orderly_restart_counts_once() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    let first = nats.ask(agent.deploy().msg_id("once")).await?.ok()?;

    host.terminate().await?;
    let _host = Host::start(&nats).await?;
    let again = nats.ask(agent.deploy().msg_id("once")).await?.ok()?;

    ensure_repeats(&first, &again)
}

#[tokio::test]
async fn the_same_command_long_after_jetstreams_duplicate_window_counts_once() -> Result<()> {
    let nats = with_shortest_window().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    let first = nats.ask(agent.deploy().msg_id("once")).await?.ok()?;

    window_has_passed(&nats, &agent).await?;
    let again = nats.ask(agent.deploy().msg_id("once")).await?.ok()?;

    ensure_repeats(&first, &again)?;
    ensure!(nats.stored(&agent.id).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn the_same_command_after_window_others_and_crash_counts_once() -> Result<()> {
    let nats = with_shortest_window().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    let first = nats.ask(agent.set("key", 1).msg_id("once")).await?.ok()?;
    nats.ask(agent.set("key", 2)).await?.ok()?;

    window_has_passed(&nats, &agent).await?;
    host.kill().await?;
    let _host = Host::start(&nats).await?;
    let again = nats.ask(agent.set("key", 1).msg_id("once")).await?.ok()?;

    ensure_repeats(&first, &again)?;
    ensure_history(&nats.stored(&agent.id).await?)?;
    ensure!(nats.stored(&agent.id).await?.len() == 3);
    Ok(())
}

#[tokio::test]
async fn the_last_128_commands_are_remembered_across_restart_and_window() -> Result<()> {
    let nats = with_shortest_window().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    let first = nats.ask(agent.set("oldest", 1).msg_id("once")).await?.ok()?;
    for number in 0..127 {
        nats.ask(agent.set("number", number)).await?.ok()?;
    }

    window_has_passed(&nats, &agent).await?;
    host.terminate().await?;
    let _host = Host::start(&nats).await?;
    let again = nats.ask(agent.set("oldest", 1).msg_id("once")).await?.ok()?;

    ensure_repeats(&first, &again)?;
    ensure!(nats.stored(&agent.id).await?.len() == 129);
    Ok(())
}

#[tokio::test]
async fn a_refused_command_leaves_no_trace_and_is_decided_again() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    let command = agent.suspend().msg_id("again");

    nats.ask(command.clone()).await?.rejected("invalid_transition")?;
    ensure!(nats.stored(&agent.id).await?.len() == 1);
    nats.ask(agent.activate()).await?.ok()?;
    let reply = nats.ask(command).await?.ok()?;

    ensure!(!reply.duplicate()? && reply.version()? == 3, "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn the_same_id_for_two_agents_is_two_commands() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let (one, other) = (Agent::new(), Agent::new());

    let first = nats.ask(one.deploy().msg_id("shared")).await?.ok()?;
    let second = nats.ask(other.deploy().msg_id("shared")).await?.ok()?;

    ensure!(!first.duplicate()? && !second.duplicate()?, "{} {}", first.body, second.body);
    ensure!(nats.stored(&one.id).await?.len() == 1 && nats.stored(&other.id).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_known_id_is_answered_before_the_domain_is_asked() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    let first = nats.ask(agent.activate().msg_id("once")).await?.ok()?;
    nats.ask(agent.decommission()).await?.ok()?;

    // By now the domain would refuse it.
    let again = nats.ask(agent.activate().msg_id("once")).await?.ok()?;

    ensure_repeats(&first, &again)
}

#[tokio::test]
async fn a_known_id_is_answered_before_the_expected_version_is_judged() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    let command = agent.deploy().msg_id("once").expected_version("0");
    let first = nats.ask(command.clone()).await?.ok()?;

    let again = nats.ask(command).await?.ok()?;

    ensure_repeats(&first, &again)
}
