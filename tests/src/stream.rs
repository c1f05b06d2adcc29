//! Streams and buckets, made and looked at through JetStream's own JSON, so that a setting the
//! client library does not know can be tested too. It must not know what the service makes.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::eventually::eventually;
use crate::message::Message;
use crate::nats::Nats;

/// A stream for the agent domain's events, as an operator would make it by hand for the service.
pub fn event_stream() -> Value {
    json!({
        "name": "AGENT_EVENTS",
        "subjects": ["agent.events.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_age": 365_u64 * 24 * 60 * 60 * 1_000_000_000,
        "num_replicas": 1,
        "allow_atomic": true,
        "allow_direct": true,
    })
}

/// The stream of the deployment guide: both subjects, nothing that newer servers brought.
pub fn guide_stream() -> Value {
    json!({
        "name": "AGENT_EVENTS",
        "subjects": ["agent.commands.>", "agent.events.>"],
        "retention": "limits",
        "storage": "file",
        "max_age": 365_u64 * 24 * 60 * 60 * 1_000_000_000,
        "num_replicas": 1,
    })
}

impl Nats {
    /// Calls JetStream's API: `STREAM.INFO.AGENT_EVENTS` and the like.
    pub async fn jetstream_api(&self, call: &str, request: &Value) -> Result<Value> {
        let prefix = match self.domain() {
            Some(domain) => format!("$JS.{domain}.API"),
            None => "$JS.API".to_owned(),
        };
        self.call(&prefix, call, request).await
    }

    /// The same for another JetStream domain than the server's own.
    pub async fn jetstream_api_of(&self, domain: &str, call: &str, request: &Value) -> Result<Value> {
        self.call(&format!("$JS.{domain}.API"), call, request).await
    }

    async fn call(&self, prefix: &str, call: &str, request: &Value) -> Result<Value> {
        let message = Message::to(format!("{prefix}.{call}"), request.to_string());
        let answer = self.client().request(message.subject, message.payload).await?;
        let answer: Value = serde_json::from_slice(&answer.payload)?;
        if let Some(error) = answer.get("error") {
            bail!("{call}: {error}");
        }
        Ok(answer)
    }

    /// Makes a stream.
    pub async fn create_stream(&self, config: &Value) -> Result<()> {
        let name = config["name"].as_str().context("a stream has a name")?;
        self.jetstream_api(&format!("STREAM.CREATE.{name}"), config).await?;
        Ok(())
    }

    /// Changes a stream.
    pub async fn update_stream(&self, config: &Value) -> Result<()> {
        let name = config["name"].as_str().context("a stream has a name")?;
        self.jetstream_api(&format!("STREAM.UPDATE.{name}"), config).await?;
        Ok(())
    }

    /// Deletes a stream with all that is in it.
    pub async fn delete_stream(&self, name: &str) -> Result<()> {
        self.jetstream_api(&format!("STREAM.DELETE.{name}"), &json!({})).await?;
        Ok(())
    }

    /// Empties a stream; its sequences go on where they were.
    pub async fn purge_stream(&self, name: &str) -> Result<()> {
        self.jetstream_api(&format!("STREAM.PURGE.{name}"), &json!({})).await?;
        Ok(())
    }

    /// A stream's settings as the server reports them.
    pub async fn stream_config(&self, name: &str) -> Result<Value> {
        let info = self.jetstream_api(&format!("STREAM.INFO.{name}"), &json!({})).await?;
        Ok(info["config"].clone())
    }

    /// How many messages a stream holds.
    pub async fn stream_messages(&self, name: &str) -> Result<u64> {
        let info = self.jetstream_api(&format!("STREAM.INFO.{name}"), &json!({})).await?;
        info["state"]["messages"].as_u64().context("state.messages")
    }

    /// How many messages a key-value bucket holds for one key; a value in pieces counts each.
    pub async fn snapshot_messages(&self, id: &str) -> Result<usize> {
        let filter = json!({"subjects_filter": "$KV.AGENT_SNAPSHOTS.>"});
        let info = self.jetstream_api("STREAM.INFO.KV_AGENT_SNAPSHOTS", &filter).await?;
        let subjects = info["state"]["subjects"].as_object().cloned().unwrap_or_default();
        Ok(subjects.keys().filter(|subject| subject.contains(id)).count())
    }

    /// Waits until an agent has a snapshot.
    pub async fn has_snapshot_of(&self, id: &str) -> Result<()> {
        eventually("a snapshot is taken", async || {
            ensure!(self.snapshot_messages(id).await? > 0, "none");
            Ok(())
        })
        .await
    }

    /// Waits until all events of agents have left their stream.
    pub async fn agent_events_have_aged(&self) -> Result<()> {
        eventually("all events age", async || {
            ensure!(self.stream_messages("AGENT_EVENTS").await? == 0, "not yet");
            Ok(())
        })
        .await
    }
}
