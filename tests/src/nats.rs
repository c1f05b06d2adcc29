//! A real nats-server of the test's own, and a client to it. It must not know the service's
//! code; of the service it knows that it answers pings and bears `Agent-Status` on replies.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use async_nats::jetstream;
use async_nats::{Client, ConnectOptions, StatusCode};
use futures::StreamExt;
use serde_json::Value;
use xtask::nats_server::NatsServer;

use crate::eventually::{PATIENCE, eventually};
use crate::message::Message;
use crate::reply::Reply;

/// How long one round of gathering answers to a ping lasts. Rounds are repeated, so it need not
/// be long enough for a busy machine.
const PING_ROUND: Duration = Duration::from_millis(100);

/// A server and a client connected to it. Both end with it.
pub struct Nats {
    server: Mutex<NatsServer>,
    url: String,
    client: Client,
    domain: Option<String>,
    /// Instances of the service that have answered a ping, so that a new one can be told.
    instances: Mutex<HashSet<String>>,
}

impl Nats {
    /// A server with JetStream, open to everyone.
    pub async fn start() -> Result<Self> {
        Self::with_config("").await
    }

    /// The same with more of its configuration file.
    pub async fn with_config(config: &str) -> Result<Self> {
        Self::with_login(config, ConnectOptions::new()).await
    }

    /// The same with logins, and the one that the test itself uses.
    pub async fn with_login(config: &str, login: ConnectOptions) -> Result<Self> {
        let server = NatsServer::builder().settings(config).start()?;
        Self::connect(server, login).await
    }

    /// A server whose JetStream belongs to a JetStream domain.
    pub async fn in_domain(domain: &str) -> Result<Self> {
        let server = NatsServer::builder().jetstream_settings(&format!("domain: {domain}")).start()?;
        Self::connect_in_domain(server, ConnectOptions::new(), domain).await
    }

    /// The same for a server that the test has started itself.
    pub async fn connect_in_domain(server: NatsServer, login: ConnectOptions, domain: &str) -> Result<Self> {
        Ok(Self { domain: Some(domain.to_owned()), ..Self::connect(server, login).await? })
    }

    /// A server that the test has started itself, in its own way.
    pub async fn connect(server: NatsServer, login: ConnectOptions) -> Result<Self> {
        let urls = [server.client_url().to_owned()];
        Self::connect_among(server, login, &urls).await
    }

    /// The same with a client that goes to whichever of several servers is there.
    pub async fn connect_among(server: NatsServer, login: ConnectOptions, urls: &[String]) -> Result<Self> {
        let url = server.client_url().to_owned();
        let client =
            login.connect(urls).await.with_context(|| format!("no connection to the test's server at {url}"))?;
        Ok(Self { server: Mutex::new(server), url, client, domain: None, instances: Mutex::default() })
    }

    /// The server's address, the same after a restart.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Kills the server and starts it again on the same port and store.
    /// Comes back once the test's own connection stands again: a request sent into the old one
    /// would be lost without a sign.
    pub async fn restart_server(&self) -> Result<()> {
        self.server()?.restart()?;
        eventually("the test's connection is back", async || {
            Ok(tokio::time::timeout(PING_ROUND, self.client.flush()).await??)
        })
        .await
    }

    /// The server, to be killed, paused and resumed.
    pub fn server(&self) -> Result<MutexGuard<'_, NatsServer>> {
        self.server.lock().map_err(|_| anyhow!("a test has panicked"))
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The server's JetStream domain.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// JetStream, for looking at what is stored.
    pub fn jetstream(&self) -> jetstream::Context {
        match &self.domain {
            Some(domain) => jetstream::with_domain(self.client.clone(), domain),
            None => jetstream::new(self.client.clone()),
        }
    }

    /// Sends a request and waits for the service's reply to it.
    pub async fn ask(&self, message: Message) -> Result<Reply> {
        let subject = message.subject.clone();
        self.try_ask(message, PATIENCE).await?.with_context(|| format!("nobody serves {subject}"))
    }

    /// The same with a patience of its own; `None` where nobody is subscribed.
    pub async fn try_ask(&self, message: Message, patience: Duration) -> Result<Option<Reply>> {
        let subject = message.subject.clone();
        let answer = self.request(message);
        tokio::time::timeout(patience, answer).await.with_context(|| format!("no reply to {subject}"))?
    }

    async fn request(&self, message: Message) -> Result<Option<Reply>> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await?;
        self.publish_with_reply(message, &inbox).await?;
        while let Some(answer) = answers.next().await {
            if answer.status == Some(StatusCode::NO_RESPONDERS) {
                return Ok(None);
            }
            // A stream that captures commands acknowledges them on the same subject.
            if answer.headers.as_ref().is_some_and(|headers| headers.get("Agent-Status").is_some()) {
                return Reply::parse(answer).map(Some);
            }
        }
        bail!("the connection has ended")
    }

    /// Sends a message that wants no reply.
    pub async fn publish(&self, message: Message) -> Result<()> {
        self.client.publish_with_headers(message.subject, message.headers, message.payload).await?;
        Ok(self.client.flush().await?)
    }

    /// Sends a message with a reply subject of the test's choice.
    pub async fn publish_with_reply(&self, message: Message, reply: &str) -> Result<()> {
        self.client
            .publish_with_reply_and_headers(message.subject, reply.to_owned(), message.headers, message.payload)
            .await?;
        Ok(self.client.flush().await?)
    }

    /// The instances of the service that answer a ping within one short round.
    pub async fn ping(&self) -> Result<HashSet<String>> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await?;
        self.publish_with_reply(Message::to("$SRV.PING.agent-service", ""), &inbox).await?;
        let mut found = HashSet::new();
        let gather = async {
            while let Some(answer) = answers.next().await {
                if answer.status == Some(StatusCode::NO_RESPONDERS) {
                    return Ok(());
                }
                let pong: Value = serde_json::from_slice(&answer.payload)?;
                ensure!(pong["name"] == "agent-service", "a stranger answers: {pong}");
                found.insert(pong["id"].as_str().context("a pong without id")?.to_owned());
            }
            Ok(())
        };
        // The end of the round is no failure: nobody says how many will answer.
        match tokio::time::timeout(PING_ROUND, gather).await {
            Ok(result) => result.map(|()| found),
            Err(_) => Ok(found),
        }
    }

    /// Whether an instance answers that has not answered before; if so it is known from now on.
    pub async fn new_instance(&self) -> Result<bool> {
        let found = self.ping().await?;
        let mut known = self.instances.lock().map_err(|_| anyhow!("a test has panicked"))?;
        let new = found.difference(&known).next().is_some();
        known.extend(found);
        Ok(new)
    }
}
