//! Appends of several events that wait together, on a real server. Names the host's own library: what
//! shares a batch with what, and which of them is refused, cannot be chosen from outside. It must not
//! know how a batch is put together.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use agent_service::clock::Timestamp;
use agent_service::domain::{Author, DomainEvent};
use agent_service::event::{NewEvents, event_id};
use agent_service::name::{AggregateId, Name};
use agent_service::store::jetstream::{EventStream, Home, JetStreamEvents, OpenBatches, StreamLayout, StreamSettings};
use agent_service::store::{AppendError, Appended, EventStore};
use anyhow::{Result, ensure};
use async_nats::ConnectOptions;
use futures::future::join_all;
use tests::Nats;
use tests::stored::Stored;
use tokio::sync::{Notify, watch};
use xtask::nats_server::{NatsServer, find_version};

const STREAM: &str = "AGENT_EVENTS";
/// Events of each command.
const EVENTS: usize = 2;
/// How many messages JetStream takes in one batch.
const BATCH_MESSAGES_MAX: usize = 1_000;
/// The last version that misjudges batches of several aggregates (nats-server#8376).
const FAULTY: &str = "2.14.3";

struct Log {
    nats: Nats,
    events: JetStreamEvents,
}

impl Log {
    async fn new() -> Result<Self> {
        Self::on(Nats::start().await?, Duration::from_secs(30)).await
    }

    async fn on(nats: Nats, ack_timeout: Duration) -> Result<Self> {
        let settings =
            StreamSettings { name: STREAM.to_owned(), layout: StreamLayout::Split, replicas: 1, age_max: None };
        let home = Home {
            domain: domain(),
            stream: EventStream::open(&nats.jetstream(), &domain(), &settings).await?,
            js_domain: String::new(),
            ack_timeout,
            misplaced: watch::Sender::new(None),
            lost: Arc::new(Notify::new()),
            open_batches: OpenBatches::default(),
        };
        let events = JetStreamEvents::new(nats.client().clone(), nats.jetstream(), home);
        Ok(Self { nats, events })
    }

    /// Appends all of them at once.
    async fn append(&self, all: &[NewEvents]) -> Vec<Result<Appended, AppendError>> {
        join_all(all.iter().map(|new| self.events.append(new.clone()))).await
    }

    async fn stored(&self) -> Result<BTreeMap<u64, Stored>> {
        let stored = self.nats.stored_at_once(STREAM).await?;
        Ok(stored.into_iter().map(|event| (event.sequence, event)).collect())
    }
}

fn domain() -> Name {
    Name::new("agent").expect("a name")
}

fn command(aggregate: &str, expected_sequence: u64) -> NewEvents {
    let id = AggregateId::new(aggregate).expect("an id");
    let event = || DomainEvent { name: Name::new("changed").expect("a name"), payload: "{}".into() };
    NewEvents {
        event_ids: (0..EVENTS).map(|index| event_id(&domain(), &id, "command", index)).collect(),
        id,
        expected_sequence,
        first_version: 1,
        time: Timestamp(0),
        author: Author { plugin: "agent/1;sha256=0".into(), activation: 1 },
        command_id: "command".to_owned(),
        correlation_id: "command".to_owned(),
        actor: None,
        traceparent: None,
        tracestate: None,
        events: (0..EVENTS).map(|_| event()).collect(),
    }
}

fn commands(count: usize) -> Vec<NewEvents> {
    (0..count).map(|number| command(&format!("aggregate-{number:05}"), 0)).collect()
}

/// Every event of a command stands where its append said.
fn ensure_stored(new: &NewEvents, outcome: &Result<Appended, AppendError>, log: &BTreeMap<u64, Stored>) -> Result<()> {
    let Ok(Appended { first_sequence }) = outcome else { anyhow::bail!("{}: {outcome:?}", new.id) };
    for (sequence, event_id) in (*first_sequence..).zip(&new.event_ids) {
        let found = log.get(&sequence);
        let id = found.map(Stored::id).transpose()?;
        ensure!(id == Some(*event_id), "{} at {sequence}: {found:?}", new.id);
    }
    Ok(())
}

/// How many messages each batch has, by its id.
fn batches(log: &BTreeMap<u64, Stored>) -> Result<BTreeMap<&str, usize>> {
    let mut batches = BTreeMap::new();
    for event in log.values() {
        *batches.entry(event.header("Nats-Batch-Id")?).or_default() += 1;
    }
    Ok(batches)
}

