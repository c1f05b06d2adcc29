//! A stream with a setting that breaks a promise: the host does not start, and names the setting.
//! It must not test streams that are fine.

use std::time::Duration;

use anyhow::{Result, ensure};
use async_nats::jetstream;
use serde_json::{Value, json};
use tests::stream::event_stream;
use tests::{Host, Nats};

/// The start is refused on a stream with these changes, naming all these words.
async fn refused(changes: &Value, words: &[&str]) -> Result<()> {
    let nats = Nats::start().await?;
    let mut config = event_stream();
    for (setting, value) in changes.as_object().into_iter().flatten() {
        config[setting] = value.clone();
    }
    nats.create_stream(&config).await?;
    refused_on(&nats, words).await
}

async fn refused_on(nats: &Nats, words: &[&str]) -> Result<()> {
    let before = nats.stream_config("AGENT_EVENTS").await?;
    let mut all = vec!["AGENT_EVENTS"];
    all.extend(words);
    Host::builder(nats)?.refuses(&all).await?;
    ensure!(nats.stream_config("AGENT_EVENTS").await? == before, "the stream was changed");
    Ok(())
}

#[tokio::test]
async fn a_stream_without_acknowledgements_is_refused() -> Result<()> {
    refused(&json!({"no_ack": true}), &["no_ack"]).await
}

#[tokio::test]
async fn a_work_queue_is_refused() -> Result<()> {
    refused(&json!({"retention": "workqueue"}), &["retention"]).await
}

#[tokio::test]
async fn interest_retention_is_refused() -> Result<()> {
    refused(&json!({"retention": "interest"}), &["retention"]).await
}

#[tokio::test]
async fn a_stream_of_other_subjects_is_refused() -> Result<()> {
    refused(&json!({"subjects": ["robot.events.>"]}), &["subjects", "agent.events.>"]).await
}

#[tokio::test]
async fn a_stream_of_only_some_of_the_subjects_is_refused() -> Result<()> {
    refused(&json!({"subjects": ["agent.events.*.deployed"]}), &["subjects", "agent.events.>"]).await
}

#[tokio::test]
async fn transformed_subjects_are_refused() -> Result<()> {
    let transform = json!({"src": "agent.events.>", "dest": "elsewhere.>"});
    refused(&json!({"subject_transform": transform}), &["subject_transform"]).await
}

#[tokio::test]
async fn a_mirror_is_refused() -> Result<()> {
    let nats = Nats::start().await?;
    let mut origin = event_stream();
    origin["name"] = json!("ORIGIN");
    origin["subjects"] = json!(["robot.events.>"]);
    nats.create_stream(&origin).await?;
    nats.create_stream(&json!({"name": "AGENT_EVENTS", "storage": "file", "mirror": {"name": "ORIGIN"}})).await?;

    refused_on(&nats, &["mirror"]).await
}

#[tokio::test]
async fn a_sealed_stream_is_refused() -> Result<()> {
    let nats = Nats::start().await?;
    let mut config = event_stream();
    nats.create_stream(&config).await?;
    config["sealed"] = json!(true);
    nats.update_stream(&config).await?;

    refused_on(&nats, &["sealed"]).await
}

#[tokio::test]
async fn a_limit_per_subject_is_refused() -> Result<()> {
    refused(&json!({"max_msgs_per_subject": 100}), &["max_msgs_per_subject"]).await
}

#[tokio::test]
async fn asynchronous_persistence_is_refused() -> Result<()> {
    let changes = json!({"persist_mode": "async", "allow_atomic": false});
    refused(&changes, &["persist_mode"]).await
}

#[tokio::test]
async fn discarding_old_messages_by_count_is_refused() -> Result<()> {
    refused(&json!({"max_msgs": 1_000_000}), &["max_msgs", "discard"]).await
}

#[tokio::test]
async fn discarding_old_messages_by_size_is_refused() -> Result<()> {
    refused(&json!({"max_bytes": 1_000_000_000}), &["max_bytes", "discard"]).await
}

#[tokio::test]
async fn a_stream_that_a_header_could_wipe_is_refused() -> Result<()> {
    refused(&json!({"allow_rollup_hdrs": true}), &["allow_rollup_hdrs"]).await
}

#[tokio::test]
async fn a_snapshot_bucket_that_forgets_is_refused() -> Result<()> {
    let nats = Nats::start().await?;
    let config = jetstream::kv::Config {
        bucket: "AGENT_SNAPSHOTS".into(),
        max_age: Duration::from_secs(3_600),
        ..jetstream::kv::Config::default()
    };
    nats.jetstream().create_key_value(config).await?;
    Host::builder(&nats)?.refuses(&["AGENT_SNAPSHOTS", "max_age"]).await
}
