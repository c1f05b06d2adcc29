//! What the service is held against, in a process of its own: each answers as little as what it
//! stands for allows. It must not know the host's own way.

mod append;
mod batch;
mod bytes;
mod keeper;
mod limit;
mod look;
mod native;
mod reload;

use std::path::PathBuf;

use ::bytes::Bytes;
use anyhow::{Context as _, Result, anyhow, bail};
use async_nats::{Client, HeaderMap, Message};
use futures::StreamExt as _;

use self::batch::Batches;
use self::bytes::PassedBytes;
use self::keeper::Keeper;
use self::limit::NoRules;
use self::look::Look;
use self::native::AgentRules;
use self::reload::Reload;
use crate::contender::Contender;
use crate::ground::connect;

/// Requests in work at once: more than any load here has in flight.
const IN_WORK_MAX: usize = 1_024;

/// Answers the requests of its domain until the process is killed.
pub(crate) async fn run(twin: Contender, nats_url: &str) -> Result<()> {
    let client = connect(nats_url).await?;
    match twin {
        Contender::Limit => serve(&client, twin, Keeper::new(&client, twin, NoRules::new()?)).await,
        Contender::Native => serve(&client, twin, Keeper::new(&client, twin, AgentRules)).await,
        Contender::Bytes => {
            let component = std::env::var_os("AGENT_COMPONENT").context("AGENT_COMPONENT is not set")?;
            let rules = PassedBytes::load(&PathBuf::from(component))?;
            serve(&client, twin, Keeper::new(&client, twin, rules)).await
        }
        Contender::Reload => serve(&client, twin, Reload::new(&client, twin)).await,
        Contender::Look => serve(&client, twin, Look::new(&client)?).await,
        Contender::Batch => serve(&client, twin, Batches::new(&client, twin)).await,
        Contender::Service => bail!("the service is no twin"),
    }
}

/// Someone who answers.
trait Answers {
    async fn answer(&self, request: &Request<'_>) -> Result<Answer>;
}

/// A request as it came.
struct Request<'a> {
    id: &'a str,
    verb: &'a str,
    command_id: &'a str,
    payload: &'a [u8],
}

/// What is replied.
struct Answer {
    status: &'static str,
    payload: Bytes,
}

/// An event to be stored.
#[derive(Clone)]
struct Fact {
    name: &'static str,
    payload: Bytes,
}

async fn serve(client: &Client, twin: Contender, answers: impl Answers) -> Result<()> {
    // Three tokens are commands and queries; events have four.
    let subject = format!("{}.*.*", twin.domain());
    let requests = client.queue_subscribe(subject, "agent-workers".to_owned()).await?;
    requests.for_each_concurrent(IN_WORK_MAX, |message| answer(client, &answers, message)).await;
    Err(anyhow!("the connection has ended"))
}

async fn answer(client: &Client, answers: &impl Answers, message: Message) {
    let Some(reply) = message.reply.clone() else { return };
    let answer = match read(&message) {
        Ok(request) => answers.answer(&request).await,
        Err(error) => Err(error),
    };
    let answer = answer
        .unwrap_or_else(|error| Answer { status: "unavailable", payload: format!("{error:#}").into_bytes().into() });
    let mut headers = HeaderMap::new();
    headers.insert("Agent-Status", answer.status);
    // Where the reply cannot be sent, the load sees a timeout and says so.
    let _ = client.publish_with_headers(reply, headers, answer.payload).await;
}

fn read(message: &Message) -> Result<Request<'_>> {
    let id = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id"));
    Ok(Request {
        id: crate::sample_agent::id_in(&message.payload).context("the payload does not begin with an id")?,
        verb: message.subject.rsplit('.').next().unwrap_or_default(),
        command_id: id.context("the request has no id")?.as_str(),
        payload: &message.payload,
    })
}

/// The reply to a command whose events were stored, the last of them as this version at this
/// sequence: as long as the service's.
fn accepted(id: &str, facts: &[Fact], version: u64, sequence: u64) -> Answer {
    let before = facts.len() as u64 - 1;
    let events: Vec<String> = (version - before..)
        .zip(sequence - before..)
        .zip(facts)
        .map(|((version, sequence), fact)| {
            format!(r#"{{"type":"{}","version":{version},"sequence":{sequence}}}"#, fact.name)
        })
        .collect();
    let events = events.join(",");
    let text = format!(r#"{{"status":"ok","id":"{id}","version":{version},"duplicate":false,"events":[{events}]}}"#);
    Answer { status: "ok", payload: text.into_bytes().into() }
}
