//! The append of one command's events: turned into messages, sent, acknowledged by the right stream.
//! Must not know why some of them share a batch.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_nats::HeaderName;
use async_nats::client::PublishErrorKind;

use super::ack::{self, Ack, Answered, not_atomic};
use super::acks::Surplus;
use super::batch::{self, Part};
use super::events::Inner;
use super::sharing::Demand;
use super::stream::{EventStream, find};
use super::{event_headers, read};
use crate::event::NewEvents;
use crate::name::header;
use crate::nats::{is_connected, unless_refused};
use crate::store::{AppendError, Appended};

const EXPECTED_SEQUENCE: HeaderName = HeaderName::from_static("Nats-Expected-Last-Subject-Sequence");
const EXPECTED_SUBJECT: HeaderName = HeaderName::from_static("Nats-Expected-Last-Subject-Sequence-Subject");
/// Headers of an event beside its payload, in bytes, for the check against `max_payload`.
const HEADERS_BYTES: usize = 4_096;

impl Inner {
    pub(super) async fn append(self: Arc<Self>, new: NewEvents) -> Result<Appended, AppendError> {
        self.may_append()?;
        if new.events.len() > 1 && !self.allows_batches().await {
            return Err(not_atomic());
        }
        let parts = self.parts(&new)?;
        #[cfg(feature = "sabotage")]
        if crate::sabotage::answers_before_the_ack() {
            return self.append_unheard(&new, parts).await;
        }
        match parts.len() {
            0 | 1 => self.store(&new, parts).await,
            _ => self.append_in_line(new, parts).await,
        }
    }

    /// Whether anything can be appended now.
    pub(super) fn may_append(&self) -> Result<(), AppendError> {
        if let Some(why) = &*self.misplaced.borrow() {
            return Err(AppendError::Unavailable(why.clone()));
        }
        match is_connected(&self.client) {
            true => Ok(()),
            false => Err(AppendError::Unavailable("NATS is not connected".into())),
        }
    }

    /// Stores the events of one command, by themselves.
    pub(super) async fn store(self: &Arc<Self>, new: &NewEvents, parts: Vec<Part>) -> Result<Appended, AppendError> {
        let count = parts.len();
        let ack = self.answer_to(parts, Demand::Nothing).await??;
        self.check_place(&ack)?;
        if ack.duplicate {
            return Err(self.recognise(new, ack.sequence).await);
        }
        Ok(Appended { first_sequence: ack.first_of(count)? })
    }

    #[cfg(feature = "sabotage")]
    async fn append_unheard(&self, new: &NewEvents, parts: Vec<Part>) -> Result<Appended, AppendError> {
        let last = batch::begin(&self.client, parts, Demand::Nothing).await.map_err(|error| ack::not_sent(&error))?;
        let Some(last) = last else { return Err(ack::no_events()) };
        let sent = self.client.publish_with_headers(last.subject, last.headers, last.payload).await;
        sent.map_err(|error| ack::not_sent(&error))?;
        Ok(Appended { first_sequence: new.expected_sequence + 1 })
    }

    /// Sends messages that are stored all or none, and waits for JetStream's answer; the outer error is
    /// that there is none.
    pub(super) async fn answer_to(self: &Arc<Self>, parts: Vec<Part>, demand: Demand) -> Result<Answered, AppendError> {
        // Without the last one nothing is stored.
        let last = parts.last().map(|part| part.subject.clone()).unwrap_or_default();
        let answer = async {
            let begun = batch::begin(&self.client, parts, demand).await;
            let last = begun.map_err(|error| ack::not_sent(&error))?;
            let Some(last) = last else { return Err(ack::no_events()) };
            self.answer_to_last(last).await
        };
        let answered = unless_refused(&last, answer).await;
        answered.unwrap_or_else(|refusal| Err(AppendError::Unavailable(refusal.to_string())))
    }

