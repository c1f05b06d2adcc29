//! The bus: a domain's commands and queries from NATS to its shards, and replies back. Knows
//! the wire and nothing of what requests lead to.

pub mod discovery;
mod endpoint;

use std::sync::Arc;
use std::time::Instant;

use async_nats::{Client, HeaderMap, Message, Subject, Subscriber};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::endpoint::Endpoint;
use crate::domain::Description;
use crate::message::{Code, Failure, Reply};
use crate::metrics::Metrics;
use crate::name::{Address, Name, Subjects, abuses_reply, header};
use crate::request;
use crate::shard::{Job, Responder, Shards};

/// What a domain's lane on the bus needs.
pub struct Lane {
    /// The connection.
    pub client: Client,
    /// The domain.
    pub description: Description,
    /// The domains this host serves, whose subjects no reply may have.
    pub served: Arc<[Name]>,
    /// The queue group shared with other hosts.
    pub queue_group: String,
    /// Largest payload in bytes.
    pub payload_bytes_max: usize,
    /// Counters of the domain.
    pub metrics: Arc<Metrics>,
    /// What the service API tells of commands.
    pub commands: Arc<Endpoint>,
    /// What the service API tells of queries.
    pub queries: Arc<Endpoint>,
}

impl Lane {
    /// Subscribes, and serves until `stop` or until `misplaced` says that the domain must not
    /// be served any more. Gives the shards back when nothing more will come.
    ///
    /// # Errors
    /// Where the client is closed.
    pub async fn open(
        self,
        shards: Shards,
        stop: watch::Receiver<bool>,
        misplaced: watch::Receiver<Option<String>>,
    ) -> Result<JoinHandle<Shards>, BusError> {
        let subjects = Subjects::new(&self.description.domain);
        let commands = self.client.queue_subscribe(subjects.commands(), self.queue_group.clone()).await?;
        let queries = self.client.queue_subscribe(subjects.queries(), self.queue_group.clone()).await?;
        Ok(tokio::spawn(self.serve(subjects, commands, queries, shards, stop, misplaced)))
    }

    async fn serve(
        self,
        subjects: Subjects,
        mut commands: Subscriber,
        mut queries: Subscriber,
        shards: Shards,
        mut stop: watch::Receiver<bool>,
        mut misplaced: watch::Receiver<Option<String>>,
    ) -> Shards {
        let mut draining = false;
        loop {
            tokio::select! {
                Some(message) = commands.next() => self.take(&subjects, message, &shards).await,
                Some(message) = queries.next() => self.take(&subjects, message, &shards).await,
                () = ended(&mut stop, &mut misplaced), if !draining => {
                    // What the server has sent by now still comes; then both end.
                    draining = true;
                    if commands.drain().await.is_err() || queries.drain().await.is_err() {
                        return shards;
                    }
                }
                else => return shards,
            }
        }
    }

    /// Reads one request and hands it to its shard, or answers what is wrong with it.
    async fn take(&self, subjects: &Subjects, message: Message, shards: &Shards) {
        let Message { subject, reply, headers, payload, .. } = message;
        let text = |name: &str| headers.as_ref().and_then(|h| h.get(name)).map(async_nats::HeaderValue::as_str);
        let targets = [reply.as_deref(), text(header::REPLY_TO)];
        if let Some(target) = targets.into_iter().flatten().find(|target| abuses_reply(target, self.served.iter())) {
            self.metrics.abused_replies.add(1);
            tracing::warn!(
                subject = subject.as_str(),
                reply = target,
                "request dropped: its reply would be more than a reply"
            );
            return;
        }
        let address = subjects.parse(&subject);
        let endpoint = match address {
            Some(Address::Query { .. }) => &self.queries,
            _ => &self.commands,
        };
        let responder = Box::new(NatsResponder {
            client: self.client.clone(),
            reply,
            endpoint: Arc::clone(endpoint),
            begun: Instant::now(),
        });
        let read = match address {
            Some(address) => request::read(&address, &text, payload, &self.description, self.payload_bytes_max),
            None => Err(Failure::invalid("", "the subject has another shape than <domain>.commands.[<id>.]<verb>")),
        };
        let (responder, failure): (Box<dyn Responder>, Failure) = match read {
            Ok(request) => match shards.submit(Job { request, responder }) {
                Ok(()) => return,
                Err(undelivered) => (undelivered.job.responder, undelivered.failure),
            },
            Err(failure) => {
                tracing::info!(subject = subject.as_str(), error = failure.message, "invalid request");
                (responder, failure)
            }
        };
        let reply = Reply::Error(failure);
        self.metrics.replied(&reply);
        responder.respond(reply).await;
    }
}

/// The client is closed, so nothing can be subscribed to.
#[derive(Debug, thiserror::Error)]
#[error("NATS subscription failed: {0}")]
pub struct BusError(#[from] async_nats::SubscribeError);

/// Completes when the lane must close; never where neither can say so any more.
async fn ended(stop: &mut watch::Receiver<bool>, misplaced: &mut watch::Receiver<Option<String>>) {
    let stopped = async { stop.wait_for(|stop| *stop).await.map(drop) };
    let lost = async { misplaced.wait_for(Option::is_some).await.map(drop) };
    tokio::select! {
        Ok(()) = stopped => {}
        Ok(()) = lost => {}
        else => std::future::pending().await,
    }
}

/// Sends a reply to whoever asked, if they want one.
struct NatsResponder {
    client: Client,
    reply: Option<Subject>,
    endpoint: Arc<Endpoint>,
    begun: Instant,
}

impl Responder for NatsResponder {
    fn respond(self: Box<Self>, reply: Reply) -> BoxFuture<'static, ()> {
        async move {
            self.endpoint.answered(&reply, self.begun.elapsed());
            let Some(subject) = self.reply else { return };
            let (headers, payload) = (headers(&reply), reply.to_bytes());
            if let Err(error) = self.client.publish_with_headers(subject, headers, payload).await {
                tracing::warn!(%error, "reply was not sent");
            }
        }
        .boxed()
    }
}

fn headers(reply: &Reply) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::STATUS, reply.status());
    if let Reply::Error(Failure { code, message, .. }) = reply {
        headers.insert(header::SERVICE_ERROR_CODE, code_text(*code));
        // A header is one line.
        headers.insert(header::SERVICE_ERROR, message.replace(['\r', '\n'], " "));
    }
    headers
}

fn code_text(code: Code) -> String {
    code.number().to_string()
}
