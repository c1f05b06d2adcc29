//! Somebody connected to NATS who may not do everything, and what the server has refused them. It must
//! not know in which role.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow, ensure};
use async_nats::{Client, ConnectOptions, StatusCode, Subscriber};
use futures::StreamExt;
use serde_json::Value;

use crate::eventually::{PATIENCE, eventually};
use crate::message::Message;
use crate::reply::Reply;

/// A client of its own.
pub struct User {
    client: Client,
    told: Arc<Mutex<Vec<String>>>,
}

impl User {
    /// Logs in.
    pub async fn connect(login: ConnectOptions, url: &str) -> Result<Self> {
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        let login = login.event_callback(move |event| {
            let telling = Arc::clone(&telling);
            async move {
                if let Ok(mut told) = telling.lock() {
                    told.push(event.to_string());
                }
            }
        });
        Ok(Self { client: login.connect(url).await?, told })
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Asks a host.
    pub async fn ask(&self, message: Message) -> Result<Reply> {
        let subject = message.subject.clone();
        let asked = self.client.request_with_headers(message.subject, message.headers, message.payload);
        let answer =
            tokio::time::timeout(PATIENCE, asked).await.with_context(|| format!("no reply to {subject}"))??;
        ensure!(answer.status != Some(StatusCode::NO_RESPONDERS), "nobody serves {subject}");
        Reply::parse(answer)
    }

    /// Asks JetStream, or whoever else answers in JSON.
    pub async fn call(&self, subject: &str, request: &Value) -> Result<Value> {
        let asked = self.client.request(subject.to_owned(), request.to_string().into());
        let answer =
            tokio::time::timeout(PATIENCE, asked).await.with_context(|| format!("no reply to {subject}"))??;
        Ok(serde_json::from_slice(&answer.payload)?)
    }

    /// Sends something with a reply subject of the test's choice.
    pub async fn send_with_reply(&self, message: Message, reply: &str) -> Result<()> {
        let Message { subject, headers, payload } = message;
        self.client.publish_with_reply_and_headers(subject, reply.to_owned(), headers, payload).await?;
        Ok(self.client.flush().await?)
    }

    /// Subscribes where that is permitted.
    pub async fn subscribe(&self, subject: &str) -> Result<Subscriber> {
        let subscriber = self.client.subscribe(subject.to_owned()).await?;
        self.client.flush().await?;
        Ok(subscriber)
    }

    /// Sees that the server lets through nothing to these subjects.
    pub async fn may_not_publish_to(&self, subjects: &[&str]) -> Result<()> {
        for &subject in subjects {
            self.client.publish(subject.to_owned(), "{}".into()).await?;
        }
        for subject in subjects {
            self.is_refused(&format!("Publish to \"{subject}\"")).await?;
        }
        Ok(())
    }

    /// Sees that the server gives nothing of these subjects.
    pub async fn may_not_subscribe_to(&self, subjects: &[&str]) -> Result<()> {
        for &subject in subjects {
            let _subscriber = self.client.subscribe(subject.to_owned()).await?;
            self.is_refused(&format!("Subscription to \"{subject}\"")).await?;
        }
        Ok(())
    }

    /// Sees that nothing was refused so far.
    pub fn was_refused_nothing(&self) -> Result<()> {
        let told = self.told.lock().map_err(|_| anyhow!("a test has panicked"))?;
        ensure!(!told.iter().any(|what| what.contains("Permissions Violation")), "{told:?}");
        Ok(())
    }

    async fn is_refused(&self, what: &str) -> Result<()> {
        eventually(&format!("the server refuses: {what}"), async || {
            let told = self.told.lock().map_err(|_| anyhow!("a test has panicked"))?;
            ensure!(told.iter().any(|told| told.contains(what)), "not refused; it told {told:?}");
            Ok(())
        })
        .await
    }
}

/// The next message of a subscription.
pub async fn next(messages: &mut Subscriber) -> Result<async_nats::Message> {
    let message = tokio::time::timeout(PATIENCE, messages.next()).await.context("nothing comes")?;
    message.context("the connection has ended")
}
