//! Streams and buckets that are deleted under a running host: it says so, and makes none anew, which
//! would hide the loss. It must not test what a new start makes of it.

use anyhow::{Result, ensure};
use tests::{Agent, Counter, Host, Nats};

/// The codes that a command may get whose stream is gone: an append that nobody acknowledged may also
/// be of unknown outcome.
const CODES: [&str; 2] = ["unavailable", "timeout"];

#[tokio::test]
async fn a_stream_that_is_deleted_is_named_and_not_made_anew() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::builder(&nats)?.plugin("counter")?.start(&nats).await?;
    let (agent, counter) = (Agent::new(), Counter::new());
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(counter.increment(1)).await?.ok()?;

    nats.delete_stream("AGENT_EVENTS").await?;

    // Known and unknown agents alike, and again and again: nothing brings the stream back.
    for command in [agent.activate(), Agent::new().deploy(), agent.set("key", 1), Agent::new().deploy_configured()] {
        let reply = nats.ask(command).await?;
        let code = reply.body["code"].as_str().unwrap_or_default().to_owned();
        ensure!(CODES.contains(&code.as_str()), "{}", reply.body);
        reply.error(&code)?;
    }
    nats.ask(agent.state()).await?.error("unavailable")?;
    host.logs(&["was it deleted"]).await?;
    ensure!(nats.stream_config("AGENT_EVENTS").await.is_err(), "a new stream hides the loss");
    // The other domain has its own, and does not notice.
    ensure!(nats.ask(counter.increment(1)).await?.ok()?.version()? == 2);
    ensure!(host.is_running()?, "the host has ended");
    Ok(())
}

#[tokio::test]
async fn a_bucket_that_is_deleted_costs_no_event_and_is_not_made_anew() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::builder(&nats)?.env("SNAPSHOT_FREQUENCY", 2).start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;
    nats.has_snapshot_of(&agent.id).await?;

    nats.delete_stream("KV_AGENT_SNAPSHOTS").await?;

    // All events are there, so a snapshot is only a shorter way.
    for number in 0..6 {
        nats.ask(agent.set("key", number)).await?.ok()?;
    }
    ensure!(nats.ask(agent.state()).await?.ok()?.version()? == 8);
    ensure!(nats.stored(&agent.id).await?.len() == 8);
    host.logs(&["warn", "snapshot", &agent.id]).await?;
    ensure!(nats.stream_config("KV_AGENT_SNAPSHOTS").await.is_err(), "a new bucket hides the loss");
    ensure!(host.is_running()?, "the host has ended");
    Ok(())
}
