//! SIGKILL in the midst of load: nothing that was answered is lost, nothing counts twice. It must
//! not wait for the host to be idle.

use anyhow::{Result, ensure};
use tests::load::{Outcome, agents, ensure_log_agrees, load, resolve};
use tests::{Agent, Host, Nats, eventually};

#[tokio::test]
async fn a_host_killed_under_load_loses_nothing_and_doubles_nothing() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::builder(&nats)?.env("SNAPSHOT_FREQUENCY", 7).start(&nats).await?;
    let agents = agents(&nats, 3).await?;

    let kill = async {
        eventually("the load is under way", async || {
            ensure!(nats.stream_messages("AGENT_EVENTS").await? > 80, "not yet");
            Ok(())
        })
        .await?;
        host.kill().await
    };
    let (sent, killed) = tokio::join!(load(&nats, &agents, 4, 10_000), kill);
    killed?;
    let mut sent = sent?;
    ensure!(sent.iter().any(|command| command.outcome == Outcome::Silence), "the kill came too late to test anything");
    ensure_log_agrees(&nats, &sent).await?;

    let _host = Host::start(&nats).await?;
    resolve(&nats, &mut sent).await?;
    ensure_log_agrees(&nats, &sent).await
}

#[tokio::test]
async fn the_state_after_a_crash_is_the_state_before() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::builder(&nats)?.env("SNAPSHOT_FREQUENCY", 3).start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    for number in 0..10 {
        nats.ask(agent.set(&format!("key-{number}"), number)).await?.ok()?;
    }
    let before = nats.ask(agent.state()).await?.ok()?;

    host.kill().await?;
    let _host = Host::start(&nats).await?;

    let after = nats.ask(agent.state()).await?.ok()?;
    ensure!(after.body == before.body, "{} became {}", before.body, after.body);
    Ok(())
}
