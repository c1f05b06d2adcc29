//! `backup` and `restore` where streams have three replicas: what comes back has them too. It must not
//! test what one server alone can show.

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tests::{Agent, Cli, Host, HostBuilder, Servers};

const STREAMS: [&str; 4] = ["AGENT_EVENTS", "KV_AGENT_SNAPSHOTS", "AGENT_INBOX", "AGENT_DEAD"];

fn host(servers: &Servers) -> Result<HostBuilder> {
    let builder = Host::builder_for(&servers.urls()?.join(","))?;
    Ok(builder.env("STREAM_REPLICAS", 3).env("SNAPSHOT_FREQUENCY", 2))
}

#[tokio::test]
async fn a_cluster_is_backed_up_and_another_one_goes_on_with_it() -> Result<()> {
    let (servers, fresh) = (Servers::three().await?, Servers::three().await?);
    let agent = Agent::new();
    let mut first = host(&servers)?.start(&servers.nats).await?;
    servers.nats.stream_stands("AGENT_DEAD").await?;
    servers.nats.ask(agent.deploy_configured()).await?.ok()?;
    servers.nats.ask(agent.activate().msg_id("activate")).await?.ok()?;
    ensure!(first.terminate().await? == 0);
    servers.replicas_are_current(&STREAMS).await?;
    // Accepted, and executed by nobody as yet.
    servers.nats.accept(agent.suspend().durable()).await?;
    let shelf = TempDir::with_prefix("agent-service-backup-")?;
    let path = shelf.path().join("backup");
    let path = path.to_str().context("a path in UTF-8")?;

    Cli::new(&servers.nats).run(&["backup", path]).await?.exit(0)?;
    Cli::new(&fresh.nats).run(&["restore", path]).await?.exit(0)?;

    for stream in STREAMS {
        let (before, after) = (servers.nats.stored_in(stream, ">").await?, fresh.nats.stored_in(stream, ">").await?);
        let same = before.len() == after.len()
            && before.iter().zip(&after).all(|(one, other)| {
                (one.sequence, &one.subject, &one.data, one.time_ms)
                    == (other.sequence, &other.subject, &other.data, other.time_ms)
            });
        ensure!(same, "{stream}: {before:?} and {after:?}");
        ensure!(fresh.nats.stream_config(stream).await?["num_replicas"] == 3, "{stream} has fewer replicas");
    }
    fresh.replicas_are_current(&STREAMS).await?;
    let _host = host(&fresh)?.start(&fresh.nats).await?;
    fresh.nats.inbox_is_empty("AGENT_INBOX").await?;
    let state = fresh.nats.ask(agent.state()).await?.ok()?;
    ensure!(state.version()? == 4 && state.state()["status"] == "Suspended", "{}", state.body);
    ensure!(fresh.nats.ask(agent.activate().msg_id("activate")).await?.ok()?.duplicate()?);
    Ok(())
}