#[tokio::test]
async fn commands_that_wait_share_batches_of_bounded_size_and_each_knows_its_sequences() -> Result<()> {
    let log = Log::new().await?;
    let all = commands(1_200);

    let outcomes = log.append(&all).await;

    let stored = log.stored().await?;
    ensure!(stored.len() == all.len() * EVENTS, "{} events", stored.len());
    for (new, outcome) in all.iter().zip(&outcomes) {
        ensure_stored(new, outcome, &stored)?;
    }
    let batches = batches(&stored)?;
    ensure!(batches.len() < all.len() / 10, "{} batches", batches.len());
    ensure!(batches.values().all(|messages| *messages <= BATCH_MESSAGES_MAX), "{batches:?}");
    // What the batch demanded of its judge is none of the event's own headers.
    ensure!(stored.values().all(|event| event.header("Nats-Required-Api-Level").is_err()));
    Ok(())
}

#[tokio::test]
async fn of_commands_in_one_batch_only_those_fail_that_are_the_reason() -> Result<()> {
    let log = Log::new().await?;
    let (written, again) = (command("written", 0), command("again", 0));
    let before = log.append(&[written.clone(), again.clone()]).await;
    let last_of_written = before[0].as_ref().map(|appended| appended.first_sequence + 1).map_err(Clone::clone)?;
    let last_of_again = before[1].as_ref().map(|appended| appended.first_sequence + 1).map_err(Clone::clone)?;
    let mut all = commands(60);
    // Expects what was true before the other one wrote, under ids of its own.
    let mut stale = command("written", 0);
    stale.event_ids = (0..EVENTS).map(|index| event_id(&domain(), &stale.id, "another", index)).collect();
    all.insert(20, stale);
    // Expects what is true, with events that are there.
    all.insert(40, NewEvents { expected_sequence: last_of_again, ..again });

    let outcomes = log.append(&all).await;

    let stored = log.stored().await?;
    ensure!(stored.len() == (60 + 2) * EVENTS, "{} events", stored.len());
    for (place, (new, outcome)) in all.iter().zip(&outcomes).enumerate() {
        match place {
            20 => ensure!(*outcome == Err(AppendError::Conflict { last: Some(last_of_written) }), "{outcome:?}"),
            40 => ensure!(*outcome == Err(AppendError::AlreadyStored), "{outcome:?}"),
            _ => ensure_stored(new, outcome, &stored)?,
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_aggregate_that_waits_twice_is_judged_twice() -> Result<()> {
    let log = Log::new().await?;
    let mut all = commands(20);
    let mut second = command("aggregate-00000", 0);
    second.event_ids = (0..EVENTS).map(|index| event_id(&domain(), &second.id, "another", index)).collect();
    all.push(second);

    let outcomes = log.append(&all).await;

    let stored = log.stored().await?;
    for (new, outcome) in all.iter().zip(&outcomes).take(20) {
        ensure_stored(new, outcome, &stored)?;
    }
    ensure!(matches!(outcomes[20], Err(AppendError::Conflict { .. })), "{:?}", outcomes[20]);
    ensure!(stored.len() == 20 * EVENTS, "{} events", stored.len());
    Ok(())
}

#[tokio::test]
async fn a_server_that_misjudges_shared_batches_gets_one_for_each_command() -> Result<()> {
    let server = NatsServer::builder().binary(find_version(FAULTY)?).start()?;
    let log = Log::on(Nats::connect(server, ConnectOptions::new()).await?, Duration::from_secs(30)).await?;
    let all = commands(60);

    let outcomes = log.append(&all).await;

    let stored = log.stored().await?;
    for (new, outcome) in all.iter().zip(&outcomes) {
        ensure_stored(new, outcome, &stored)?;
    }
    let batches = batches(&stored)?;
    ensure!(batches.len() == all.len() && batches.values().all(|messages| *messages == EVENTS), "{batches:?}");
    Ok(())
}

#[tokio::test]
async fn a_batch_without_an_answer_is_unknown_to_every_command_in_it() -> Result<()> {
    let log = Log::on(Nats::start().await?, Duration::from_millis(500)).await?;
    let first = command("first", 0);
    let outcomes = log.append(std::slice::from_ref(&first)).await;
    ensure_stored(&first, &outcomes[0], &log.stored().await?)?;
    let all = commands(60);

    log.nats.server()?.pause()?;
    let outcomes = log.append(&all).await;
    log.nats.server()?.resume()?;

    for outcome in &outcomes {
        ensure!(matches!(outcome, Err(AppendError::Unknown(_))), "{outcome:?}");
    }
    log.nats.client().flush().await?;
    let stored = log.stored().await?;
    let aggregates: HashSet<&str> = stored.values().map(|event| event.header("ce-subject")).collect::<Result<_>>()?;
    for aggregate in aggregates {
        let events = stored.values().filter(|event| event.header("ce-subject").ok() == Some(aggregate)).count();
        ensure!(events == EVENTS, "{aggregate} has {events} events");
    }
    Ok(())
}
