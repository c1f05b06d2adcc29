//! What clients ask and what they are answered, as values. Knows the wire's JSON, not the
//! wire: no subjects, no headers, no connection.

use std::num::NonZeroU64;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::clock::Timestamp;
use crate::name::{AggregateId, Name};

/// A wish, addressed to one aggregate.
#[derive(Debug, Clone)]
pub struct Command {
    /// The aggregate.
    pub id: AggregateId,
    /// What to do.
    pub verb: Name,
    /// A JSON object, checked to be one.
    pub payload: Bytes,
    /// The command's id, the client's or made by the host.
    pub command_id: String,
    /// Execute only at this version.
    pub expected_version: Option<u64>,
    /// Ties together the messages of one undertaking.
    pub correlation_id: Option<String>,
    /// Who sends it, as the client claims.
    pub actor: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// What tracing systems keep beside it; none without it.
    pub tracestate: Option<String>,
}

impl Command {
    /// The correlation id: the client's, or the command's own id.
    pub fn correlation(&self) -> &str {
        self.correlation_id.as_deref().unwrap_or(&self.command_id)
    }
}

/// A question about one aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// The state now, or at a version.
    State {
        /// The aggregate.
        id: AggregateId,
        /// At which version; the last where missing.
        at_version: Option<u64>,
    },
    /// The events, paged by version.
    History {
        /// The aggregate.
        id: AggregateId,
        /// Events after this version.
        after: u64,
        /// At most so many.
        limit: usize,
    },
}

impl Query {
    /// The aggregate asked about.
    pub fn id(&self) -> &AggregateId {
        match self {
            Self::State { id, .. } | Self::History { id, .. } => id,
        }
    }
}

/// What a client asks.
#[derive(Debug, Clone)]
pub enum Request {
    /// To do something.
    Command(Command),
    /// To know something.
    Query(Query),
}

impl Request {
    /// The aggregate it is about.
    pub fn id(&self) -> &AggregateId {
        match self {
            Self::Command(command) => &command.id,
            Self::Query(query) => query.id(),
        }
    }
}

/// The answer to a request.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Reply {
    /// It was done, or this is what was asked.
    Ok(Outcome),
    /// It was not done.
    Error(Failure),
}

impl Reply {
    /// `ok` or the error code: the value of the header `Agent-Status`.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Error(failure) => failure.code.as_str(),
        }
    }

    /// The reply's JSON.
    pub fn to_bytes(&self) -> Bytes {
        // Serialising these types cannot fail: every map key is a string.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        Self::Error(failure)
    }
}

/// What a request came to.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// A command was accepted.
    Accepted {
        /// The aggregate.
        id: AggregateId,
        /// Its version after the command.
        version: u64,
        /// Whether this is the outcome of an earlier delivery of the same command.
        duplicate: bool,
        /// The events it led to.
        events: Vec<Recorded>,
    },
    /// The state of an aggregate.
    State {
        /// The aggregate.
        id: AggregateId,
        /// The version the state is of.
        version: u64,
        /// The plugin's view.
        state: Box<RawValue>,
    },
    /// A page of an aggregate's history.
    History {
        /// The aggregate.
        id: AggregateId,
        /// The events in order.
        events: Vec<HistoryEvent>,
        /// The version to ask after for the next page, `None` at the end.
        next: Option<u64>,
    },
}

/// An event in a command's reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// The event's name.
    #[serde(rename = "type")]
    pub name: Name,
    /// The aggregate's version with it.
    pub version: u64,
    /// Its position in the stream.
    pub sequence: u64,
}

/// An event in a history.
#[derive(Debug, Serialize)]
pub struct HistoryEvent {
    /// The event's name.
    #[serde(rename = "type")]
    pub name: Name,
    /// The aggregate's version with it.
    pub version: u64,
    /// Its position in the stream.
    pub sequence: u64,
    /// When it was decided.
    pub time: Timestamp,
    /// Its payload.
    pub data: Box<RawValue>,
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What kind of failure.
    pub code: Code,
    /// The domain's stable token, for rejections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// In words: what happened and what to do.
    pub message: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// The field at fault, for invalid requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The aggregate, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<AggregateId>,
    /// Its version, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Whether the host can mend the cause by itself and try once more before it answers.
    #[serde(skip)]
    pub mendable: bool,
    /// Whether the plugin failed at one of several events, of which it is not known at which.
    #[serde(skip)]
    pub unlocated: bool,
    /// The activation that this host must go on to before it can answer.
    #[serde(skip)]
    pub awaits: Option<NonZeroU64>,
}

