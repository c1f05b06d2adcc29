//! Many commands at once, sent without waiting for a reply, and what each was answered. It must not
//! know what the service makes of them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_nats::{ConnectOptions, HeaderMap};
use futures::StreamExt;
use serde_json::Value;
use uuid::Uuid;

use crate::counter::Counter;
use crate::eventually::PATIENCE;
use crate::nats::Nats;

/// What came of a flood.
#[derive(Debug)]
pub struct Flood {
    /// The commands' answers: under which id each was sent, and the body of its reply.
    pub answers: HashMap<String, Value>,
    /// How long the last answer took from the first command on.
    pub took: Duration,
}

impl Flood {
    /// Sends so many commands to these counters in turn, as fast as one connection takes them, and
    /// collects an answer to each.
    ///
    /// # Errors
    /// Where one has no answer in time, or two.
    pub async fn send(nats: &Nats, counters: &[Counter], commands: usize) -> Result<Self> {
        let options = ConnectOptions::new().subscription_capacity(2 * commands);
        let client = options.connect(nats.url()).await?;
        let inbox = client.new_inbox();
        let mut replies = client.subscribe(format!("{inbox}.*")).await?;
        client.flush().await?;
        let begun = Instant::now();
        let sending = async {
            for (_, counter) in (0..commands).zip(counters.iter().cycle()) {
                let id = Uuid::now_v7().simple().to_string();
                let mut headers = HeaderMap::new();
                headers.insert("Nats-Msg-Id", id.as_str());
                let (message, reply) = (counter.increment(1), format!("{inbox}.{id}"));
                client.publish_with_reply_and_headers(message.subject, reply, headers, message.payload).await?;
            }
            client.flush().await?;
            Ok::<_, anyhow::Error>(())
        };
        let collecting = async {
            let mut answers = HashMap::new();
            while answers.len() < commands {
                let next = tokio::time::timeout(PATIENCE, replies.next()).await;
                let next = next.with_context(|| format!("{} of {commands} were answered", answers.len()))?;
                let reply = next.context("the connection has ended")?;
                let id = reply.subject.rsplit('.').next().unwrap_or_default().to_owned();
                let twice = answers.insert(id, serde_json::from_slice(&reply.payload)?);
                ensure!(twice.is_none(), "answered twice: {twice:?}");
            }
            Ok(answers)
        };
        let ((), answers) = tokio::try_join!(sending, collecting)?;
        Ok(Self { answers, took: begun.elapsed() })
    }

    /// How many answers are an error of this code, or `ok`.
    pub fn count(&self, code: &str) -> usize {
        let is = |answer: &&Value| answer["status"] == code || answer["code"] == code;
        self.answers.values().filter(is).count()
    }
}
