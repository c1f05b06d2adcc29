//! A client of the service: asks over NATS and waits for the host's answer. Knows the
//! contract's subjects and headers, not what is asked.

use std::time::Duration;

use async_nats::client::{PublishError, PublishErrorKind};
use async_nats::{Client as Nats, HeaderMap, HeaderValue, Message, StatusCode, Subscriber};
use bytes::Bytes;
use clap::Args;
use futures::StreamExt;

use super::CliError;
use super::reply::Reply;
use crate::config::Connection;
use crate::logging::Logging;
use crate::message::{Code, Failure};
use crate::name::{AggregateId, Name, header};
use crate::nats::{self, NatsError};
use crate::store::jetstream::{ServerError, ServerFacts, check_server};

/// Longest time that an answer may be waited for.
const REPLY_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);

/// How long to wait for an answer.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Patience {
    /// How long to wait for the reply: seconds, or a time like 500ms
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = reply_timeout)]
    reply_timeout: Duration,
}

/// What is asked.
pub(super) struct Question {
    /// The domain, for messages.
    pub(super) domain: Name,
    /// Where to.
    pub(super) subject: String,
    /// With what beside the payload; all values given by people.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The payload.
    pub(super) payload: Bytes,
    /// How long to wait.
    pub(super) patience: Patience,
    /// What to do where no answer comes.
    pub(super) remedy: String,
}

/// A connection to ask over.
pub(super) struct Client {
    nats: Nats,
    /// JetStream as the settings name it.
    pub(super) jetstream: async_nats::jetstream::Context,
}

impl Client {
    /// Connects as the settings say.
    pub(super) async fn connect(connection: &Connection) -> Result<Self, CliError> {
        connection.check().map_err(CliError::failed)?;
        let nats = nats::connect(connection, "agent-service command line").await.map_err(|error| match error {
            NatsError::Unreachable { .. } => CliError::Unavailable(error.to_string()),
            NatsError::Setting { .. } | NatsError::Certificates { .. } | NatsError::Refused { .. } => {
                CliError::failed(error)
            }
        })?;
        // From here on a lost connection or a missing permission is told as it happens.
        Logging::start("warn", crate::config::LogFormat::Text);
        Ok(Self { jetstream: nats::jetstream(nats.clone(), connection), nats })
    }

    /// Whether the server can do what the service needs.
    pub(super) async fn check_server(&self, connection: &Connection) -> Result<ServerFacts, CliError> {
        check_server(&self.nats, &self.jetstream, connection.js_domain()).await.map_err(|error| match error {
            ServerError::NoJetStream(_) | ServerError::NoDomain { .. } | ServerError::Silent(_) => {
                CliError::Unavailable(error.to_string())
            }
            ServerError::TooOld(_) | ServerError::Refused(_) => CliError::failed(error),
        })
    }

    /// The connection itself.
    pub(super) fn nats(&self) -> &Nats {
        &self.nats
    }

    /// Asks, and waits for the answer of a host.
    pub(super) async fn ask(&self, question: Question) -> Result<Reply, CliError> {
        let headers = match headers(&question.headers) {
            Ok(headers) => headers,
            Err(failure) => return Ok(failure.into()),
        };
        let unavailable = |error: &dyn std::fmt::Display| CliError::Unavailable(format!("NATS: {error}"));
        let inbox = self.nats.new_inbox();
        let mut answers = self.nats.subscribe(inbox.clone()).await.map_err(|error| unavailable(&error))?;
        let Question { domain, subject, payload, patience, remedy, .. } = question;
        let mut captured = false;
        let limit = patience.reply_timeout;
        let part = subject.clone();
        let asked = async {
            self.nats.publish_with_reply_and_headers(subject, inbox, headers, payload).await?;
            Ok(tokio::time::timeout(limit, answer(&mut answers, &mut captured)).await)
        };
        let answered: Result<_, PublishError> =
            nats::unless_refused(&part, asked).await.map_err(|refusal| CliError::Failed(refusal.to_string()))?;
        let answered = match answered {
            Ok(answered) => answered,
            Err(error) => {
                return match error.kind() {
                    PublishErrorKind::MaxPayloadExceeded => {
                        let max = self.nats.max_payload();
                        let why =
                            format!("it is larger than the {max} bytes that the NATS server takes in one message");
                        Ok(Failure::invalid("", why).into())
                    }
                    _ => Err(unavailable(&error)),
                };
            }
        };
        match answered {
            Ok(Some(Answer::Host(payload))) => Reply::read(payload),
            Ok(Some(Answer::Nobody)) => Ok(nobody(&domain).into()),
            Ok(None) => Err(unavailable(&"the connection was closed")),
            Err(_) => Ok(Failure::new(Code::Timeout, no_answer(&domain, limit, captured, &remedy)).into()),
        }
    }
}

enum Answer {
    Host(Bytes),
    Nobody,
}

/// The host's answer among what arrives; `None` where the connection is closed.
async fn answer(answers: &mut Subscriber, captured: &mut bool) -> Option<Answer> {
    loop {
        let message = answers.next().await?;
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Some(Answer::Nobody);
        }
        if is_of_a_host(&message) {
            return Some(Answer::Host(message.payload));
        }
        // A stream that captures commands acknowledges them, and that is no answer.
        *captured = true;
    }
}

fn is_of_a_host(message: &Message) -> bool {
    message.headers.as_ref().is_some_and(|headers| headers.get(header::STATUS).is_some())
}

/// Headers given by people.
pub(super) fn headers(given: &[(&'static str, String)]) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let value: HeaderValue =
            value.parse().map_err(|_| Failure::invalid("", format!("{name} is one line of text")))?;
        headers.insert(*name, value);
    }
    Ok(headers)
}

fn nobody(domain: &Name) -> Failure {
    let why = format!("nobody serves the domain {domain}: is agent-service running, and its plugin loaded?");
    Failure::new(Code::Unavailable, why)
}

fn no_answer(domain: &Name, limit: Duration, captured: bool, remedy: &str) -> String {
    let limit = humantime::format_duration(limit);
    let hint = if captured {
        format!("; a stream has stored the request, but does a host serve {domain}?")
    } else {
        String::new()
    };
    format!("no answer within {limit}: {remedy}{hint}")
}

/// A domain's or verb's name.
pub(super) fn name(text: &str) -> Result<Name, Failure> {
    Name::new(text).map_err(|error| Failure::invalid("", error.to_string()))
}

/// An aggregate's id.
pub(super) fn aggregate_id(text: &str) -> Result<AggregateId, Failure> {
    AggregateId::new(text).map_err(|error| Failure::invalid("id", error.to_string()))
}

fn reply_timeout(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match seconds.or_else(|| humantime::parse_duration(text).ok()) {
        Some(time) if !time.is_zero() && time <= REPLY_TIMEOUT_MAX => Ok(time),
        _ => Err("it takes seconds or a time like 500ms, above 0 and at most an hour".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_seconds_or_times() {
        assert_eq!(reply_timeout("2"), Ok(Duration::from_secs(2)));
        assert_eq!(reply_timeout("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(reply_timeout("500ms"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "soon", "2h", "NaN", "inf"] {
            assert!(reply_timeout(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_header_of_two_lines_is_invalid() {
        let failure = headers(&[(header::ACTOR, "a\r\nb".to_owned())]).expect_err("two lines");
        assert_eq!((failure.code, failure.message.as_str()), (Code::Invalid, "Agent-Actor is one line of text"));
    }
}
