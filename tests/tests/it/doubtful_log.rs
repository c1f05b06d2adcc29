//! A snapshot that contradicts the stream: the log was lost, restored or made anew. The host says
//! so for the aggregate concerned and never guesses. It must not test logs that have aged.

use anyhow::{Result, ensure};
use tests::stream::event_stream;
use tests::{Agent, Host, Nats};
use uuid::Uuid;

/// An agent with three events and a snapshot of the last, and its host stopped.
async fn agent_with_snapshot(nats: &Nats) -> Result<Agent> {
    let mut host = Host::start(nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;
    nats.ask(agent.suspend()).await?.ok()?;
    ensure!(host.terminate().await? == 0);
    ensure!(nats.snapshot_messages(&agent.id).await? > 0, "no snapshot");
    Ok(agent)
}

/// The agent answers nothing and takes nothing, another one is served as ever.
async fn in_doubt(nats: &Nats, host: &Host, agent: &Agent) -> Result<()> {
    let stored = nats.stored(&agent.id).await?.len();
    nats.ask(agent.state()).await?.error("unavailable")?;
    nats.ask(agent.activate()).await?.error("unavailable")?;
    nats.ask(agent.deploy()).await?.error("unavailable")?;
    ensure!(nats.stored(&agent.id).await?.len() == stored, "something was stored");
    host.logs(&["error", &agent.id]).await?;

    let other = Agent::new();
    nats.ask(other.deploy()).await?.ok()?;
    ensure!(nats.ask(other.state()).await?.ok()?.version()? == 1);
    Ok(())
}

#[tokio::test]
async fn a_purged_stream_puts_its_agents_in_doubt() -> Result<()> {
    let nats = Nats::start().await?;
    let agent = agent_with_snapshot(&nats).await?;
    nats.purge_stream("AGENT_EVENTS").await?;

    let host = Host::start(&nats).await?;
    in_doubt(&nats, &host, &agent).await
}

#[tokio::test]
async fn a_stream_made_anew_puts_the_old_agents_in_doubt() -> Result<()> {
    let nats = Nats::start().await?;
    let agent = agent_with_snapshot(&nats).await?;
    nats.delete_stream("AGENT_EVENTS").await?;
    nats.create_stream(&event_stream()).await?;

    let host = Host::start(&nats).await?;
    in_doubt(&nats, &host, &agent).await
}

#[tokio::test]
async fn a_stream_with_other_events_at_the_same_places_puts_the_old_agents_in_doubt() -> Result<()> {
    let nats = Nats::start().await?;
    let agent = agent_with_snapshot(&nats).await?;
    let events = nats.stored(&agent.id).await?;
    nats.delete_stream("AGENT_EVENTS").await?;
    nats.create_stream(&event_stream()).await?;
    // The same places, the same versions, but not the same events.
    for (index, event) in events.iter().enumerate() {
        let headers = event.headers_of_a_copy(Uuid::new_v5(&Uuid::NAMESPACE_OID, &[index as u8]));
        let payload = event.data.to_string().into();
        nats.jetstream().publish_with_headers(event.subject.clone(), headers, payload).await?.await?;
    }

    let host = Host::start(&nats).await?;
    in_doubt(&nats, &host, &agent).await
}

#[tokio::test]
async fn a_stream_restored_from_an_older_backup_puts_newer_agents_in_doubt() -> Result<()> {
    let nats = Nats::start().await?;
    let agent = agent_with_snapshot(&nats).await?;
    let events = nats.stored(&agent.id).await?;
    nats.delete_stream("AGENT_EVENTS").await?;
    nats.create_stream(&event_stream()).await?;
    for event in &events[..2] {
        let payload = event.data.to_string().into();
        nats.jetstream()
            .publish_with_headers(event.subject.clone(), event.headers_of_a_copy(event.id()?), payload)
            .await?
            .await?;
    }

    let host = Host::start(&nats).await?;
    in_doubt(&nats, &host, &agent).await
}

#[tokio::test]
async fn snapshots_without_a_stream_are_an_error_at_start() -> Result<()> {
    let nats = Nats::start().await?;
    agent_with_snapshot(&nats).await?;
    nats.delete_stream("AGENT_EVENTS").await?;

    Host::builder(&nats)?.refuses(&["AGENT_SNAPSHOTS", "AGENT_EVENTS"]).await?;

    ensure!(nats.stream_config("AGENT_EVENTS").await.is_err(), "a new stream was made over the old snapshots");
    Ok(())
}

#[tokio::test]
async fn a_stream_that_is_deleted_under_a_running_host_makes_it_unavailable() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    nats.delete_stream("AGENT_EVENTS").await?;

    nats.ask(agent.state()).await?.error("unavailable")?;
    let reply = nats.ask(agent.activate()).await?;
    // An append that nobody acknowledged may also be unknown.
    ensure!(["unavailable", "timeout"].iter().any(|code| reply.body["code"] == *code), "{}", reply.body);
    ensure!(host.is_running()?, "the host has ended");
    Ok(())
}

#[tokio::test]
async fn a_stream_that_is_purged_under_a_running_host_puts_its_live_agents_in_doubt() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::builder(&nats)?.env("SNAPSHOT_FREQUENCY", 1).start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;
    nats.has_snapshot_of(&agent.id).await?;

    nats.purge_stream("AGENT_EVENTS").await?;

    in_doubt(&nats, &host, &agent).await
}
