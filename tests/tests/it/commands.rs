//! A command: its two subjects, its reply, all or none of its events. It must not look at what
//! stands in the events' headers.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::stored::ensure_history;
use tests::{Agent, Host, Message, Nats, eventually};

#[tokio::test]
async fn a_command_is_taken_with_the_id_in_the_payload() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();

    let reply = nats.ask(agent.deploy()).await?.ok()?;

    ensure!(reply.version()? == 1, "{}", reply.body);
    ensure!(nats.stored(&agent.id).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_command_is_taken_with_the_id_in_the_subject_as_well() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();

    let reply = nats.ask(agent.deploy().by_subject(&agent.id)).await?.ok()?;

    ensure!(reply.version()? == 1, "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_command_is_taken_with_the_id_in_the_subject_alone() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    let reply = nats.ask(Message::command("activate", &json!({})).by_subject(&agent.id)).await?.ok()?;

    ensure!(reply.body["id"] == agent.id.as_str() && reply.version()? == 2, "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn ids_in_subject_and_payload_that_disagree_are_invalid() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let (one, other) = (Agent::new(), Agent::new());

    nats.ask(one.deploy().by_subject(&other.id)).await?.error("invalid")?.naming(&["agent_id"])?;

    ensure!(nats.stored(&one.id).await?.is_empty() && nats.stored(&other.id).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_good_reply_has_exactly_the_promised_fields() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();

    let reply = nats.ask(agent.deploy()).await?.ok()?;

    let sequence = nats.stored(&agent.id).await?[0].sequence;
    let expected = json!({
        "status": "ok", "id": agent.id, "version": 1, "duplicate": false,
        "events": [{"type": "deployed", "version": 1, "sequence": sequence}],
    });
    ensure!(reply.body == expected, "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_rejection_has_exactly_the_promised_fields() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(agent.decommission()).await?.ok()?;

    let reply = nats.ask(agent.activate()).await?.rejected("agent_decommissioned")?;

    let expected = json!({
        "status": "error", "code": "rejected", "reason": "agent_decommissioned",
        "message": reply.body["message"], "retryable": false, "id": agent.id, "version": 2,
    });
    ensure!(reply.body == expected, "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_command_without_reply_subject_is_executed() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();

    nats.publish(agent.deploy()).await?;

    eventually("the agent is deployed", async || nats.ask(agent.state()).await?.ok()).await?;
    Ok(())
}

#[tokio::test]
async fn a_command_of_two_events_stores_both_one_after_the_other() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();

    let reply = nats.ask(agent.deploy_configured()).await?.ok()?;

    let events = nats.stored(&agent.id).await?;
    ensure_history(&events)?;
    ensure!(events.len() == 2 && events[1].sequence == events[0].sequence + 1, "{events:?}");
    let expected = json!([
        {"type": "deployed", "version": 1, "sequence": events[0].sequence},
        {"type": "configuration_changed", "version": 2, "sequence": events[1].sequence},
    ]);
    ensure!(reply.version()? == 2 && reply.body["events"] == expected, "{}", reply.body);
    let state = nats.ask(agent.state()).await?.ok()?;
    ensure!(state.state()["configuration"]["settings"] == json!({"model": "small"}), "{}", state.body);
    Ok(())
}

#[tokio::test]
async fn a_refused_command_of_two_events_stores_none() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    nats.ask(agent.deploy_configured()).await?.rejected("already_deployed")?;

    ensure!(nats.stored(&agent.id).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn an_unknown_field_is_ignored() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    nats.ask(agent.command("activate", &json!({"from_the_future": {"a": [1, 2]}}))).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn commands_of_one_agent_are_executed_in_the_order_of_their_arrival() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    for number in 0..50 {
        nats.publish(agent.set("number", number)).await?;
    }

    eventually("all are executed", async || {
        ensure!(nats.ask(agent.state()).await?.ok()?.version()? == 51, "not yet");
        Ok(())
    })
    .await?;
    for (number, event) in nats.stored(&agent.id).await?[1..].iter().enumerate() {
        ensure!(event.data["new_values"]["number"] == number, "place {number}: {}", event.data);
    }
    Ok(())
}
