//! NATS goes away and comes back: the host goes on by itself, and what was in flight ends in the
//! contract's codes. It must not test the start.

use anyhow::{Result, ensure};
use tests::load::{Outcome, agents, ensure_log_agrees, load, resolve};
use tests::{Agent, Host, Nats, eventually};

#[tokio::test]
async fn a_host_goes_on_by_itself_after_the_server_was_killed() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    nats.restart_server().await?;

    eventually("the service answers again", async || {
        nats.ask(agent.set("key", 1).msg_id("after the outage")).await?.ok()
    })
    .await?;
    ensure!(host.is_running()?, "the host has ended");
    ensure!(nats.stored(&agent.id).await?.len() == 2);
    ensure!(nats.ask(agent.state()).await?.ok()?.version()? == 2);
    Ok(())
}

#[tokio::test]
async fn a_server_that_stops_answering_for_a_while_does_no_harm() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    nats.server()?.pause()?;
    nats.server()?.resume()?;

    eventually("the service answers again", async || nats.ask(agent.activate().msg_id("once")).await?.ok()).await?;
    ensure!(nats.stored(&agent.id).await?.len() == 2);
    Ok(())
}

#[tokio::test]
async fn commands_in_flight_when_the_server_dies_count_once_or_not_at_all() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agents = agents(&nats, 2).await?;

    // The server is killed while commands are on their way: nobody has read a reply yet.
    let mut waiting = Vec::new();
    for agent in &agents {
        for number in 0..30 {
            let id = format!("in flight {number}");
            nats.publish(agent.set(&format!("key-{number}"), 1).msg_id(&id)).await?;
            waiting.push((agent, number, id));
        }
    }
    nats.restart_server().await?;

    for (agent, number, id) in waiting {
        let command = agent.set(&format!("key-{number}"), 1).msg_id(&id);
        eventually("the command has an outcome", async || nats.ask(command.clone()).await?.ok()).await?;
    }
    for agent in &agents {
        let events = nats.stored(&agent.id).await?;
        tests::stored::ensure_history(&events)?;
        ensure!(events.len() == 31, "{} events", events.len());
    }
    Ok(())
}

#[tokio::test]
async fn a_server_killed_under_load_loses_no_ok() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agents = agents(&nats, 3).await?;

    let restart = async {
        eventually("the load is under way", async || {
            ensure!(nats.stream_messages("AGENT_EVENTS").await? > 80, "not yet");
            Ok(())
        })
        .await?;
        nats.restart_server().await
    };
    let (sent, restarted) = tokio::join!(load(&nats, &agents, 4, 30), restart);
    restarted?;
    let mut sent = sent?;

    for command in &sent {
        let honest = match &command.outcome {
            Outcome::Ok(_) | Outcome::Silence => true,
            Outcome::Error(code) => ["timeout", "unavailable", "overloaded"].contains(&code.as_str()),
        };
        ensure!(honest, "{command:?}");
    }
    eventually("the service answers again", async || nats.ask(Agent::new().deploy()).await?.ok()).await?;
    ensure_log_agrees(&nats, &sent).await?;
    resolve(&nats, &mut sent).await?;
    ensure_log_agrees(&nats, &sent).await
}