impl Failure {
    /// A failure of this code, with the code's own answer to whether to try again.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: None,
            message: message.into(),
            retryable: code.retryable(),
            field: None,
            id: None,
            version: None,
            mendable: false,
            unlocated: false,
            awaits: None,
        }
    }

    /// An invalid request, with the field at fault (empty for the whole).
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        // People read the message alone, so it names the field as well.
        let message = if message.contains(field) { message } else { format!("`{field}`: {message}") };
        Self { field: (!field.is_empty()).then(|| field.to_owned()), ..Self::new(Code::Invalid, message) }
    }

    /// The same, about this aggregate at this version.
    #[must_use]
    pub fn of(self, id: &AggregateId, version: u64) -> Self {
        Self { id: Some(id.clone()), version: Some(version), ..self }
    }

    /// The same, about this aggregate.
    #[must_use]
    pub fn about(self, id: &AggregateId) -> Self {
        Self { id: Some(id.clone()), ..self }
    }
}

/// The kinds of failure. Every one but [`Code::Timeout`] promises that nothing of the
/// attempt was stored or will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request itself is at fault.
    Invalid,
    /// The domain refused.
    Rejected,
    /// A query for an aggregate without events.
    NotFound,
    /// A query for a version whose events retention has removed.
    Expired,
    /// The expected version did not hold, or writers kept colliding.
    Conflict,
    /// The host's bounded queues are full.
    Overloaded,
    /// The plugin trapped, overran a limit or broke its contract.
    PluginFailed,
    /// JetStream cannot be reached, state is in doubt, or the host is stopping.
    Unavailable,
    /// The outcome is not known in time.
    Timeout,
}

impl Code {
    /// All codes, in the order of the contract.
    pub const ALL: [Self; 9] = [
        Self::Invalid,
        Self::Rejected,
        Self::NotFound,
        Self::Expired,
        Self::Conflict,
        Self::Overloaded,
        Self::PluginFailed,
        Self::Unavailable,
        Self::Timeout,
    ];

    /// The code on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Rejected => "rejected",
            Self::NotFound => "not_found",
            Self::Expired => "expired",
            Self::Conflict => "conflict",
            Self::Overloaded => "overloaded",
            Self::PluginFailed => "plugin_failed",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
        }
    }

    /// The HTTP status it is like.
    pub fn number(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Rejected => 422,
            Self::NotFound => 404,
            Self::Expired => 410,
            Self::Conflict => 409,
            Self::Overloaded => 429,
            Self::PluginFailed => 500,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }

    /// Whether the same request may succeed later; a conflict says so for itself.
    fn retryable(self) -> bool {
        matches!(self, Self::Overloaded | Self::Unavailable | Self::Timeout)
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for AggregateId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> AggregateId {
        AggregateId::new("a1").expect("an id")
    }

    #[test]
    fn replies_have_the_contracts_shape() {
        let name = Name::new("activated").expect("a name");
        let accepted = Reply::Ok(Outcome::Accepted {
            id: id(),
            version: 2,
            duplicate: false,
            events: vec![Recorded { name, version: 2, sequence: 41 }],
        });
        insta::assert_snapshot!(
            String::from_utf8_lossy(&accepted.to_bytes()),
            @r#"{"status":"ok","id":"a1","version":2,"duplicate":false,"events":[{"type":"activated","version":2,"sequence":41}]}"#
        );
        let rejected = Reply::Error(Failure {
            reason: Some("agent_decommissioned".into()),
            ..Failure::new(Code::Rejected, "agent is decommissioned").of(&id(), 5)
        });
        insta::assert_snapshot!(
            String::from_utf8_lossy(&rejected.to_bytes()),
            @r#"{"status":"error","code":"rejected","reason":"agent_decommissioned","message":"agent is decommissioned","retryable":false,"id":"a1","version":5}"#
        );
    }

    #[test]
    fn codes_read_as_on_the_wire() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).expect("json"), code.as_str());
        }
    }
}
