//! A command that was sent and what its sender was told, attempt by attempt. It must not know what
//! is stored.

use std::time::Duration;

use async_nats::{Client, Request, RequestErrorKind};

use crate::message::Message;
use crate::reply::Reply;

/// How long a sender waits that wants to know: longer than the host does for JetStream in these runs,
/// so that an honest `timeout` can still come.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// One event that a reply names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// Its name.
    pub name: String,
    /// The aggregate's version with it.
    pub version: u64,
    /// Where it stands.
    pub sequence: u64,
}

/// What a sender was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done: the version, and the events stored.
    Ok {
        /// The aggregate's version after the command.
        version: u64,
        /// What it stored.
        events: Vec<Stated>,
    },
    /// Not done, and nothing stored.
    Refused {
        /// The code, or `no_responders`.
        code: String,
        /// Whether it may be sent again as it is.
        retryable: bool,
    },
    /// Nobody knows: silence, or `timeout`.
    Unknown,
    /// An answer that is not in the contract's shape.
    Malformed(String),
}

/// How a command goes to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As a request.
    Request,
    /// Through the durable lane; with its place in the inbox, where that was acknowledged.
    Durable {
        /// The place.
        accepted: Option<u64>,
    },
}

/// One command.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The domain it went to.
    pub domain: &'static str,
    /// The aggregate.
    pub aggregate: String,
    /// Its id, the same in all attempts.
    pub command_id: String,
    /// What was sent.
    pub message: Message,
    /// How it went at first; again it is asked for without the durable lane.
    pub way: Way,
    /// The answers while things broke, one per attempt.
    pub answers: Vec<Answer>,
    /// The answer afterwards, where it was asked for again.
    pub again: Option<Answer>,
}

impl Sent {
    /// Its place in the inbox, where JetStream has accepted it.
    pub fn accepted(&self) -> Option<u64> {
        match self.way {
            Way::Request => None,
            Way::Durable { accepted } => accepted,
        }
    }
}

impl Answer {
    /// Whether asking again can tell more.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Unknown | Self::Refused { retryable: true, .. })
    }

    /// What a reply says.
    pub(super) fn of(reply: Reply) -> Self {
        Self::read(reply).unwrap_or_else(|error| Self::Malformed(format!("{error:#}")))
    }

    fn read(reply: Reply) -> anyhow::Result<Self> {
        if reply.body["status"] == "ok" {
            let reply = reply.ok()?;
            let events = reply.events()?.iter().map(|event| {
                let number = |field: &str| event[field].as_u64().unwrap_or_default();
                let name = event["type"].as_str().unwrap_or_default().to_owned();
                Stated { name, version: number("version"), sequence: number("sequence") }
            });
            return Ok(Self::Ok { version: reply.version()?, events: events.collect() });
        }
        let code = reply.body["code"].as_str().unwrap_or_default().to_owned();
        let reply = reply.error(&code)?;
        let retryable = reply.body["retryable"] == true;
        Ok(if code == "timeout" { Self::Unknown } else { Self::Refused { code, retryable } })
    }
}

/// Sends a command once, and waits that long.
pub async fn ask(client: &Client, message: &Message, patience: Duration) -> Answer {
    let request = Request::new().headers(message.headers.clone()).payload(message.payload.clone());
    let asked = client.send_request(message.subject.clone(), request.timeout(Some(patience)));
    match asked.await {
        Ok(message) => Reply::parse(message).map_or_else(|error| Answer::Malformed(error.to_string()), Answer::of),
        Err(error) if error.kind() == RequestErrorKind::NoResponders => {
            Answer::Refused { code: "no_responders".into(), retryable: true }
        }
        Err(_) => Answer::Unknown,
    }
}
