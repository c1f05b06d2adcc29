//! Asks NATS, JetStream and the hosts for what the checks look at. Asks for nothing that changes
//! anything, and judges nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::Scope;
use super::facts::{Kept, Reached, Standing, Stood, Stream};
use super::heard::Heard;
use crate::config::{Connection, PluginSource, Service};
use crate::name::{
    FLEET_PLUGINS_BUCKET, FLEET_WANTED_BUCKET, Name, SERVICE, Subjects, control, dead_stream_of, inbox_stream_of,
    snapshot_bucket_of,
};
use crate::nats::{self, Client, JetStream};
use crate::store::jetstream::look;

/// How long hosts may take to answer, and how long after one another is waited for: as `plugin list`
/// has it.
const ROUND_MAX: Duration = Duration::from_secs(2);
const QUIET_MAX: Duration = Duration::from_millis(300);
/// Most answers that are taken.
const ANSWERS_MAX: usize = 1_024;

/// Connects and asks for everything.
pub(super) async fn all(
    connection: &Connection,
    service: &Service,
    scope: &Scope,
    of_plugins: &[Name],
) -> Result<Reached, String> {
    let (heard, listener) = Heard::new();
    let client = nats::connect_heard(connection, "agent-service doctor", listener).await;
    let client = client.map_err(|error| error.to_string())?;
    let context = nats::jetstream(client.clone(), connection);
    let round_trip = round_trip(&client).await?;
    let hosts = answers(&client, control::LIST, "host").await;
    let stats = answers(&client, &format!("$SRV.STATS.{SERVICE}"), "id").await;
    let domains = domains(scope, of_plugins, &hosts);
    let mut jetstream = jetstream(&context, service, domains).await;
    if let Ok(kept) = &mut jetstream {
        for stood in &mut kept.domains {
            stood.captured = captured(&context, &stood.domain).await;
        }
    }
    Ok(Reached { client, context, heard: Some(heard), round_trip, jetstream, hosts, stats })
}

/// What a host that has just started can see over its own connection.
pub(super) async fn at_start(
    client: Client,
    context: JetStream,
    service: &Service,
    domains: Vec<Name>,
) -> Result<Reached, String> {
    let round_trip = round_trip(&client).await?;
    let jetstream = jetstream(&context, service, domains).await;
    Ok(Reached { client, context, heard: None, round_trip, jetstream, hosts: Vec::new(), stats: Vec::new() })
}

/// A message of our own, there and back.
async fn round_trip(client: &Client) -> Result<Duration, String> {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
    // The first one pays for the subscription and may be late.
    let mut last = Err("no message of our own comes back: may this user publish and subscribe to _INBOX.>?".into());
    for _ in 0..2 {
        let sent = Instant::now();
        client.publish(inbox.clone(), Bytes::new()).await.map_err(|error| error.to_string())?;
        match timeout_at(sent + ROUND_MAX, answers.next()).await {
            Ok(Some(_)) => last = Ok(sent.elapsed()),
            Ok(None) | Err(_) => break,
        }
    }
    last
}

/// The domains that are looked at: those asked for, else those of plugins and of hosts.
fn domains(scope: &Scope, of_plugins: &[Name], hosts: &[Value]) -> Vec<Name> {
    if !scope.domains.is_empty() {
        return scope.domains.clone();
    }
    let served = hosts.iter().flat_map(|host| host["domains"].as_array().into_iter().flatten());
    let served = served.filter_map(|domain| Name::new(domain["domain"].as_str()?).ok());
    let mut found: Vec<Name> = served.chain(of_plugins.iter().cloned()).collect();
    if found.is_empty() {
        found.extend(Name::new(crate::config::AGENT_DOMAIN));
    }
    found.sort();
    found.dedup();
    found
}

async fn jetstream(context: &JetStream, service: &Service, domains: Vec<Name>) -> Result<Kept, look::LookError> {
    let account = look::account(context).await?;
    let mut stood = Vec::new();
    for domain in domains {
        stood.push(of_domain(context, service, domain).await);
    }
    let mut fleet = Vec::new();
    if service.plugin_source == PluginSource::Nats {
        for name in [format!("KV_{FLEET_WANTED_BUCKET}"), format!("OBJ_{FLEET_PLUGINS_BUCKET}")] {
            let stream = stream(context, &name).await;
            fleet.push((name, stream));
        }
    }
    Ok(Kept { account, domains: stood, fleet })
}

async fn of_domain(context: &JetStream, service: &Service, domain: Name) -> Stood {
    Stood {
        events: standing(context, service.stream_of(&domain)).await,
        snapshots: standing(context, format!("KV_{}", snapshot_bucket_of(&domain))).await,
        inbox: standing(context, inbox_stream_of(&domain)).await,
        dead: standing(context, dead_stream_of(&domain)).await,
        captured: BTreeMap::new(),
        domain,
    }
}

/// Which streams capture the domain's subjects. A host need not ask that, and may not be allowed to.
async fn captured(context: &JetStream, domain: &Name) -> BTreeMap<String, Option<Vec<String>>> {
    let subjects = Subjects::new(domain);
    let mut captured = BTreeMap::new();
    for subject in [subjects.events(), subjects.commands(), subjects.queries(), subjects.inbox(), subjects.dead()] {
        let names = look::capturing(context, &subject).await.ok();
        captured.insert(subject, names);
    }
    captured
}

async fn standing(context: &JetStream, name: String) -> Standing {
    Standing { stream: stream(context, &name).await, name }
}

async fn stream(context: &JetStream, name: &str) -> Stream {
    match look::stream(context, name).await {
        Ok(Some(info)) => Stream::Stands(info),
        Ok(None) => Stream::Missing,
        Err(error) => Stream::Unknown(error.to_string()),
    }
}

/// What hosts answer to a request within a short time, told apart by the field that names them.
/// Nobody says how many there are.
async fn answers(client: &Client, subject: &str, named_by: &str) -> Vec<Value> {
    let inbox = client.new_inbox();
    let Ok(mut messages) = client.subscribe(inbox.clone()).await else { return Vec::new() };
    if client.publish_with_reply(subject.to_owned(), inbox, Bytes::from_static(b"{}")).await.is_err() {
        return Vec::new();
    }
    let end = Instant::now() + ROUND_MAX;
    let (mut found, mut next_by) = (Vec::new(), end);
    while found.len() < ANSWERS_MAX {
        let Ok(Some(message)) = timeout_at(next_by, messages.next()).await else { break };
        if message.status.is_some() {
            // Nobody is there.
            break;
        }
        if let Ok(answer) = serde_json::from_slice::<Value>(&message.payload)
            && answer[named_by].is_string()
        {
            found.push(answer);
            next_by = end.min(Instant::now() + QUIET_MAX);
        }
    }
    found
}
