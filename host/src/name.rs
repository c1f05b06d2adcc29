//! Names: domains, verbs, events, aggregate ids, and every subject, stream, bucket and
//! header string the service uses. Knows nothing of connections or of what travels.

mod inbox;

use std::fmt;
use std::sync::Arc;

pub use self::inbox::{dead_stream_of, inbox_stream_of, is_publishable};

/// Longest domain, verb or event name in bytes; keeps subjects short enough for every tool.
pub const NAME_BYTES_MAX: usize = 32;
/// Longest aggregate id in bytes.
pub const ID_BYTES_MAX: usize = 64;

/// The name under which hosts register with the NATS service API.
pub const SERVICE: &str = "agent-service";

/// The bucket where a fleet of hosts keeps its components.
pub const FLEET_PLUGINS_BUCKET: &str = "AGENT_SERVICE_PLUGINS";
/// The bucket that says what a fleet of hosts is to run.
pub const FLEET_WANTED_BUCKET: &str = "AGENT_SERVICE_WANTED";

/// Subjects by which operators talk to hosts. No domain begins like them: `-` is no part of a
/// domain's name.
pub mod control {
    use super::Name;

    /// All that is asked of hosts.
    pub const ALL: &str = "agent-service.control.*";
    /// What a host serves, has refused and denies.
    pub const LIST: &str = "agent-service.control.list";
    /// Let code that a host has go live, if it passes the gate.
    pub const ACTIVATE: &str = "agent-service.control.activate";
    /// Go back to what a host served before.
    pub const ROLLBACK: &str = "agent-service.control.rollback";
    /// Decide live commands with a candidate as well, and compare.
    pub const SHADOW: &str = "agent-service.control.shadow";
    /// What a host logs; tell, change, or go back to the settings.
    pub const LOG_LEVEL: &str = "agent-service.control.log_level";

    /// Where hosts tell what happened to a domain's plugin: `live`, `refused`, `rolled_back`,
    /// `retired`. Where no domain is known, its token is `_`.
    pub fn event(domain: Option<&Name>, what: &str) -> String {
        format!("agent-service.events.{}.{what}", domain.map_or("_", Name::as_str))
    }
}

/// Headers of requests, replies and events.
pub mod header {
    /// Outcome of a reply: `ok` or the error code. Tells a host's reply from a PubAck.
    pub const STATUS: &str = "Agent-Status";
    /// The version the aggregate must be at, else `conflict`.
    pub const EXPECTED_VERSION: &str = "Agent-Expected-Version";
    /// Ties together the messages of one undertaking.
    pub const CORRELATION_ID: &str = "Agent-Correlation-Id";
    /// Who sends the command, as the client claims.
    pub const ACTOR: &str = "Agent-Actor";
    /// Where the durable lane publishes the outcome.
    pub const REPLY_TO: &str = "Agent-Reply-To";
    /// On a message of the durable lane: try what is parked of its aggregate again.
    pub const RETRY: &str = "Agent-Dead-Retry";
    /// What all headers begin with that the durable lane adds to what it parks.
    pub const DEAD_PREFIX: &str = "Agent-Dead-";
    /// On a parked command: the code of the last failure; missing where it waits behind another.
    pub const DEAD_CODE: &str = "Agent-Dead-Code";
    /// On a parked command: why, in words.
    pub const DEAD_REASON: &str = "Agent-Dead-Reason";
    /// On a parked command: how often it was tried.
    pub const DEAD_TRIES: &str = "Agent-Dead-Tries";
    /// On a parked command: its id.
    pub const DEAD_COMMAND_ID: &str = "Agent-Dead-Command-Id";
    /// On a parked command: its sequence in the inbox.
    pub const DEAD_SEQUENCE: &str = "Agent-Dead-Sequence";
    /// On a parked command: the subject it was sent to.
    pub const DEAD_SUBJECT: &str = "Agent-Dead-Subject";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// What tracing systems keep beside it.
    pub const TRACESTATE: &str = "tracestate";
    /// The command's id on a command, the event's id on an event.
    pub const MESSAGE_ID: &str = "Nats-Msg-Id";
    /// Service API: the error in words.
    pub const SERVICE_ERROR: &str = "Nats-Service-Error";
    /// Service API: the error as a number like HTTP's.
    pub const SERVICE_ERROR_CODE: &str = "Nats-Service-Error-Code";

