//! Two domains in one host: each has its subjects, its stream and its snapshots. It must not test
//! either domain.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::{Agent, Host, HostBuilder, Message, Nats};

fn both(nats: &Nats) -> Result<HostBuilder> {
    Host::builder(nats)?.plugin("counter")
}

fn increment(id: &str, by: u64) -> Message {
    Message::to("counter.commands.increment", json!({"counter_id": id, "by": by}).to_string())
}

fn count(id: &str) -> Message {
    Message::to("counter.queries.state", json!({"id": id}).to_string())
}

#[tokio::test]
async fn two_domains_are_served_side_by_side() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = both(&nats)?.start(&nats).await?;
    let agent = Agent::new();

    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(increment("visitors", 2)).await?.ok()?;
    let reply = nats.ask(increment("visitors", 3)).await?.ok()?;

    ensure!(reply.version()? == 2 && reply.body["id"] == "visitors", "{}", reply.body);
    ensure!(nats.ask(count("visitors")).await?.ok()?.state()["count"] == 5);
    ensure!(nats.ask(agent.state()).await?.ok()?.version()? == 1);
    Ok(())
}

#[tokio::test]
async fn each_domain_has_a_stream_and_a_bucket_of_its_own() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = both(&nats)?.start(&nats).await?;
    nats.ask(Agent::new().deploy()).await?.ok()?;
    nats.ask(increment("visitors", 2)).await?.ok()?;

    let events = nats.stored_in("COUNTER_EVENTS", "counter.events.>").await?;
    ensure!(events.len() == 1 && events[0].subject == "counter.events.visitors.incremented", "{events:?}");
    ensure!(events[0].header("ce-source")? == "/local/COUNTER_EVENTS");
    ensure!(events[0].header("ce-type")? == "counter.incremented");
    ensure!(events[0].header("ce-plugin")?.starts_with("counter/"));
    ensure!(nats.stored_in("AGENT_EVENTS", "agent.events.>").await?.len() == 1);
    ensure!(host.terminate().await? == 0);
    ensure!(nats.stored_in("KV_COUNTER_SNAPSHOTS", "$KV.COUNTER_SNAPSHOTS.visitors").await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn the_same_id_in_two_domains_is_two_aggregates() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = both(&nats)?.start(&nats).await?;
    let agent = Agent::new();

    nats.ask(agent.deploy().msg_id("shared")).await?.ok()?;
    let reply = nats.ask(increment(&agent.id, 1).msg_id("shared")).await?.ok()?;

    ensure!(reply.version()? == 1 && !reply.duplicate()?, "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_domain_with_token_ids_takes_any_token_and_nothing_else() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = both(&nats)?.start(&nats).await?;

    for id in ["a", "A-b_9", &"x".repeat(64)] {
        nats.ask(increment(id, 1)).await?.ok()?;
    }
    for id in ["", "a.b", "a b", "*", ">", "ä", &"x".repeat(65)] {
        nats.ask(increment(id, 1)).await?.error("invalid")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_reply_subject_under_the_other_domain_is_refused() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = both(&nats)?.start(&nats).await?;
    let agent = Agent::new();

    nats.publish_with_reply(agent.deploy(), "counter.events.visitors.incremented").await?;

    nats.ask(Agent::new().deploy()).await?.ok()?;
    nats.ask(agent.state()).await?.error("not_found")?;
    ensure!(nats.ask(increment("visitors", 1)).await?.ok()?.version()? == 1);
    Ok(())
}

#[tokio::test]
async fn both_domains_come_back_after_a_crash() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = both(&nats)?.start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(increment("visitors", 7)).await?.ok()?;

    host.kill().await?;
    let _host = both(&nats)?.start(&nats).await?;

    ensure!(nats.ask(count("visitors")).await?.ok()?.state()["count"] == 7);
    ensure!(nats.ask(agent.state()).await?.ok()?.version()? == 1);
    Ok(())
}
