//! A message in the stream that no host has written: it parks its aggregate, and only that. It
//! must not test what a client may send to the host itself.

use anyhow::{Result, ensure};
use async_nats::HeaderMap;
use tests::{Agent, Host, Nats};
use uuid::Uuid;

async fn forge(nats: &Nats, agent: &Agent, event: &str, headers: HeaderMap) -> Result<u64> {
    let subject = format!("agent.events.{}.{event}", agent.id);
    let payload = format!(r#"{{"type":"AgentActivated","agent_id":"{}"}}"#, agent.id);
    Ok(nats.jetstream().publish_with_headers(subject, headers, payload.into()).await?.await?.sequence)
}

/// Whatever is asked of the agent names the forged message; another agent is served as ever.
async fn parked(nats: &Nats, agent: &Agent, sequence: u64) -> Result<()> {
    let stored = nats.stored(&agent.id).await?.len();
    let named = sequence.to_string();
    for message in [agent.set("key", 1), agent.deploy(), agent.state(), agent.history(0, 10)] {
        nats.ask(message).await?.error("plugin_failed")?.naming(&[&named])?;
    }
    ensure!(nats.stored(&agent.id).await?.len() == stored, "something was stored");

    let other = Agent::new();
    nats.ask(other.deploy()).await?.ok()?;
    ensure!(nats.ask(other.state()).await?.ok()?.version()? == 1);
    Ok(())
}

#[tokio::test]
async fn a_message_without_headers_parks_a_live_agent() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    let sequence = forge(&nats, &agent, "activated", HeaderMap::new()).await?;

    parked(&nats, &agent, sequence).await
}

#[tokio::test]
async fn a_message_without_headers_parks_an_agent_that_is_loaded() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    host.kill().await?;
    let sequence = forge(&nats, &agent, "activated", HeaderMap::new()).await?;

    let _host = Host::start(&nats).await?;

    parked(&nats, &agent, sequence).await
}

#[tokio::test]
async fn a_message_without_headers_parks_an_agent_that_has_a_snapshot() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    ensure!(host.terminate().await? == 0);
    let sequence = forge(&nats, &agent, "activated", HeaderMap::new()).await?;

    let _host = Host::start(&nats).await?;

    parked(&nats, &agent, sequence).await
}

#[tokio::test]
async fn a_message_without_headers_parks_an_agent_that_never_was() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();

    let sequence = forge(&nats, &agent, "deployed", HeaderMap::new()).await?;

    parked(&nats, &agent, sequence).await
}

#[tokio::test]
async fn a_version_out_of_turn_parks_the_agent() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    for version in ["1", "3", "0", "-1", "two"] {
        let agent = Agent::new();
        nats.ask(agent.deploy()).await?.ok()?;
        let mut headers = nats.stored(&agent.id).await?[0].headers_of_a_copy(Uuid::new_v4());
        headers.insert("ce-type", "agent.activated");
        headers.insert("ce-sequence", version);
        let sequence = forge(&nats, &agent, "activated", headers).await?;

        parked(&nats, &agent, sequence).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_forged_event_is_never_shown_as_state() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    let sequence = forge(&nats, &agent, "activated", HeaderMap::new()).await?;
    nats.ask(agent.state()).await?.error("plugin_failed")?;

    // Neither is it taken into the snapshot that the end of a host leaves.
    ensure!(host.terminate().await? == 0);
    let _host = Host::start(&nats).await?;

    parked(&nats, &agent, sequence).await
}
