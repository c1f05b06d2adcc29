//! The pin: which of all hosts the consumer delivers to, held by pulling in time. Whoever gains it
//! has everything unacknowledged delivered anew, in the stream's order. Knows nothing of commands.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::streams::{self, GROUP, HELD_MAX, InboxError, PIN_TIMEOUT, Standing};
use crate::nats::{Client, JetStream};

/// How long one pull lasts: the pin is held by the next one.
const PULL_TIME: Duration = Duration::from_secs(2);
/// How often the server says that a pull without messages stands.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// How long a pull may stay without its end.
const PULL_LOST: Duration = Duration::from_secs(3);
/// How long one waits for the pin before asking anew: a pin is certain from when it was asked for,
/// so that one that comes late must not be as good as over.
const WAIT_TIME: Duration = PULL_TIME;
/// What is taken off the pin's time, for clocks that do not run alike.
const MARGIN: Duration = Duration::from_secs(1);
/// The header that names the pin.
const PIN_ID: &str = "Nats-Pin-Id";

/// A host's place in the line for the pin, and the pin once it has it.
pub(super) struct Pin {
    client: Client,
    context: JetStream,
    standing: Standing,
    pulls: String,
    answers: Subscriber,
    /// The pull that stands.
    number: u64,
    sent: Instant,
    /// How many messages of it are still to come.
    left: usize,
    id: Option<String>,
    /// Until when the pin is certain to be ours.
    held_until: Instant,
}

/// What there is of the pin.
pub(super) enum Pulled {
    /// A message.
    Message(Box<jetstream::Message>),
    /// It is lost, or not known to be ours any more.
    Lost(InboxError),
}

impl Pin {
    /// Gets in line.
    pub(super) async fn open(context: &JetStream, standing: Standing) -> Result<Self, InboxError> {
        let client = context.client();
        let pulls = client.new_inbox();
        let answers = client
            .subscribe(format!("{pulls}.*"))
            .await
            .map_err(|error| InboxError::new(&standing.inbox, error.to_string()))?;
        let now = Instant::now();
        let context = context.clone();
        Ok(Self { client, context, standing, pulls, answers, number: 0, sent: now, left: 0, id: None, held_until: now })
    }

    /// Waits for the pin. Then everything that is not acknowledged will be delivered, in the order
    /// of the stream, whoever had it before.
    pub(super) async fn gain(&mut self) -> Result<(), InboxError> {
        loop {
            self.pull(1, WAIT_TIME).await?;
            let give_up = self.sent + WAIT_TIME + PULL_LOST;
            // One message comes with the pin. It is among those that are delivered anew.
            let first = tokio::time::timeout_at(give_up, self.first()).await;
            match first {
                Ok(Ok(Some(id))) => {
                    self.id = Some(id);
                    break;
                }
                Ok(Ok(None)) => self.free_what_nobody_holds().await?,
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(self.lost("the server does not answer")),
            }
        }
        self.extend();
        self.reset().await?;
        self.pull(HELD_MAX, PULL_TIME).await
    }

    /// Has delivered anew at once what a host had that is gone: the pin comes with a message, and
    /// there may be none that is not with that host until its time is up.
    async fn free_what_nobody_holds(&self) -> Result<(), InboxError> {
        let Standing { inbox, consumer, .. } = &self.standing;
        let info = streams::api(&self.context, format!("CONSUMER.INFO.{inbox}.{consumer}"), &json!({})).await;
        let info = info.map_err(|error| self.lost(&format!("nothing is known of its consumer {consumer}: {error}")))?;
        let delivered = info["num_ack_pending"].as_u64().unwrap_or_default();
        let pinned = |group: &Value| group["pinned_client_id"].as_str().is_some_and(|id| !id.is_empty());
        match info["priority_groups"].as_array() {
            Some(groups) if delivered > 0 && !groups.iter().any(pinned) => self.reset().await,
            _ => Ok(()),
        }
    }

    async fn reset(&self) -> Result<(), InboxError> {
        let Standing { inbox, consumer, .. } = &self.standing;
        let done = streams::api(&self.context, format!("CONSUMER.RESET.{inbox}.{consumer}"), &json!({})).await;
        done.map(drop).map_err(|error| {
            self.lost(&format!(
                "its consumer {consumer} cannot be reset, which needs nats-server 2.14 or newer: {error}"
            ))
        })
    }

    /// The pin's id by the message that it comes with; `None` where the time is up without one.
    async fn first(&mut self) -> Result<Option<String>, InboxError> {
        loop {
            let message = self.answers.next().await.ok_or_else(|| self.lost("the connection has ended"))?;
            match message.status {
                None => {
                    return Ok(Some(pin_id(message.headers.as_ref()).ok_or_else(|| self.lost("no pin was given"))?));
                }
                Some(StatusCode::IDLE_HEARTBEAT) => {}
                Some(StatusCode::TIMEOUT) => return Ok(None),
                Some(status) => return Err(self.refused(status, &message)),
            }
        }
    }