    /// CloudEvents version, always `1.0`.
    pub const CE_SPECVERSION: &str = "ce-specversion";
    /// CloudEvents id of the event.
    pub const CE_ID: &str = "ce-id";
    /// `<domain>.<event>`.
    pub const CE_TYPE: &str = "ce-type";
    /// `/<JetStream domain or local>/<stream>`.
    pub const CE_SOURCE: &str = "ce-source";
    /// The aggregate's id.
    pub const CE_SUBJECT: &str = "ce-subject";
    /// RFC 3339, UTC.
    pub const CE_TIME: &str = "ce-time";
    /// The aggregate's version, plain decimal.
    pub const CE_SEQUENCE: &str = "ce-sequence";
    /// The id of the command that caused the event.
    pub const CE_CAUSATION_ID: &str = "ce-causationid";
    /// The correlation id.
    pub const CE_CORRELATION_ID: &str = "ce-correlationid";
    /// The actor.
    pub const CE_ACTOR: &str = "ce-actor";
    /// `<name>/<version>;sha256=<hex>` of the component that decided the event.
    pub const CE_PLUGIN: &str = "ce-plugin";
    /// The activation number of that component.
    pub const CE_ACTIVATION: &str = "ce-activation";
    /// Media type of the payload.
    pub const CONTENT_TYPE: &str = "content-type";
}

