//! Reads what was delivered: what it asks for, and of which aggregate. Knows nothing of what comes
//! of it.

use std::sync::Arc;

use async_nats::jetstream;
use bytes::Bytes;
use tokio::sync::watch;

use crate::domain::Description;
use crate::message::{Command, Failure, Request};
use crate::name::{Address, AggregateId, Name, Subjects, abuses_reply, header, inbox_stream_of, is_publishable};
use crate::request;

/// Reads the messages of one domain's inbox.
pub(super) struct Reader {
    subjects: Subjects,
    /// The inbox's stream.
    inbox: String,
    description: watch::Receiver<Arc<Description>>,
    served: watch::Receiver<Arc<[Name]>>,
    payload_bytes_max: usize,
}

/// A message of the inbox.
pub(super) struct Delivered {
    pub(super) message: jetstream::Message,
    pub(super) sequence: u64,
    pub(super) asked: Asked,
}

/// What a message asks for.
pub(super) enum Asked {
    /// To execute a command.
    Command(Command),
    /// To try again what is parked of an aggregate.
    Retry(AggregateId),
    /// Nothing that could be done.
    Invalid(Failure),
    /// Nothing that may be done: the reply would be more than a reply.
    Abuse,
}

impl Delivered {
    /// The aggregate, where it is known.
    pub(super) fn aggregate(&self) -> Option<&AggregateId> {
        match &self.asked {
            Asked::Command(command) => Some(&command.id),
            Asked::Retry(id) => Some(id),
            Asked::Invalid(_) | Asked::Abuse => None,
        }
    }
}

impl Reader {
    /// A reader for a domain as its live code describes it.
    pub(super) fn new(
        domain: &Name,
        description: watch::Receiver<Arc<Description>>,
        served: watch::Receiver<Arc<[Name]>>,
        payload_bytes_max: usize,
    ) -> Self {
        let (subjects, inbox) = (Subjects::new(domain), inbox_stream_of(domain));
        Self { subjects, inbox, description, served, payload_bytes_max }
    }

    /// The inbox's stream.
    pub(super) fn inbox(&self) -> &str {
        &self.inbox
    }

    /// Reads a message.
    ///
    /// # Errors
    /// In words, where it is none of a consumer's.
    pub(super) fn read(&self, message: jetstream::Message) -> Result<Delivered, String> {
        let sequence = message.info().map_err(|error| error.to_string())?.stream_sequence;
        let asked = self.asked(&message, sequence);
        Ok(Delivered { message, sequence, asked })
    }

    /// Reads a command.
    ///
    /// # Errors
    /// A [`Failure`] of code `invalid`.
    pub(super) fn command<'a>(
        &self,
        address: &Address<'_>,
        headers: &request::Headers<'a>,
        payload: Bytes,
    ) -> Result<Command, Failure> {
        let description = self.description.borrow();
        match request::read(address, headers, payload, &description, self.payload_bytes_max)? {
            Request::Command(command) => Ok(command),
            Request::Query(_) => Err(Failure::invalid("", "a query has no place in the inbox")),
        }
    }

    /// Whether an outcome may be published there, and would be nothing but that.
    pub(super) fn may_answer(&self, target: &str) -> bool {
        is_publishable(target) && !abuses_reply(target, self.served.borrow().iter())
    }

    fn asked(&self, message: &jetstream::Message, sequence: u64) -> Asked {
        let headers = message.headers.as_ref();
        let text = |name: &str| headers.and_then(|headers| headers.get(name)).map(async_nats::HeaderValue::as_str);
        if text(header::REPLY_TO).is_some_and(|target| !self.may_answer(target)) {
            return Asked::Abuse;
        }
        let Some(address) = self.subjects.parse_inbox(&message.subject) else {
            let why = "the subject has another shape than <domain>.inbox.[<id>.]<verb>";
            return Asked::Invalid(Failure::invalid("", why));
        };
        if text(header::RETRY).is_some()
            && let Address::Command { id: Some(id), .. } = address
        {
            return match AggregateId::new(id) {
                Ok(id) => Asked::Retry(id),
                Err(error) => Asked::Invalid(Failure::invalid("id", error.to_string())),
            };
        }
        let by_place = format!("{}:{sequence}", self.inbox);
        let text = |name: &str| match text(name) {
            None | Some("") if name == header::MESSAGE_ID => Some(by_place.as_str()),
            found => found,
        };
        match self.command(&address, &text, message.payload.clone()) {
            Ok(command) => Asked::Command(command),
            Err(failure) => Asked::Invalid(failure),
        }
    }
}
