//! The bus: a domain's commands and queries from NATS to its shards, and replies back. Knows
//! the wire and nothing of what requests lead to.

pub mod control;
pub mod discovery;
mod endpoint;
mod intake;

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Message, Subject};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, unconstrained};
use tokio::time::Instant;

pub use self::endpoint::Endpoint;
use self::intake::Intake;
use crate::domain::Description;
use crate::message::{Failure, Reply};
use crate::metrics::{Asked, Metrics};
use crate::name::{Address, Name, Subjects, abuses_reply, header, printable};
use crate::nats::{self, reply_headers};
use crate::request;
use crate::shard::{Job, Responder, Shards};
use crate::trace::{self, TraceContext, Tracer};

/// How long a closing lane waits for the last messages of a busy subscription.
const END_GRACE: Duration = Duration::from_millis(200);
/// A time that does not come while a host runs.
const FAR_OFF: Duration = Duration::from_secs(30 * 365 * 24 * 3_600);

/// What a domain's lane on the bus needs.
pub struct Lane {
    /// The connection that requests come by.
    pub client: Client,
    /// The shards' own connections, which replies go by, in the shards' order.
    pub shard_clients: Vec<Client>,
    /// What the live code says of the domain.
    pub description: watch::Receiver<Arc<Description>>,
    /// The domains this host serves, whose subjects no reply may have.
    pub served: watch::Receiver<Arc<[Name]>>,
    /// The queue group shared with other hosts.
    pub queue_group: String,
    /// Largest payload in bytes.
    pub payload_bytes_max: usize,
    /// Counters of the domain.
    pub metrics: Arc<Metrics>,
    /// Takes traces of commands, where they are wanted.
    pub tracer: Option<Arc<dyn Tracer>>,
    /// What the service API tells of commands.
    pub commands: Arc<Endpoint>,
    /// What the service API tells of queries.
    pub queries: Arc<Endpoint>,
}

/// What tells a lane to close, and whom it tells when it had to.
pub struct LaneEnds {
    /// The host stops.
    pub stop: watch::Receiver<bool>,
    /// Events were stored where they do not belong, so the domain must not be served here.
    pub misplaced: watch::Receiver<Option<String>>,
    /// Told when the connection ended for good.
    pub lost: Arc<Notify>,
}

impl Lane {
    /// Subscribes, and serves on `runtime`, the one that drives the client, until `ends` says
    /// otherwise or the connection is lost for good. The task gives the shards back when nothing
    /// more will come.
    ///
    /// # Errors
    /// Where the client is closed.
    pub async fn open(
        self,
        domain: &Name,
        shards: Shards,
        ends: LaneEnds,
        runtime: &Handle,
    ) -> Result<JoinHandle<Shards>, BusError> {
        let subjects = Subjects::new(domain);
        let listening = async {
            let commands = Intake::open(&self.client, subjects.commands(), &self.queue_group).await?;
            let queries = Intake::open(&self.client, subjects.queries(), &self.queue_group).await?;
            // Whoever hears that the domain is served may send at once, by another connection.
            nats::settled(&self.client).await;
            // What the server has refused by then is told by a task of its own, which has had its turn after one more.
            nats::settled(&self.client).await;
            Ok::<_, BusError>((commands, queries))
        };
        let (commands, queries) = nats::unless_refused(&format!("{domain}."), listening).await??;
        // In its turn it takes all that has arrived: what is too much is refused at once, and never
        // piles up until it is dropped.
        Ok(runtime.spawn(unconstrained(self.serve(subjects, commands, queries, shards, ends))))
    }

    async fn serve(
        self,
        subjects: Subjects,
        mut commands: Intake,
        mut queries: Intake,
        shards: Shards,
        mut ends: LaneEnds,
    ) -> Shards {
        let mut ending = false;
        let grace = tokio::time::sleep(FAR_OFF);
        tokio::pin!(grace);
        while commands.is_open() || queries.is_open() {
            tokio::select! {
                message = commands.next(), if commands.is_open() => self.take(&subjects, message, &shards).await,
                message = queries.next(), if queries.is_open() => self.take(&subjects, message, &shards).await,
                () = ended(&mut ends), if !ending => {
                    ending = true;
                    grace.as_mut().reset(Instant::now() + END_GRACE);
                    commands.announce_end().await;
                    queries.announce_end().await;
                }
                () = &mut grace, if ending => {
                    grace.as_mut().reset(Instant::now() + FAR_OFF);
                    commands.end().await;
                    queries.end().await;
                }
            }
        }
        if !ending {
            ends.lost.notify_one();
        }
        shards
    }