/// A domain, verb or event name: `[a-z][a-z0-9_]{0,31}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// [`InvalidName`] where it has another shape.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let bytes = name.as_bytes();
        let shaped = bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.len() <= NAME_BYTES_MAX
            && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if shaped { Ok(Self(name.into())) } else { Err(InvalidName(printable(name))) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no domain, verb or event name.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no name: it takes a lower-case letter and up to 31 more of a-z, 0-9 and _")]
pub struct InvalidName(String);

/// An aggregate's id: 1 to 64 of `A-Z a-z 0-9 _ -`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AggregateId(Arc<str>);

impl AggregateId {
    /// Checks and wraps an id.
    ///
    /// # Errors
    /// [`InvalidId`] where it is empty, too long or has other characters.
    pub fn new(id: &str) -> Result<Self, InvalidId> {
        let shaped = (1..=ID_BYTES_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if shaped { Ok(Self(id.into())) } else { Err(InvalidId::Token(printable(id))) }
    }

    /// Checks and wraps an id of a domain whose ids look like `format`.
    ///
    /// # Errors
    /// [`InvalidId`] says what such an id looks like.
    pub fn of_format(id: &str, format: IdFormat) -> Result<Self, InvalidId> {
        let id = Self::new(id)?;
        match format {
            IdFormat::Uuid if !is_lower_case_uuid(id.as_str()) => Err(InvalidId::Uuid(printable(id.as_str()))),
            IdFormat::Uuid | IdFormat::Token => Ok(id),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AggregateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AggregateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the aggregate ids of a domain look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdFormat {
    /// 1 to 64 of `A-Z a-z 0-9 _ -`.
    Token,
    /// A lower-case hyphenated UUID.
    Uuid,
}

/// A text that is no aggregate id of its domain.
#[derive(Debug, thiserror::Error)]
pub enum InvalidId {
    /// Not even a token.
    #[error("`{0}` is no id: it takes 1 to 64 of A-Z, a-z, 0-9, _ and -")]
    Token(String),
    /// A token, where the domain takes UUIDs.
    #[error("`{0}` is no id of this domain: it takes a lower-case hyphenated UUID")]
    Uuid(String),
}

fn is_lower_case_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// A foreign text cut and cleaned for a message.
pub fn printable(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    let mut shown: String = text.chars().take(CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// The subjects of one domain.
#[derive(Debug, Clone)]
pub struct Subjects {
    domain: Name,
}

/// What a request subject asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// `<domain>.commands.[<id>.]<verb>`
    Command {
        /// The id, where the subject has it.
        id: Option<&'a str>,
        /// The verb, unchecked.
        verb: &'a str,
    },
    /// `<domain>.queries.[<id>.]<query>`
    Query {
        /// The id, where the subject has it.
        id: Option<&'a str>,
        /// The query's name, unchecked.
        query: &'a str,
    },
}

impl Subjects {
    /// The subjects of `domain`.
    pub fn new(domain: &Name) -> Self {
        Self { domain: domain.clone() }
    }

    /// Everything a host listens to for commands.
    pub fn commands(&self) -> String {
        format!("{}.commands.>", self.domain)
    }

    /// Everything a host listens to for queries.
    pub fn queries(&self) -> String {
        format!("{}.queries.>", self.domain)
    }

    /// All events of the domain.
    pub fn events(&self) -> String {
        format!("{}.events.>", self.domain)
    }

    /// All events of one aggregate.
    pub fn events_of(&self, id: &AggregateId) -> String {
        format!("{}.events.{}.*", self.domain, id)
    }

    /// One event's subject.
    pub fn event(&self, id: &AggregateId, event: &Name) -> String {
        format!("{}.events.{}.{}", self.domain, id, event)
    }

    /// A command's subject, with the id in it or without.
    pub fn command(&self, id: Option<&AggregateId>, verb: &Name) -> String {
        match id {
            Some(id) => format!("{}.commands.{}.{}", self.domain, id, verb),
            None => format!("{}.commands.{}", self.domain, verb),
        }
    }

    /// The subject of the query `state` or `history` of one aggregate.
    pub fn query(&self, id: &AggregateId, query: &str) -> String {
        format!("{}.queries.{}.{}", self.domain, id, query)
    }

    /// Whether a subject is one of the domain's events.
    pub fn is_event(&self, subject: &str) -> bool {
        subject.strip_prefix(self.domain.as_str()).is_some_and(|rest| rest.starts_with(".events."))
    }

    /// The event name in an event's subject: its last token, where there is one.
    pub fn event_name(subject: &str) -> Option<&str> {
        subject.splitn(4, '.').nth(3)
    }

    /// The aggregate id in an event's subject.
    pub fn event_aggregate(subject: &str) -> Option<&str> {
        subject.split('.').nth(2)
    }

    /// Reads a request's subject; `None` for one that has another shape.
    pub fn parse<'a>(&self, subject: &'a str) -> Option<Address<'a>> {
        match self.kind_and_address(subject)? {
            ("commands", id, verb) => Some(Address::Command { id, verb }),
            ("queries", id, query) => Some(Address::Query { id, query }),
            _ => None,
        }
    }

    /// The parts of `<domain>.<kind>.[<id>.]<last>`.
    fn kind_and_address<'a>(&self, subject: &'a str) -> Option<(&'a str, Option<&'a str>, &'a str)> {
        let rest = subject.strip_prefix(self.domain.as_str())?.strip_prefix('.')?;
        let mut tokens = rest.split('.');
        let kind = tokens.next()?;
        let (id, last) = match (tokens.next()?, tokens.next(), tokens.next()) {
            (last, None, None) => (None, last),
            (id, Some(last), None) => (Some(id), last),
            _ => return None,
        };
        Some((kind, id, last))
    }
}

/// Whether a reply subject could make the host's reply something else than a reply: it
/// reaches into the server's own subjects, is one that hosts and operators speak by, or lies under a
/// served domain.
pub fn abuses_reply<'a>(reply: &str, served: impl IntoIterator<Item = &'a Name>) -> bool {
    let first = reply.split('.').next().unwrap_or_default();
    reply.starts_with('$') || first == SERVICE || served.into_iter().any(|domain| domain.as_str() == first)
}

/// The stream of a domain's events where no setting names another: `<DOMAIN>_EVENTS`.
pub fn stream_of(domain: &Name) -> String {
    format!("{}_EVENTS", domain.as_str().to_ascii_uppercase())
}

/// The stream of a hub that gathers the events of that stream from all sites: `<stream>_ALL`.
pub fn gathered_stream_of(stream: &str) -> String {
    format!("{stream}_ALL")
}

/// The bucket of a domain's snapshots: `<DOMAIN>_SNAPSHOTS`.
pub fn snapshot_bucket_of(domain: &Name) -> String {
    format!("{}_SNAPSHOTS", domain.as_str().to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_shape() {
        for good in ["agent", "a", "go_offline", "a1", &"a".repeat(32)] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "_a", "Agent", "a-b", "a.b", "a b", "ä", &"a".repeat(33)] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_have_one_shape() {
        for good in ["A", "a-b_9", &"x".repeat(64)] {
            assert!(AggregateId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a.b", "a*", ">", "a b", "é", &"x".repeat(65)] {
            assert!(AggregateId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn uuids_are_lower_case_and_hyphenated() {
        let format = IdFormat::Uuid;
        assert!(AggregateId::of_format("0190a5d2-7c1e-7b8a-9f00-1234567890ab", format).is_ok());
        for bad in [
            "0190A5D2-7C1E-7B8A-9F00-1234567890AB",
            "0190a5d27c1e7b8a9f001234567890ab",
            "0190a5d2-7c1e-7b8a-9f00-1234567890ag",
            "agent-1",
        ] {
            assert!(AggregateId::of_format(bad, format).is_err(), "{bad}");
        }
    }

    #[test]
    fn subjects_are_read_back() {
        let subjects = Subjects::new(&Name::new("agent").expect("a name"));
        assert_eq!(subjects.parse("agent.commands.deploy"), Some(Address::Command { id: None, verb: "deploy" }));
        assert_eq!(
            subjects.parse("agent.commands.a1.deploy"),
            Some(Address::Command { id: Some("a1"), verb: "deploy" })
        );
        assert_eq!(subjects.parse("agent.queries.a1.state"), Some(Address::Query { id: Some("a1"), query: "state" }));
        for other in ["agent.commands", "agent.commands.a.b.c", "agents.commands.x", "agent.events.a.b"] {
            assert_eq!(subjects.parse(other), None, "{other}");
        }
    }

    #[test]
    fn replies_into_the_server_or_a_domain_are_abuse() {
        let served = [Name::new("agent").expect("a name")];
        for bad in
            ["$JS.API.STREAM.DELETE.X", "$KV.a.b", "agent.events.a.activated", "agent", "agent-service.events._.live"]
        {
            assert!(abuses_reply(bad, &served), "{bad}");
        }
        for good in ["_INBOX.abc.1", "agents.x", "my.agent.events"] {
            assert!(!abuses_reply(good, &served), "{good}");
        }
    }
}
