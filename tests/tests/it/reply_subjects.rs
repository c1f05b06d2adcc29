//! Reply subjects that would make the host write where it must not: such a request is neither
//! executed nor answered. It must not test forged events themselves.

use anyhow::{Result, ensure};
use tests::{Agent, Host, Message, Nats};

/// Sends a deployment in a dangerous way and sees that nothing came of it.
async fn not_executed(nats: &Nats, send: impl AsyncFn(Message) -> Result<()>) -> Result<()> {
    let agent = Agent::new();
    send(agent.deploy()).await?;
    send(agent.deploy().by_subject(&agent.id)).await?;

    // Two more on the same ways, behind it: when they are answered, it has been dealt with.
    let other = Agent::new();
    nats.ask(other.deploy()).await?.ok()?;
    nats.ask(other.activate().by_subject(&other.id)).await?.ok()?;
    nats.ask(agent.state()).await?.error("not_found")?;
    nats.ask(agent.deploy()).await?.ok()?;
    let events = nats.stored_in("AGENT_EVENTS", "agent.>").await?;
    ensure!(events.len() == 3, "{events:?}");
    Ok(())
}

#[tokio::test]
async fn a_reply_subject_of_the_system_is_refused() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::start(&nats).await?;

    for reply in ["$JS.API.STREAM.PURGE.AGENT_EVENTS", "$KV.AGENT_SNAPSHOTS.x", "$SYS.x", "$x"] {
        let agent = Agent::new();
        nats.publish_with_reply(agent.deploy(), reply).await?;
        let other = Agent::new();
        nats.ask(other.deploy()).await?.ok()?;
        nats.ask(agent.state()).await?.error("not_found")?;
    }
    ensure!(nats.stored_in("AGENT_EVENTS", "agent.>").await?.len() == 4);
    host.logs(&["$JS.API.STREAM.PURGE.AGENT_EVENTS"]).await
}

#[tokio::test]
async fn a_reply_subject_that_is_an_event_is_refused() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::start(&nats).await?;
    let victim = Agent::new();
    let reply = format!("agent.events.{}.activated", victim.id);

    not_executed(&nats, async |message| nats.publish_with_reply(message, &reply).await).await?;

    ensure!(nats.stored(&victim.id).await?.is_empty(), "the reply became an event");
    nats.ask(victim.deploy()).await?.ok()?;
    host.logs(&[&reply]).await
}

#[tokio::test]
async fn a_reply_subject_that_is_a_command_is_refused() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    not_executed(&nats, async |message| nats.publish_with_reply(message, "agent.commands.activate").await).await
}

#[tokio::test]
async fn a_header_that_names_such_a_reply_subject_is_refused() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let victim = Agent::new();
    for reply in [format!("agent.events.{}.activated", victim.id), "$JS.API.STREAM.PURGE.AGENT_EVENTS".to_owned()] {
        let agent = Agent::new();
        nats.publish(agent.deploy().header("Agent-Reply-To", &reply)).await?;
        let inbox = nats.client().new_inbox();
        nats.publish_with_reply(agent.deploy().header("Agent-Reply-To", &reply), &inbox).await?;
        nats.ask(Agent::new().deploy()).await?.ok()?;
        nats.ask(agent.state()).await?.error("not_found")?;
    }
    ensure!(nats.stored(&victim.id).await?.is_empty(), "the reply became an event");
    Ok(())
}

#[tokio::test]
async fn a_query_with_such_a_reply_subject_is_not_answered() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let (agent, victim) = (Agent::new(), Agent::new());
    nats.ask(agent.deploy()).await?.ok()?;

    nats.publish_with_reply(agent.state(), &format!("agent.events.{}.activated", victim.id)).await?;

    nats.ask(agent.state()).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;
    ensure!(nats.stored_in("AGENT_EVENTS", "agent.>").await?.len() == 2);
    nats.ask(victim.deploy()).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn a_subject_that_only_begins_like_a_domain_is_an_honest_reply_subject() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();

    nats.publish_with_reply(agent.deploy(), "agents.replies.7").await?;

    tests::eventually("the agent is deployed", async || nats.ask(agent.state()).await?.ok()).await?;
    Ok(())
}

#[tokio::test]
async fn the_service_api_does_not_answer_into_a_domain() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::start(&nats).await?;
    let victim = Agent::new();
    let reply = format!("agent.events.{}.activated", victim.id);
    for verb in ["PING", "INFO", "STATS"] {
        nats.client().publish_with_reply(format!("$SRV.{verb}"), reply.clone(), "".into()).await?;
    }
    ensure!(!nats.ping().await?.is_empty(), "the service API is silent");
    nats.ask(victim.deploy()).await?.ok()?;
    ensure!(nats.stored(&victim.id).await?.len() == 1, "an answer of the service API became an event");
    host.logs(&[&reply]).await
}
