//! SIGTERM and Ctrl-C: what was begun is finished, snapshots are left, exit 0. It must not test
//! what a crash leaves.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::load::{agents, ensure_log_agrees, load, resolve};
use tests::{Agent, Host, Nats, eventually};

/// What the service promises for its own end.
const END_AFTER_AT_MOST: Duration = Duration::from_secs(10);

async fn stops(signal: &str) -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    let before = nats.ask(agent.state()).await?.ok()?;

    let start = Instant::now();
    host.signal(signal).await?;
    let code = host.exit_code().await?;
    ensure!(code == 0 && start.elapsed() < END_AFTER_AT_MOST, "exit code {code} after {:?}", start.elapsed());
    ensure!(nats.snapshot_messages(&agent.id).await? > 0, "no snapshot was left");

    let _host = Host::start(&nats).await?;
    let after = nats.ask(agent.state()).await?.ok()?;
    ensure!(after.body == before.body, "{} became {}", before.body, after.body);
    Ok(())
}

#[tokio::test]
async fn sigterm_leaves_snapshots_and_exit_code_0() -> Result<()> {
    stops("TERM").await
}

#[tokio::test]
async fn ctrl_c_leaves_snapshots_and_exit_code_0() -> Result<()> {
    stops("INT").await
}

#[tokio::test]
async fn sigterm_under_load_finishes_what_was_begun() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agents = agents(&nats, 3).await?;

    let end = async {
        eventually("the load is under way", async || {
            ensure!(nats.stream_messages("AGENT_EVENTS").await? > 80, "not yet");
            Ok(())
        })
        .await?;
        let start = Instant::now();
        let code = host.terminate().await?;
        ensure!(code == 0 && start.elapsed() < END_AFTER_AT_MOST, "exit code {code} after {:?}", start.elapsed());
        anyhow::Ok(())
    };
    let (sent, ended) = tokio::join!(load(&nats, &agents, 4, 10_000), end);
    ended?;
    let mut sent = sent?;
    ensure_log_agrees(&nats, &sent).await?;
    for agent in &agents {
        ensure!(nats.snapshot_messages(&agent.id).await? > 0, "no snapshot was left");
    }

    let _host = Host::start(&nats).await?;
    resolve(&nats, &mut sent).await?;
    ensure_log_agrees(&nats, &sent).await
}

#[tokio::test]
async fn a_host_that_has_stopped_is_no_longer_subscribed() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    ensure!(host.terminate().await? == 0);

    let reply = nats.try_ask(Agent::new().deploy(), tests::PATIENCE).await?;

    ensure!(reply.is_none(), "{reply:?}");
    ensure!(nats.ping().await?.is_empty(), "it still answers pings");
    Ok(())
}

#[tokio::test]
async fn sigterm_before_nats_was_reached_ends_at_once() -> Result<()> {
    let mut host = Host::builder_for("nats://127.0.0.1:1")?.spawn()?;
    host.logs(&["nats"]).await?;

    let start = Instant::now();
    let code = host.terminate().await?;
    ensure!(code == 0 && start.elapsed() < END_AFTER_AT_MOST, "exit code {code} after {:?}", start.elapsed());
    Ok(())
}
