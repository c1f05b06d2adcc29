//! A stored event: its subject, its headers, its payload. It must not look at replies beyond what
//! it needs to find the event.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use sha2::{Digest, Sha256};
use tests::{Agent, Host, Nats, plugins};
use uuid::Uuid;

#[tokio::test]
async fn an_event_bears_the_headers_of_cloudevents() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy_configured()).await?.ok()?;

    let events = nats.stored(&agent.id).await?;
    for (event, token) in events.iter().zip(["deployed", "configuration_changed"]) {
        ensure!(event.subject == format!("agent.events.{}.{token}", agent.id), "{}", event.subject);
        ensure!(event.header("ce-specversion")? == "1.0");
        ensure!(event.header("content-type")? == "application/json");
        ensure!(event.header("ce-type")? == format!("agent.{token}"));
        ensure!(event.header("ce-source")? == "/local/AGENT_EVENTS");
        ensure!(event.header("ce-subject")? == agent.id);
        ensure!(event.header("ce-time")?.ends_with('Z') && event.header("ce-time")?.contains('T'));
        ensure!(event.data.is_object(), "{}", event.data);
    }
    ensure!(events[0].header("ce-sequence")? == "1" && events[1].header("ce-sequence")? == "2");
    Ok(())
}

#[tokio::test]
async fn an_events_time_is_the_hosts_clock() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    let event = &nats.stored(&agent.id).await?[0];
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i128;
    ensure!((now - event.time_ms).abs() < 60_000, "the server's clock is off");
    // The same minute, or the one before, as the server's own time stamp.
    let day = &event.header("ce-time")?[..10];
    ensure!(event.data["deployed_at"].as_str().is_some_and(|time| time.starts_with(day)), "{}", event.data);
    Ok(())
}

#[tokio::test]
async fn an_events_id_is_its_own_and_never_the_commands() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let (agent, command_id) = (Agent::new(), Uuid::now_v7().to_string());
    nats.ask(agent.deploy_configured().msg_id(&command_id)).await?.ok()?;

    let events = nats.stored(&agent.id).await?;
    for event in &events {
        let id = Uuid::parse_str(event.header("ce-id")?)?;
        ensure!(id.get_version_num() == 5, "{id}");
        ensure!(event.header("Nats-Msg-Id")? == event.header("ce-id")?);
        ensure!(event.header("ce-id")? != command_id);
    }
    ensure!(events[0].header("ce-id")? != events[1].header("ce-id")?);
    Ok(())
}

#[tokio::test]
async fn an_event_names_the_command_that_caused_it() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy_configured().msg_id("any text: 1/2")).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;

    let events = nats.stored(&agent.id).await?;
    ensure!(events[0].header("ce-causationid")? == "any text: 1/2");
    ensure!(events[1].header("ce-causationid")? == "any text: 1/2");
    // Where the client gave none, the host has made one.
    let made = events[2].header("ce-causationid")?;
    ensure!(!made.is_empty() && made != "any text: 1/2", "{made}");
    Ok(())
}

#[tokio::test]
async fn the_correlation_defaults_to_the_commands_id() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy().msg_id("first")).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;

    let events = nats.stored(&agent.id).await?;
    ensure!(events[0].header("ce-correlationid")? == "first");
    ensure!(events[1].header("ce-correlationid")? == events[1].header("ce-causationid")?);
    Ok(())
}

#[tokio::test]
async fn correlation_actor_and_trace_are_carried_into_every_event() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let message = agent
        .deploy_configured()
        .header("Agent-Correlation-Id", "undertaking 7")
        .header("Agent-Actor", "alice")
        .header("traceparent", trace);
    nats.ask(message).await?.ok()?;

    for event in nats.stored(&agent.id).await? {
        ensure!(event.header("ce-correlationid")? == "undertaking 7");
        ensure!(event.header("ce-actor")? == "alice");
        // A host may add a span of its own, but stays in the trace.
        ensure!(event.header("traceparent")?.starts_with(&trace[..36]), "{:?}", event.headers);
    }
    Ok(())
}

#[tokio::test]
async fn an_event_without_actor_bears_no_actor() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    let event = &nats.stored(&agent.id).await?[0];
    ensure!(event.headers.get("ce-actor").is_none(), "{:?}", event.headers);
    Ok(())
}

#[tokio::test]
async fn an_event_names_the_component_that_decided_it() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    let event = &nats.stored(&agent.id).await?[0];
    let digest = hex::encode(Sha256::digest(std::fs::read(plugins::plugin("agent")?)?));
    let plugin = event.header("ce-plugin")?;
    ensure!(plugin.starts_with("agent/") && plugin.ends_with(&format!(";sha256={digest}")), "{plugin}");
    ensure!(event.header("ce-activation")?.parse::<u64>()? >= 1);
    Ok(())
}

#[tokio::test]
async fn an_events_source_names_the_jetstream_domain() -> Result<()> {
    let nats = Nats::in_domain("edge").await?;
    let _host = Host::builder(&nats)?.env("NATS_JS_DOMAIN", "edge").start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    let event = &nats.stored(&agent.id).await?[0];
    ensure!(event.header("ce-source")? == "/edge/AGENT_EVENTS", "{:?}", event.headers);
    Ok(())
}

#[tokio::test]
async fn time_never_runs_backwards_within_an_agent() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    host.kill().await?;
    // The same event, as a host with a fast clock would have written it.
    let event = nats.stored(&agent.id).await?.remove(0);
    nats.purge_stream("AGENT_EVENTS").await?;
    // Under another id: JetStream still knows the old one.
    let mut headers = event.headers_of_a_copy(Uuid::new_v5(&Uuid::NAMESPACE_OID, b"another"));
    headers.insert("ce-time", "2099-01-01T00:00:00.000Z");
    let payload = event.data.to_string().into();
    nats.jetstream().publish_with_headers(event.subject, headers, payload).await?.await?;

    let _host = Host::start(&nats).await?;
    nats.ask(agent.activate()).await?.ok()?;

    let activated = &nats.stored(&agent.id).await?[1];
    ensure!(activated.header("ce-time")? >= "2099-01-01T00:00:00", "{:?}", activated.headers);
    let told = activated.data["activated_at"].as_str().unwrap_or_default();
    ensure!(told >= "2099-01-01T00:00:00", "{}", activated.data);
    Ok(())
}
