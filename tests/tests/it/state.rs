//! The query `state`: now and at a version. It must not test the domain's view.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::{Agent, Host, Message, Nats};

async fn agent_with_three_events(nats: &Nats) -> Result<Agent> {
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;
    nats.ask(agent.suspend()).await?.ok()?;
    Ok(agent)
}

#[tokio::test]
async fn the_state_now_has_exactly_the_promised_fields() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = agent_with_three_events(&nats).await?;

    let reply = nats.ask(agent.state()).await?.ok()?;

    let expected = json!({"status": "ok", "id": agent.id, "version": 3, "state": reply.state()});
    ensure!(reply.body == expected && reply.state()["status"] == "Suspended", "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn the_state_at_each_earlier_version_is_shown() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = agent_with_three_events(&nats).await?;

    for (version, status) in [(1, "Deployed"), (2, "Active"), (3, "Suspended")] {
        let reply = nats.ask(agent.state_at(version)).await?.ok()?;
        ensure!(reply.version()? == version && reply.state()["status"] == status, "{}", reply.body);
    }
    // Looking back has changed nothing.
    ensure!(nats.ask(agent.state()).await?.ok()?.state()["status"] == "Suspended");
    Ok(())
}

#[tokio::test]
async fn the_state_at_an_earlier_version_is_shown_after_snapshot_and_restart() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agent = agent_with_three_events(&nats).await?;
    host.terminate().await?;
    ensure!(nats.snapshot_messages(&agent.id).await? > 0, "no snapshot");

    let _host = Host::start(&nats).await?;
    let reply = nats.ask(agent.state_at(2)).await?.ok()?;

    ensure!(reply.version()? == 2 && reply.state()["status"] == "Active", "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_version_that_never_was_is_invalid() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = agent_with_three_events(&nats).await?;

    for version in [0, 4, u64::MAX] {
        nats.ask(agent.state_at(version)).await?.error("invalid")?.naming(&["at_version"])?;
    }
    Ok(())
}

#[tokio::test]
async fn an_agent_without_events_is_not_found() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();

    let reply = nats.ask(agent.state()).await?.error("not_found")?;

    ensure!(reply.body["id"] == agent.id.as_str(), "{}", reply.body);
    nats.ask(agent.history(0, 10)).await?.error("not_found")?;
    Ok(())
}

#[tokio::test]
async fn the_id_may_be_in_the_subject_alone() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = agent_with_three_events(&nats).await?;

    let now = Message::query("state", &json!({})).by_subject(&agent.id);
    ensure!(nats.ask(now).await?.ok()?.version()? == 3);
    let then = Message::query("state", &json!({"at_version": 1})).by_subject(&agent.id);
    ensure!(nats.ask(then).await?.ok()?.version()? == 1);
    Ok(())
}

#[tokio::test]
async fn a_query_with_the_id_in_the_subject_needs_no_payload() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = agent_with_three_events(&nats).await?;

    let reply = nats.ask(Message::to(format!("agent.queries.{}.state", agent.id), "")).await?.ok()?;

    ensure!(reply.version()? == 3, "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_query_that_cannot_be_understood_is_invalid() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = agent_with_three_events(&nats).await?;
    let other = Agent::new();

    let bad = [
        Message::to("agent.queries.state", "not json"),
        Message::query("state", &json!([agent.id])),
        Message::query("state", &json!({})),
        Message::query("state", &json!({"id": 7})),
        Message::query("state", &json!({"id": "no-uuid"})),
        Message::query("state", &json!({"id": agent.id, "at_version": "two"})),
        Message::query("state", &json!({"id": agent.id, "at_version": -1})),
        Message::query("state", &json!({"id": other.id})).by_subject(&agent.id),
        Message::query("shape", &json!({"id": agent.id})),
    ];
    for query in bad {
        let what = format!("{query:?}");
        let reply = nats.ask(query).await?.error("invalid");
        ensure!(reply.is_ok(), "{what}: {reply:?}");
    }
    Ok(())
}
