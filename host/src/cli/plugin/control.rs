//! Asks all hosts at once and gathers their answers. Nobody says how many there are, so that it
//! ends by time. Knows nothing of what is asked.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::{Message, StatusCode};
use futures::StreamExt;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::cli::CliError;
use crate::cli::client::Client;
use crate::nats::unless_refused;

/// How long hosts may take to tell what they have at hand: far more than any needs that is well.
const ROUND_MAX: Duration = Duration::from_secs(2);
/// How long after an answer another one is waited for: hosts answer at once, and the farthest of
/// them is a round trip away.
const QUIET_MAX: Duration = Duration::from_millis(300);
/// Most answers that are taken; far more hosts than share one NATS.
const ANSWERS_MAX: usize = 1_024;

/// When a round is over before its time is.
pub(super) enum Until<'a> {
    /// Nobody has answered for a while.
    Quiet,
    /// These hosts have answered.
    All(&'a BTreeSet<String>),
}

/// What every host answers within a short time.
pub(in crate::cli) async fn gather(client: &Client, subject: &str, request: &Value) -> Result<Vec<Value>, CliError> {
    ask(client, subject, request, ROUND_MAX, Until::Quiet).await
}

/// What these hosts answer within a short time; others are left out.
pub(super) async fn gather_from(
    client: &Client,
    subject: &str,
    request: &Value,
    hosts: &BTreeSet<String>,
) -> Result<Vec<Value>, CliError> {
    ask(client, subject, request, ROUND_MAX, Until::All(hosts)).await
}

/// What hosts answer within a time of the caller's.
pub(super) async fn ask(
    client: &Client,
    subject: &str,
    request: &Value,
    limit: Duration,
    until: Until<'_>,
) -> Result<Vec<Value>, CliError> {
    let answers = unless_refused(subject, answers(client, subject, request, limit, until)).await;
    answers.map_err(CliError::failed)?
}

async fn answers(
    client: &Client,
    subject: &str,
    request: &Value,
    limit: Duration,
    until: Until<'_>,
) -> Result<Vec<Value>, CliError> {
    let unavailable = |error: &dyn std::fmt::Display| CliError::Unavailable(format!("NATS: {error}"));
    let nats = client.nats();
    let inbox = nats.new_inbox();
    let mut messages = nats.subscribe(inbox.clone()).await.map_err(|error| unavailable(&error))?;
    let asked = nats.publish_with_reply(subject.to_owned(), inbox, request.to_string().into()).await;
    asked.map_err(|error| unavailable(&error))?;

    let end = Instant::now() + limit;
    let (mut answers, mut awaited) = (
        Vec::new(),
        match until {
            Until::All(hosts) => hosts.clone(),
            Until::Quiet => BTreeSet::new(),
        },
    );
    let quiet = matches!(until, Until::Quiet);
    let mut next_by = end;
    while answers.len() < ANSWERS_MAX && (quiet || !awaited.is_empty()) {
        let message = match timeout_at(next_by, messages.next()).await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(unavailable(&"the connection was closed")),
            Err(_) => break,
        };
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            break;
        }
        let Some((host, answer)) = read(&message) else { continue };
        if !quiet && !awaited.remove(&host) {
            continue;
        }
        answers.push(answer);
        if quiet {
            next_by = end.min(Instant::now() + QUIET_MAX);
        }
    }
    Ok(answers)
}

/// An answer with the host it is of; `None` for what is no host's, as a stream's acknowledgement.
fn read(message: &Message) -> Option<(String, Value)> {
    let answer: Value = serde_json::from_slice(&message.payload).ok()?;
    let host = answer.get("host")?.as_str()?.to_owned();
    Some((host, answer))
}
