//! One delivered command on its way: executed as often as it takes, answered, acknowledged, or
//! parked. Knows nothing of the order in which commands come.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::{self, AckKind};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{oneshot, watch};

use super::dead::{Dead, DeadError, Original, Parked, Why};
use super::reader::{Asked, Delivered, Reader};
use super::streams::{HELD_MAX, InboxError, Standing};
use super::tries::{Next, Tries, pause};
use super::unreadable::{self, Removed};
use crate::message::{Code, Command, Failure, Reply, Request};
use crate::metrics::{self, Metrics};
use crate::name::{Address, AggregateId, header, printable};
use crate::nats::{Client, JetStream, reply_headers};
use crate::shard::{Entrance, Job, Responder};

/// Acknowledgements of one command in a row that are not confirmed before that is told. It is sent
/// again until the term of the pin ends: whoever has the next one knows the command's id.
const UNCONFIRMED_TOLD: u32 = 2;

/// What all commands of one domain's durable lane share.
pub(super) struct Workshop {
    pub(super) client: Client,
    pub(super) reader: Reader,
    pub(super) dead: Dead,
    pub(super) entrance: Entrance,
    pub(super) metrics: Arc<Metrics>,
    pub(super) tries_max: u32,
    /// The aggregates of which something may be parked: all of which something is, at least.
    pub(super) parked: Mutex<HashSet<AggregateId>>,
    /// Commands that came to an outcome.
    pub(super) outcomes: AtomicU64,
}

/// What a command came to.
enum End {
    Outcome(Reply),
    GivenUp(Failure, Tries),
    /// The pin was lost, or the host stops, between two tries.
    Abandoned,
}

impl Workshop {
    /// Learns anew of which aggregates something is parked.
    pub(super) async fn learn_parked(&self) -> Result<(), DeadError> {
        let ids = self.dead.ids().await?;
        *self.parked() = ids;
        Ok(())
    }

    /// Removes what the client library cannot read: nothing but invalid commands.
    pub(super) async fn remove_unreadable(&self, context: &JetStream, standing: &Standing) -> Result<(), InboxError> {
        for Removed { sequence, subject, why } in unreadable::remove(context, standing).await? {
            tracing::warn!(sequence, subject, why, "durable command dropped: it cannot be read");
            self.invalid(&subject, &Reply::Error(Failure::invalid("", why)));
        }
        Ok(())
    }

    /// Does what a message asks for. Whether it is settled, so that it is not delivered again.
    /// `length` says how many messages of its aggregate are held; `term` ends with the pin.
    pub(super) async fn work(
        &self,
        delivered: &Delivered,
        length: &AtomicUsize,
        mut term: watch::Receiver<bool>,
    ) -> bool {
        let headers = delivered.message.headers.as_ref();
        let done = match &delivered.asked {
            Asked::Abuse => {
                self.metrics.abused_replies.add(1);
                let target =
                    headers.and_then(|headers| headers.get(header::REPLY_TO)).map_or("", |value| value.as_str());
                tracing::warn!(
                    subject = delivered.message.subject.as_str(),
                    reply = printable(target),
                    "durable command dropped: its reply would be more than a reply"
                );
                true
            }
            Asked::Invalid(failure) => {
                tracing::info!(
                    subject = delivered.message.subject.as_str(),
                    error = failure.message,
                    "invalid durable command"
                );
                let reply = Reply::Error(failure.clone());
                self.invalid(&delivered.message.subject, &reply);
                self.answer(headers, &reply).await;
                true
            }
            Asked::Retry(id) => self.retry(id, length, &mut term).await,
            Asked::Command(command) => self.first_time(delivered, command, length, &mut term).await,
        };
        done && acknowledged(&delivered.message, &mut term).await
    }

    /// Tells the server that a message is still in hand.
    pub(super) async fn keep(&self, delivered: &Delivered) {
        if let Err(error) = delivered.message.ack_with(AckKind::Progress).await {
            tracing::debug!(%error, "a sign of life for a durable command was not sent");
        }
    }

    /// Counts an invalid command, which comes to no shard.
    fn invalid(&self, subject: &str, reply: &Reply) {
        self.metrics.replied(metrics::Asked::Command(subject.rsplit('.').next().unwrap_or_default()), reply);
    }

