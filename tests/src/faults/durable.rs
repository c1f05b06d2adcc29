//! Commands sent through the durable lane: accepted by JetStream, the outcome published by whoever
//! executes them. It must not know hosts.

use std::time::Duration;

use anyhow::{Context, ensure};
use async_nats::{Client, Request, RequestErrorKind};
use futures::StreamExt;
use serde_json::{Value, json};

use super::answer::{Answer, PATIENCE};
use super::checker::{Rule, Violation};
use super::logged::DOMAINS;
use crate::eventually::{eventually, eventually_within};
use crate::message::Message;
use crate::nats::Nats;
use crate::reply::Reply;

/// Until the lane has come to its end: the server gives the pin of a dead host to another one after 30 s at
/// most, and a host pauses for 30 s at most between two tries.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

/// What became of one.
pub struct Submitted {
    /// Its place in the inbox, where JetStream has accepted it.
    pub accepted: Option<u64>,
    /// What its sender was told.
    pub answer: Answer,
}

/// Sends commands one after the other without waiting for outcomes in between, and then waits that long for
/// all of them. What comes after one whose acceptance is unknown is not sent.
pub async fn submit(client: &Client, commands: &[Message], patience: Duration) -> Vec<Submitted> {
    let target = client.new_inbox();
    let Ok(mut outcomes) = client.subscribe(format!("{target}.*")).await else { return Vec::new() };
    let mut all = Vec::new();
    for (number, command) in commands.iter().enumerate() {
        let submitted = accept(client, command, &format!("{target}.{number}")).await;
        let go_on = submitted.accepted.is_some();
        all.push(submitted);
        if !go_on {
            break;
        }
    }
    let gather = async {
        while all.iter().any(|one| one.accepted.is_some() && one.answer == Answer::Unknown) {
            let Some(message) = outcomes.next().await else { return };
            let number = message.subject.rsplit('.').next().and_then(|number| number.parse::<usize>().ok());
            let Some(one) = number.and_then(|number| all.get_mut(number)) else { continue };
            one.answer = Reply::parse(message).map_or_else(|error| Answer::Malformed(error.to_string()), Answer::of);
        }
    };
    // Who has no outcome by then does not know.
    let _ = tokio::time::timeout(patience, gather).await;
    all
}

async fn accept(client: &Client, command: &Message, target: &str) -> Submitted {
    let Message { subject, headers, payload } = command.clone().durable().header("Agent-Reply-To", target);
    let request = Request::new().headers(headers).payload(payload).timeout(Some(PATIENCE));
    let refused = || Answer::Refused { code: "not_accepted".into(), retryable: true };
    let (accepted, answer) = match client.send_request(subject, request).await {
        Ok(message) => match serde_json::from_slice::<Value>(&message.payload) {
            Ok(told) if told["error"].is_object() => (None, refused()),
            Ok(told) => (told["seq"].as_u64(), Answer::Unknown),
            Err(error) => (None, Answer::Malformed(format!("an acknowledgement that is no JSON: {error}"))),
        },
        Err(error) if error.kind() == RequestErrorKind::NoResponders => (None, refused()),
        Err(_) => (None, Answer::Unknown),
    };
    Submitted { accepted, answer }
}

/// Waits until nothing is left in any inbox, and looks at what is parked: nothing of these runs fails for good.
/// `unwritten`: what was acknowledged may still lie there, since a disk had no room to note its removal; nobody
/// gets it again.
pub async fn left(nats: &Nats, unwritten: bool) -> Vec<Violation> {
    let mut violations = Vec::new();
    for domain in DOMAINS.map(str::to_uppercase) {
        let empty = eventually_within(SETTLED_WITHIN, "the inbox is empty", async || {
            let consumer = format!("CONSUMER.INFO.{domain}_INBOX.agent-workers");
            let consumer = nats.jetstream_api(&consumer, &json!({})).await?;
            let open = |count: &str| consumer[count].as_u64().context("no count");
            let open = open("num_pending")? + open("num_ack_pending")?;
            let messages = nats.stream_messages(&format!("{domain}_INBOX")).await?;
            ensure!(open == 0 && (messages == 0 || unwritten), "{messages} are left, {open} of them open");
            Ok(())
        });
        let parked =
            eventually("what is parked is counted", async || nats.stream_messages(&format!("{domain}_DEAD")).await);
        let what = match (empty.await, parked.await) {
            (Ok(()), Ok(0)) => continue,
            (Ok(()), Ok(parked)) => format!("{parked} commands are parked"),
            (Err(error), _) | (_, Err(error)) => format!("{error:#}"),
        };
        violations.push(Violation { rule: Rule::AcceptedIsExecuted, what: format!("{domain}: {what}") });
    }
    violations
}
