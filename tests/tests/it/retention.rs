//! Events age and state does not: a snapshot covers them before they leave, and where none can be
//! had, the log and the figures say so in time. It must not test what snapshots are otherwise for.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::stream::event_stream;
use tests::{Agent, Host, HostBuilder, Nats, PATIENCE, Servers};
use uuid::Uuid;

/// A server whose events stay for that long. Half of it is left when a snapshot must cover them.
async fn keeps_for(age: Duration) -> Result<Nats> {
    let nats = Nats::start().await?;
    keep_for(&nats, age, 1).await?;
    Ok(nats)
}

/// Makes the stream for it.
async fn keep_for(nats: &Nats, age: Duration, replicas: usize) -> Result<()> {
    let mut config = event_stream();
    config["max_age"] = json!(u64::try_from(age.as_nanos())?);
    config["duplicate_window"] = json!(1_000_000_000_u64);
    config["num_replicas"] = json!(replicas);
    nats.create_stream(&config).await
}

/// A host leaves agents without a snapshot, nobody touches them while their events age, and they are
/// as they were.
async fn agents_outlive_their_events(nats: &Nats, host: &HostBuilder) -> Result<()> {
    let mut first = host.start(nats).await?;
    let agents: Vec<Agent> = (0..5).map(|_| Agent::new()).collect();
    for agent in &agents {
        nats.ask(agent.deploy()).await?.ok()?;
        nats.ask(agent.set("number", 7)).await?.ok()?;
    }
    first.kill().await?;
    for agent in &agents {
        ensure!(nats.snapshot_messages(&agent.id).await? == 0, "it left a snapshot, so nothing is tested");
    }

    let mut second = host.start(nats).await?;
    nats.agent_events_have_aged().await?;
    second.kill().await?;

    let _third = host.start(nats).await?;
    for agent in &agents {
        let state = nats.ask(agent.state()).await?.ok()?;
        ensure!(state.version()? == 2 && state.state()["configuration"]["settings"]["number"] == 7, "{}", state.body);
        ensure!(nats.ask(agent.activate()).await?.ok()?.version()? == 3);
    }
    Ok(())
}

#[tokio::test]
async fn agents_that_a_killed_host_left_without_a_snapshot_outlive_their_events() -> Result<()> {
    let nats = keeps_for(Duration::from_secs(10)).await?;
    agents_outlive_their_events(&nats, &Host::builder(&nats)?).await
}

#[tokio::test]
async fn agents_outlive_their_events_on_three_servers_too() -> Result<()> {
    let servers = Servers::three().await?;
    keep_for(&servers.nats, Duration::from_secs(10), 3).await?;
    let host = Host::builder_for(&servers.urls()?.join(","))?.env("STREAM_REPLICAS", 3);
    agents_outlive_their_events(&servers.nats, &host).await?;
    ensure!(servers.nats.stream_config("KV_AGENT_SNAPSHOTS").await?["num_replicas"] == 3);
    Ok(())
}

#[tokio::test]
async fn where_the_plugin_cannot_the_log_and_the_figures_say_so_before_the_events_leave() -> Result<()> {
    let age = PATIENCE + Duration::from_secs(1);
    let nats = keeps_for(age).await?;
    let mut host = Host::start(&nats).await?;
    let (sound, broken) = (Agent::new(), Agent::new());
    nats.ask(sound.deploy()).await?.ok()?;
    host.kill().await?;
    // An event in proper form that the plugin has never heard of.
    let event = nats.stored(&sound.id).await?.pop().context("no event")?;
    let (headers, payload) = (event.headers_of_a_copy(Uuid::now_v7()), event.data.to_string());
    let subject = format!("agent.events.{}.evaporated", broken.id);
    nats.jetstream().publish_with_headers(subject, headers, payload.into()).await?.await?;

    let host = Host::start(&nats).await?;

    host.logs(&["error", "no snapshot covers", "domain=agent", "aggregates=1", "first_event_leaves=", &broken.id])
        .await?;
    let figures = nats.counters("agent").await?;
    ensure!(figures["expiring_uncovered"] == 1 && figures["expiring_first"].is_string(), "{figures}");
    ensure!(nats.stream_messages("AGENT_EVENTS").await? == 2, "the events have left: it was told too late");
    ensure!(nats.snapshot_messages(&sound.id).await? > 0, "one that fails has stopped another");
    Ok(())
}