    /// Executes a command, unless one of its aggregate is parked.
    async fn first_time(
        &self,
        delivered: &Delivered,
        command: &Command,
        length: &AtomicUsize,
        term: &mut watch::Receiver<bool>,
    ) -> bool {
        let behind = match self.last_parked(&command.id, term).await {
            Err(Ended) => return false,
            // It was parked already, and the acknowledgement was lost.
            Ok(Some(last)) if last.inbox_sequence == delivered.sequence && last.command_id == command.command_id => {
                return true;
            }
            Ok(last) => last,
        };
        let (why, failure) = match behind {
            Some(first) => (waits_behind(&first), None),
            None => match self.execute(command, length, term).await {
                End::Abandoned => return false,
                End::Outcome(reply) => {
                    self.answer(delivered.message.headers.as_ref(), &reply).await;
                    return true;
                }
                End::GivenUp(failure, tries) => {
                    let code = Some(failure.code.as_str());
                    (Why { code, reason: failure.message.clone(), tries: tries.count }, Some(failure))
                }
            },
        };
        if self.park(delivered, command, &why, term).await.is_err() {
            return false;
        }
        if let Some(failure) = failure {
            let (id, reason) = (&command.id, &failure.message);
            tracing::error!(aggregate = %id, command = command.command_id, tries = why.tries, error = reason, "durable command parked, and those that follow of its aggregate will be: see `agent-service inbox list`");
            self.answer(delivered.message.headers.as_ref(), &Reply::Error(failure)).await;
        }
        true
    }

    /// Tries what is parked of an aggregate, in order, until one fails again. Whether it ended.
    async fn retry(&self, id: &AggregateId, length: &AtomicUsize, term: &mut watch::Receiver<bool>) -> bool {
        let mut from = 1;
        loop {
            let parked = match self.insist(term, || self.dead.next(Some(id), from)).await {
                Ok(Some(parked)) => parked,
                Ok(None) => return true,
                Err(Ended) => return false,
            };
            let reply = match self.parked_command(&parked) {
                Err(failure) => Reply::Error(failure),
                Ok(command) => match self.execute(&command, length, term).await {
                    End::Abandoned => return false,
                    End::Outcome(reply) => reply,
                    End::GivenUp(failure, _) => {
                        tracing::error!(aggregate = %id, command = parked.command_id, error = failure.message, "parked command failed again and stays parked");
                        return true;
                    }
                },
            };
            self.answer(Some(&parked.headers), &reply).await;
            if self.insist(term, || self.dead.remove(parked.sequence)).await.is_err() {
                return false;
            }
            from = parked.sequence + 1;
        }
    }

    fn parked_command(&self, parked: &Parked) -> Result<Command, Failure> {
        let text = |name: &str| match name {
            header::MESSAGE_ID => Some(parked.command_id.as_str()),
            name => parked.headers.get(name).map(async_nats::HeaderValue::as_str),
        };
        let address = Address::Command { id: Some(parked.id.as_str()), verb: parked.verb.as_str() };
        self.reader.command(&address, &text, parked.payload.clone())
    }

    /// Executes a command as often as it takes.
    async fn execute(&self, command: &Command, length: &AtomicUsize, term: &mut watch::Receiver<bool>) -> End {
        let mut tries = Tries::default();
        let mut seen = self.outcomes.load(Ordering::Relaxed);
        loop {
            let failure = match self.attempt(command).await {
                Reply::Error(failure) => failure,
                ok @ Reply::Ok(_) => {
                    self.outcomes.fetch_add(1, Ordering::Relaxed);
                    return End::Outcome(ok);
                }
            };
            // Others were served since the last try, or nobody else can be since this aggregate has taken
            // the room.
            let now = self.outcomes.load(Ordering::Relaxed);
            let alone = std::mem::replace(&mut seen, now) != now || length.load(Ordering::Relaxed) > HELD_MAX / 2;
            match tries.failed(&failure, alone, self.tries_max) {
                Next::Outcome => {
                    self.outcomes.fetch_add(1, Ordering::Relaxed);
                    return End::Outcome(Reply::Error(failure));
                }
                Next::GiveUp => return End::GivenUp(failure, tries),
                Next::Again(pause) => {
                    if rest(pause, term).await.is_err() {
                        return End::Abandoned;
                    }
                }
            }
        }
    }