    /// Reads one request and hands it to its shard, or answers what is wrong with it.
    async fn take(&self, subjects: &Subjects, message: Option<Message>, shards: &Shards) {
        let Some(message) = message else { return };
        let Message { subject, reply, headers, payload, .. } = message;
        let text = |name: &str| headers.as_ref().and_then(|h| h.get(name)).map(async_nats::HeaderValue::as_str);
        let targets = [reply.as_deref(), text(header::REPLY_TO)];
        if let Some(target) =
            targets.into_iter().flatten().find(|target| abuses_reply(target, self.served.borrow().iter()))
        {
            self.metrics.abused_replies.add(1);
            tracing::warn!(
                subject = subject.as_str(),
                reply = target,
                "request dropped: its reply would be more than a reply"
            );
            return;
        }
        let address = subjects.parse(&subject);
        let (endpoint, asked) = match address {
            Some(Address::Query { .. }) => (&self.queries, Asked::Query),
            Some(Address::Command { verb, .. }) => (&self.commands, Asked::Command(verb)),
            None => (&self.commands, Asked::Command("")),
        };
        let endpoint = Arc::clone(endpoint);
        let begun = Instant::now();
        let respond_by = |client: &Client| Box::new(NatsResponder { client: client.clone(), reply, endpoint });
        let read = match address {
            Some(address) => {
                let description = self.description.borrow();
                request::read(&address, &text, payload, &description, self.payload_bytes_max)
            }
            None => Err(Failure::invalid("", "the subject has another shape than <domain>.commands.[<id>.]<verb>")),
        };
        let (responder, failure): (Box<dyn Responder>, Failure) = match read {
            Ok(request) => {
                let client = self.shard_clients.get(shards.place(request.id())).unwrap_or(&self.client);
                match shards.submit(Job { responder: respond_by(client), request, arrived: begun.into_std() }) {
                    Ok(()) => return,
                    Err(undelivered) => (undelivered.job.responder, undelivered.failure),
                }
            }
            Err(failure) => {
                tracing::info!(subject = subject.as_str(), error = failure.message, "invalid request");
                (respond_by(&self.client), failure)
            }
        };
        let reply = Reply::Error(failure);
        if let (Some(tracer), Asked::Command(verb)) = (&self.tracer, asked) {
            let parent = text(header::TRACEPARENT).and_then(TraceContext::parse);
            trace::refused(&**tracer, parent, self.subject(verb, &reply), begun.into_std(), &reply);
        }
        self.metrics.replied(asked, &reply);
        let after = begun.elapsed();
        self.metrics.outside().answered(asked, after);
        responder.respond(reply, after).await;
    }
}

impl Lane {
    /// What a command asked that comes to no shard.
    fn subject(&self, verb: &str, reply: &Reply) -> trace::Subject {
        let description = self.description.borrow();
        let aggregate = match reply {
            Reply::Error(failure) => failure.id.clone(),
            Reply::Ok(_) => None,
        };
        trace::Subject {
            domain: description.domain.clone(),
            verb: printable(verb),
            verb_known: description.verb(verb).is_some(),
            aggregate,
            command_id: None,
        }
    }
}

/// Why nothing can be subscribed to.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The client is closed.
    #[error("NATS subscription failed: {0}")]
    Closed(#[from] async_nats::SubscribeError),
    /// Our user may not.
    #[error(transparent)]
    NotPermitted(#[from] nats::Refusal),
}

/// Completes when the lane must close; never where nobody can say so any more.
async fn ended(ends: &mut LaneEnds) {
    let stopped = async { ends.stop.wait_for(|stop| *stop).await.map(drop) };
    let misplaced = async { ends.misplaced.wait_for(Option::is_some).await.map(drop) };
    tokio::select! {
        Ok(()) = stopped => {}
        Ok(()) = misplaced => {}
        else => std::future::pending().await,
    }
}

/// Sends a reply to whoever asked, if they want one.
struct NatsResponder {
    client: Client,
    reply: Option<Subject>,
    endpoint: Arc<Endpoint>,
}

impl Responder for NatsResponder {
    fn respond(self: Box<Self>, reply: Reply, after: Duration) -> BoxFuture<'static, ()> {
        async move {
            self.endpoint.answered(&reply, after);
            let Some(subject) = self.reply else { return };
            let (headers, payload) = (reply_headers(&reply), reply.to_bytes());
            if let Err(error) = self.client.publish_with_headers(subject, headers, payload).await {
                tracing::warn!(%error, "reply was not sent");
            }
        }
        .boxed()
    }
}
