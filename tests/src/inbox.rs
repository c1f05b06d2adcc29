//! The durable lane as a client uses it: commands published through JetStream, outcomes on a
//! subject of the client's own. It must not know which host executes them.

use anyhow::{Context, Result, ensure};
use async_nats::Subscriber;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::eventually::{PATIENCE, eventually};
use crate::message::Message;
use crate::nats::Nats;
use crate::reply::Reply;

/// A command of the `misbehave` domain in the durable lane.
pub fn misbehave(id: &str, mode: &str) -> Message {
    Message::to(format!("misbehave.inbox.{id}.run"), json!({"id": id, "mode": mode}).to_string())
}

/// The state of a `misbehave` aggregate.
pub fn misbehave_state(id: &str) -> Message {
    Message::to(format!("misbehave.queries.{id}.state"), "{}")
}

impl Message {
    /// The same command in the durable lane.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.subject = self.subject.replacen(".commands.", ".inbox.", 1);
        self
    }
}

impl Nats {
    /// Publishes through JetStream and waits for the acknowledgement; its sequence.
    pub async fn accept(&self, message: Message) -> Result<u64> {
        let Message { subject, headers, payload } = message;
        let ack = self.jetstream().publish_with_headers(subject, headers, payload).await?.await?;
        ensure!(!ack.duplicate, "JetStream takes it for one that it has");
        Ok(ack.sequence)
    }

    /// Waits until the durable lane of a stream is empty.
    pub async fn inbox_is_empty(&self, stream: &str) -> Result<()> {
        eventually(&format!("{stream} is empty"), async || {
            let left = self.stream_messages(stream).await?;
            ensure!(left == 0, "{left} are left");
            Ok(())
        })
        .await
    }

    /// Waits until a stream stands.
    pub async fn stream_stands(&self, stream: &str) -> Result<()> {
        eventually(&format!("{stream} stands"), async || self.stream_messages(stream).await.map(drop)).await
    }

    /// Outcomes that are sent to a subject of the test's own.
    pub async fn outcomes(&self) -> Result<Outcomes> {
        let subject = self.client().new_inbox();
        let answers = self.client().subscribe(subject.clone()).await?;
        self.client().flush().await?;
        Ok(Outcomes { subject, answers })
    }

    /// What is known of the consumer of all hosts.
    pub async fn inbox_consumer(&self) -> Result<Value> {
        self.jetstream_api("CONSUMER.INFO.AGENT_INBOX.agent-workers", &json!({})).await
    }
}

/// A subject that outcomes are sent to.
pub struct Outcomes {
    /// The value for `Agent-Reply-To`.
    pub subject: String,
    answers: Subscriber,
}

impl Outcomes {
    /// The next outcome.
    pub async fn next(&mut self) -> Result<Reply> {
        let answer = tokio::time::timeout(PATIENCE, self.answers.next()).await.context("no outcome")?;
        Reply::parse(answer.context("the connection has ended")?)
    }
}