    async fn attempt(&self, command: &Command) -> Reply {
        let (sender, reply) = oneshot::channel();
        let (request, responder) = (Request::Command(command.clone()), Box::new(Waiting(sender)));
        let job = Job { request, responder, arrived: Instant::now() };
        match self.entrance.submit(job) {
            Err(undelivered) => Reply::Error(undelivered.failure),
            Ok(()) => reply.await.unwrap_or_else(|_| {
                Reply::Error(Failure::new(Code::Timeout, "the shard ended without an answer").about(&command.id))
            }),
        }
    }

    /// What was parked last of an aggregate, if something is.
    async fn last_parked(&self, id: &AggregateId, term: &mut watch::Receiver<bool>) -> Result<Option<Parked>, Ended> {
        if !self.parked().contains(id) {
            return Ok(None);
        }
        let last = self.insist(term, || self.dead.last_of(id)).await?;
        if last.is_none() {
            self.parked().remove(id);
        }
        Ok(last)
    }

    async fn park(
        &self,
        delivered: &Delivered,
        command: &Command,
        why: &Why,
        term: &mut watch::Receiver<bool>,
    ) -> Result<(), Ended> {
        let original = Original {
            id: &command.id,
            verb: &command.verb,
            command_id: &command.command_id,
            subject: &delivered.message.subject,
            headers: delivered.message.headers.as_ref(),
            payload: delivered.message.payload.clone(),
            inbox: self.reader.inbox(),
            sequence: delivered.sequence,
        };
        // Known before it is so: whoever asks in between finds out the truth.
        self.parked().insert(command.id.clone());
        self.insist(term, || self.dead.park(&original, why)).await?;
        self.metrics.inbox_parked.add(1);
        Ok(())
    }

    /// Asks the stream of parked commands until it answers, or the term ends.
    async fn insist<T, F: Future<Output = Result<T, DeadError>>>(
        &self,
        term: &mut watch::Receiver<bool>,
        ask: impl Fn() -> F,
    ) -> Result<T, Ended> {
        let mut failures = 0;
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "durable command waits");
                    rest(pause(failures), term).await?;
                }
            }
        }
    }

    /// Publishes the outcome where the sender wants it.
    async fn answer(&self, headers: Option<&HeaderMap>, reply: &Reply) {
        let Some(target) = headers.and_then(|headers| headers.get(header::REPLY_TO)) else { return };
        let target = target.as_str();
        // A parked command may have been put there by somebody else.
        if !self.reader.may_answer(target) {
            return;
        }
        let sent = self.client.publish_with_headers(target.to_owned(), reply_headers(reply), reply.to_bytes()).await;
        if let Err(error) = sent {
            tracing::warn!(%error, "the outcome of a durable command was not sent");
        }
    }

    fn parked(&self) -> MutexGuard<'_, HashSet<AggregateId>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The term of the pin has ended.
struct Ended;

/// Pauses, if the term does not end meanwhile.
async fn rest(pause: Duration, term: &mut watch::Receiver<bool>) -> Result<(), Ended> {
    tokio::select! {
        () = tokio::time::sleep(pause) => Ok(()),
        _ = term.wait_for(|ended| *ended) => Err(Ended),
    }
}

/// Acknowledges, and waits until the server has it: the aggregate's next command must not begin
/// while this one could still be delivered to another host.
async fn acknowledged(message: &jetstream::Message, term: &mut watch::Receiver<bool>) -> bool {
    for failures in 1_u32.. {
        match message.double_ack().await {
            Ok(()) => return true,
            Err(error) if failures == UNCONFIRMED_TOLD => tracing::warn!(
                subject = message.subject.as_str(),
                %error,
                "the acknowledgement of a durable command is not confirmed: may this user publish to $JS.ACK.>? Until it is, its aggregate's next one waits"
            ),
            Err(error) => tracing::debug!(%error, "the acknowledgement of a durable command is not confirmed"),
        }
        if rest(pause(failures), term).await.is_err() {
            break;
        }
    }
    false
}

fn waits_behind(first: &Parked) -> Why {
    Why { code: None, reason: format!("waits behind the parked command {}", printable(&first.command_id)), tries: 0 }
}

/// Takes the reply to where it is waited for.
struct Waiting(oneshot::Sender<Reply>);

impl Responder for Waiting {
    fn respond(self: Box<Self>, reply: Reply, _after: Duration) -> BoxFuture<'static, ()> {
        // Nobody waits any more where the host stops.
        let _ = self.0.send(reply);
        futures::future::ready(()).boxed()
    }
}