    /// Sends a message that JetStream is to acknowledge, and waits for its answer.
    async fn answer_to_last(self: &Arc<Self>, part: Part) -> Result<Answered, AppendError> {
        let Ok(acks) = self.acks().await else { return Err(self.connection_lost()) };
        let mut pending = acks.expect();
        let sent =
            self.client.publish_with_reply_and_headers(part.subject, pending.reply.clone(), part.headers, part.payload);
        match sent.await {
            Ok(()) => {}
            Err(error) if error.kind() == PublishErrorKind::Send => return Err(self.connection_lost()),
            Err(error) => return Err(ack::not_sent(&error)),
        }
        let answer = {
            let _timers = self.runtime.enter();
            tokio::time::timeout(self.ack_timeout, &mut pending.answer)
        };
        match answer.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => {
                self.connection_lost();
                Err(ack::overdue())
            }
            Err(_) => Err(ack::overdue()),
        }
    }

    /// The connection has ended for good, so nothing was sent.
    fn connection_lost(&self) -> AppendError {
        self.lost.notify_one();
        AppendError::Unavailable("the connection to NATS has ended".into())
    }

    /// What is done about an acknowledgement that nobody waits for.
    pub(super) fn noticing_surplus(self: &Arc<Self>) -> impl Fn(Surplus) + Send + 'static {
        let inner = Arc::downgrade(self);
        move |surplus| {
            let Some(inner) = inner.upgrade() else { return };
            let (answer, again) = match surplus {
                Surplus::Late(answer) => (answer, false),
                Surplus::Again(answer) => (answer, true),
            };
            // A refusal or a duplicate has stored nothing.
            let Ok(ack) = answer else { return };
            if ack.duplicate {
                return;
            }
            // Where it comes from another place, that stops the host whenever it comes.
            if inner.check_place(&ack).is_ok() && again {
                inner.stored_elsewhere(&format!(
                    "events were acknowledged twice, the second time by stream `{}` of JetStream domain `{}`",
                    ack.stream, ack.domain
                ));
            }
        }
    }

    /// The messages of the events, the first with the sequence that all of them expect.
    pub(super) fn parts(&self, new: &NewEvents) -> Result<Vec<Part>, AppendError> {
        let payload_bytes_max = self.client.max_payload().saturating_sub(HEADERS_BYTES);
        let mut parts = Vec::with_capacity(new.events.len());
        for (index, event) in new.events.iter().enumerate() {
            if event.payload.len() > payload_bytes_max {
                let size = event.payload.len();
                let why = format!(
                    "the event `{}` has {size} bytes, the server's max_payload lets through {payload_bytes_max}",
                    event.name
                );
                return Err(AppendError::Unstorable(why));
            }
            let mut headers = event_headers::write(&self.domain, &self.source, new, index);
            if index == 0 && states_expectation() {
                headers.insert(EXPECTED_SEQUENCE, new.expected_sequence.to_string());
                headers.insert(EXPECTED_SUBJECT, self.subjects.events_of(&new.id));
            }
            parts.push(Part {
                subject: self.subjects.event(&new.id, &event.name),
                headers,
                payload: event.payload.clone(),
            });
        }
        Ok(parts)
    }

    /// A second look where the stream did not allow batches: it may have been upgraded.
    async fn allows_batches(self: &Arc<Self>) -> bool {
        if self.atomic.load(Ordering::Relaxed) {
            return true;
        }
        let inner = Arc::clone(self);
        let look = self.runtime.spawn(async move { find(&inner.context, &inner.stream.name).await });
        let config = look.await.ok().and_then(Result::ok).flatten();
        let upgraded = config
            .and_then(|config| EventStream::adopt(&self.domain, &config).ok())
            .is_some_and(|stream| stream.atomic);
        self.atomic.store(upgraded, Ordering::Relaxed);
        upgraded
    }

    pub(super) fn check_place(&self, ack: &Ack) -> Result<(), AppendError> {
        if ack.stream == self.stream.name && ack.domain == self.js_domain {
            return Ok(());
        }
        Err(AppendError::Misplaced(self.stored_elsewhere(&format!(
            "events were stored by stream `{}` of JetStream domain `{}` instead of `{}` of `{}`",
            ack.stream, ack.domain, self.stream.name, self.js_domain
        ))))
    }

    /// No more is appended from here on; gives the words for it.
    fn stored_elsewhere(&self, what: &str) -> String {
        let why = format!(
            "{what}: a domain has one home, deny its events on the leaf link; this host stores no more events of it until it is restarted"
        );
        tracing::error!(domain = %self.domain, "{why}");
        // The first reason stays: what follows from it says less.
        self.misplaced.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert_with(|| why.clone());
            is_first
        });
        why
    }

    /// JetStream stored nothing since it knows the message id: it is well only if what is
    /// there is this very event.
    async fn recognise(self: &Arc<Self>, new: &NewEvents, sequence: u64) -> AppendError {
        let unknown = |why: String| {
            AppendError::Unknown(format!("JetStream takes the event for one it has at sequence {sequence}, {why}"))
        };
        let inner = Arc::clone(self);
        let message = match self.runtime.spawn(async move { read::at(&inner, sequence).await }).await {
            Ok(Ok(message)) => message,
            Ok(Err(error)) => return unknown(error.0),
            Err(_) => return unknown("and the service is stopping".into()),
        };
        let ours = message.is_some_and(|message| {
            let event_id = new.event_ids[0].to_string();
            message.headers.get(header::CE_ID).is_some_and(|id| id.as_str() == event_id)
                && message.subject.as_str() == self.subjects.event(&new.id, &new.events[0].name)
        });
        if ours { AppendError::AlreadyStored } else { unknown("which is another".into()) }
    }
}

/// Always; a build for tests can be told otherwise, so that it is seen what that does.
fn states_expectation() -> bool {
    #[cfg(feature = "sabotage")]
    return !crate::sabotage::skips_expected_sequence();
    #[cfg(not(feature = "sabotage"))]
    true
}