    /// The next message, for a host that holds so many. Can be dropped while it waits.
    pub(super) async fn next(&mut self, held: usize) -> Pulled {
        loop {
            // Without room, messages come one by one, so that the pin is held.
            let room = HELD_MAX.saturating_sub(held);
            if self.left == 0
                && (room > 0 || self.sent.elapsed() >= PULL_TIME)
                && let Err(error) = self.pull(room.max(1), PULL_TIME).await
            {
                return Pulled::Lost(error);
            }
            let due = if self.left == 0 { PULL_TIME } else { PULL_LOST };
            let message = match tokio::time::timeout_at(self.sent + due, self.answers.next()).await {
                Ok(Some(message)) => message,
                Ok(None) => return Pulled::Lost(self.lost("the connection has ended")),
                Err(_) if self.left == 0 => continue,
                Err(_) => return Pulled::Lost(self.lost("the server was silent for longer than a pull lasts")),
            };
            if !self.is_held() {
                return Pulled::Lost(self.lost("this host stood still for longer than the pin lasts"));
            }
            match message.status {
                None if pin_id(message.headers.as_ref()) != self.id => {
                    return Pulled::Lost(self.lost("another pin stands"));
                }
                None => {
                    self.left = self.left.saturating_sub(1);
                    self.extend();
                    return Pulled::Message(Box::new(jetstream::Message { message, context: self.context.clone() }));
                }
                // Of a pull before this one.
                Some(_) if !self.is_of_the_pull(&message) => {}
                Some(StatusCode::IDLE_HEARTBEAT) => self.extend(),
                Some(StatusCode::TIMEOUT) => {
                    self.extend();
                    self.left = 0;
                    // The next one is due, with room or without.
                    if let Err(error) = self.pull(room.max(1), PULL_TIME).await {
                        return Pulled::Lost(error);
                    }
                }
                Some(status) => return Pulled::Lost(self.refused(status, &message)),
            }
        }
    }

    /// The pull that stands was answered, so the server has extended the pin when it took it.
    fn extend(&mut self) {
        self.held_until = self.sent + PIN_TIMEOUT.saturating_sub(MARGIN);
    }

    /// Whether the pin is certain to be ours: the server extends it with every pull that it takes,
    /// so an answered pull proves it for its time from when the pull was sent.
    pub(super) fn is_held(&self) -> bool {
        self.id.is_some() && Instant::now() < self.held_until
    }

    /// Gives the pin to whoever waits for it.
    pub(super) async fn give_up(self) {
        if !self.is_held() {
            return;
        }
        let Standing { inbox, consumer, .. } = &self.standing;
        let request = json!({"group": GROUP});
        if let Err(error) = streams::api(&self.context, format!("CONSUMER.UNPIN.{inbox}.{consumer}"), &request).await {
            tracing::debug!(stream = inbox, %error, "the pin is not given up: it ends by itself");
        }
    }

    async fn pull(&mut self, batch: usize, time: Duration) -> Result<(), InboxError> {
        let Standing { inbox, consumer, .. } = &self.standing;
        let mut request = json!({
            "batch": batch,
            "expires": u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
            "idle_heartbeat": u64::try_from(HEARTBEAT.as_nanos()).unwrap_or(u64::MAX),
            "group": GROUP,
        });
        if let Some(id) = &self.id {
            request["id"] = Value::from(id.as_str());
        }
        self.number += 1;
        self.left = batch;
        self.sent = Instant::now();
        let reply = format!("{}.{}", self.pulls, self.number);
        let subject = format!("{}.CONSUMER.MSG.NEXT.{inbox}.{consumer}", self.standing.api_prefix);
        let sent = self.client.publish_with_reply(subject, reply, request.to_string().into()).await;
        sent.map_err(|error| self.lost(&error.to_string()))
    }

    fn is_of_the_pull(&self, message: &Message) -> bool {
        let number = message.subject.rsplit('.').next().and_then(|number| number.parse().ok());
        number == Some(self.number)
    }

    fn refused(&self, status: StatusCode, message: &Message) -> InboxError {
        let words = message.description.as_deref().unwrap_or("no description");
        self.lost(&format!("a pull ended with {status} {words}"))
    }

    fn lost(&self, why: &str) -> InboxError {
        InboxError::new(&self.standing.inbox, why)
    }
}

/// The pin's id: the server's header, which stands behind those that the message was sent with.
fn pin_id(headers: Option<&HeaderMap>) -> Option<String> {
    Some(headers?.get_last(PIN_ID)?.as_str().to_owned())
}
