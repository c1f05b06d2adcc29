//! What the doctor sees of streams, each fault made for real, and what a host that starts says of it. It
//! must not test how hosts refuse streams.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::stream::{event_stream, guide_stream};
use tests::{Doctor, Host, Message, Nats, Servers};

/// A server with an event stream that has these changes.
async fn with_stream(changes: &Value) -> Result<Nats> {
    let nats = Nats::start().await?;
    let mut config = event_stream();
    for (setting, value) in changes.as_object().into_iter().flatten() {
        config[setting] = value.clone();
    }
    nats.create_stream(&config).await?;
    Ok(nats)
}

fn dead_stream() -> Value {
    json!({"name": "AGENT_DEAD", "subjects": ["agent.dead.>"], "storage": "file", "discard": "new"})
}

#[tokio::test]
async fn a_setting_that_breaks_a_promise_is_a_failure() -> Result<()> {
    let nats = with_stream(&json!({"max_msgs_per_subject": 5})).await?;
    Doctor::new(&nats)?.finds("failure", "stream", &["AGENT_EVENTS", "max_msgs_per_subject"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_short_max_age_is_a_warning_of_doctor_and_start() -> Result<()> {
    let nats = with_stream(&json!({"max_age": 3_600_000_000_000_u64})).await?;
    let report = Doctor::new(&nats)?.finds("warning", "max_age", &["AGENT_EVENTS", "1h", "30m"]).await?;
    ensure!(report.code() == 10, "{report:?}");

    let host = Host::start(&nats).await?;
    host.logs(&["warn", "check=\"max_age\"", "AGENT_EVENTS", "remedy"]).await
}

#[tokio::test]
async fn the_stream_of_the_guide_is_adopted_with_warnings() -> Result<()> {
    let nats = Nats::start().await?;
    nats.create_stream(&guide_stream()).await?;
    let report = Doctor::new(&nats)?.finds("warning", "layout", &["captures commands"]).await?;
    report.has("warning", "layout", &["allow_atomic", "agent-service stream upgrade"])?;
    ensure!(report.checks("failure").is_empty(), "{report:?}");
    Ok(())
}

#[tokio::test]
async fn a_stream_of_somebody_else_that_captures_requests_is_a_failure() -> Result<()> {
    let nats = with_stream(&json!({})).await?;
    nats.create_stream(&json!({"name": "AUDIT", "subjects": ["agent.queries.>"], "storage": "file"})).await?;
    Doctor::new(&nats)?.finds("failure", "subjects", &["agent.queries.>", "AUDIT"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_stream_that_is_nearly_full_is_a_warning() -> Result<()> {
    let nats = with_stream(&json!({"max_msgs": 5, "discard": "new"})).await?;
    Doctor::new(&nats)?.finds("ok", "stream_limits", &["0 of 5"]).await?;
    for number in 0..4 {
        nats.accept(Message::to(format!("agent.events.a.{number}"), "{}")).await?;
    }
    Doctor::new(&nats)?.finds("warning", "stream_limits", &["4 of 5"]).await?;
    Ok(())
}

#[tokio::test]
async fn one_replica_in_a_cluster_is_a_warning_and_three_are_not() -> Result<()> {
    let servers = Servers::three().await?;
    let mut config = event_stream();
    servers.nats.create_stream(&config).await?;
    Doctor::new(&servers.nats)?.finds("warning", "replicas", &["AGENT_EVENTS", "alone", "STREAM_REPLICAS=3"]).await?;

    config["num_replicas"] = json!(3);
    servers.nats.update_stream(&config).await?;
    servers.replicas_are_current(&["AGENT_EVENTS"]).await?;
    Doctor::new(&servers.nats)?.finds("ok", "replicas", &["AGENT_EVENTS", "3 servers"]).await?;
    Ok(())
}

#[tokio::test]
async fn snapshots_without_their_stream_are_a_failure() -> Result<()> {
    let nats = Nats::start().await?;
    let bucket = json!({"name": "KV_AGENT_SNAPSHOTS", "subjects": ["$KV.AGENT_SNAPSHOTS.>"], "storage": "file"});
    nats.create_stream(&bucket).await?;
    nats.accept(Message::to("$KV.AGENT_SNAPSHOTS.a", "x")).await?;
    Doctor::new(&nats)?.finds("failure", "stream", &["gone", "KV_AGENT_SNAPSHOTS"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_bucket_that_forgets_is_a_failure() -> Result<()> {
    let nats = with_stream(&json!({})).await?;
    let bucket = json!({
        "name": "KV_AGENT_SNAPSHOTS", "subjects": ["$KV.AGENT_SNAPSHOTS.>"], "storage": "memory",
    });
    nats.create_stream(&bucket).await?;
    Doctor::new(&nats)?.finds("failure", "snapshots", &["memory"]).await?;
    Ok(())
}

#[tokio::test]
async fn dead_letters_are_a_warning_and_an_inbox_that_drops_is_a_failure() -> Result<()> {
    let nats = with_stream(&json!({})).await?;
    nats.create_stream(&dead_stream()).await?;
    Doctor::new(&nats)?.finds("ok", "dead_letters", &["nothing"]).await?;
    nats.accept(Message::to("agent.dead.a.deploy", "{}")).await?;
    let report = Doctor::new(&nats)?.finds("warning", "dead_letters", &["1 commands", "inbox list agent"]).await?;
    ensure!(report.checks("failure").is_empty(), "{report:?}");

    nats.create_stream(&json!({
        "name": "AGENT_INBOX", "subjects": ["agent.inbox.>"], "storage": "file", "retention": "workqueue",
        "max_age": 3_600_000_000_000_u64, "discard": "new",
    }))
    .await?;
    Doctor::new(&nats)?.finds("failure", "inbox", &["AGENT_INBOX", "max_age"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_fleet_without_its_buckets_has_nothing_to_run() -> Result<()> {
    let nats = Nats::start().await?;
    let doctor = Doctor::new(&nats)?.env("PLUGIN_SOURCE", "nats");
    let report = doctor.finds("warning", "fleet", &["AGENT_SERVICE_WANTED", "plugin push"]).await?;
    report.has("skipped", "plugins", &[])
}
