//! A steady stream of commands on many counters from several clients, with a record of when each
//! was answered, and the check that the log agrees. Lets time pass only to keep its pace, and must
//! not know what happens to the service meanwhile.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::HeaderMap;
use futures::future::try_join_all;
use tokio::time::{Instant, Interval, interval};
use uuid::Uuid;

use crate::counter::Counter;
use crate::eventually::PATIENCE;
use crate::nats::Nats;
use crate::stored::ensure_history;

/// Connections that share the load.
const CLIENTS: usize = 4;
/// Writers of each client, each with one command under way: enough that one slow answer does not
/// hold up the others.
const WRITERS_PER_CLIENT: usize = 16;

/// A command that was answered with `ok`.
#[derive(Debug)]
struct Answered {
    counter: usize,
    command_id: String,
    version: u64,
    /// From when it was due, so that what waits behind a slow one counts as slow as well.
    took: Duration,
}

/// Clients and the counters they write to.
pub struct Traffic {
    clients: Vec<async_nats::Client>,
    counters: Vec<Counter>,
    /// Commands per second, of all clients together.
    rate: u32,
    answered: RefCell<Vec<Answered>>,
}

impl Traffic {
    /// Connects the clients.
    pub async fn new(nats: &Nats, counters: usize, rate: u32) -> Result<Self> {
        let connect = (0..CLIENTS).map(|_| async_nats::connect(nats.url()));
        Ok(Self {
            clients: try_join_all(connect).await?,
            counters: (0..counters).map(|_| Counter::new()).collect(),
            rate,
            answered: RefCell::default(),
        })
    }

    /// Sends commands at its rate until `meanwhile` is done, and tells how soon they were answered.
    /// The first that is not answered, or not with `ok`, is an error.
    pub async fn during(&self, meanwhile: impl Future<Output = Result<()>>) -> Result<Latencies> {
        let first = self.answered.borrow().len();
        let done = RefCell::new(false);
        let writers = CLIENTS * WRITERS_PER_CLIENT;
        let period = Duration::from_secs(1) * u32::try_from(writers)? / self.rate;
        let writing = try_join_all((0..writers).map(|writer| {
            let done = &done;
            // All begin somewhere else, and meet at every counter.
            let start = writer * self.counters.len() / writers;
            let phase = period * u32::try_from(writer).unwrap_or_default() / u32::try_from(writers).unwrap_or(1);
            async move {
                let mut pace = tokio::time::interval_at(Instant::now() + phase, period);
                for at in start.. {
                    let due = pace.tick().await;
                    if *done.borrow() {
                        break;
                    }
                    self.send(writer, at % self.counters.len(), due).await?;
                }
                Ok(())
            }
        }));
        let finishing = async {
            let result = meanwhile.await;
            *done.borrow_mut() = true;
            result
        };
        tokio::try_join!(writing, finishing)?;
        Ok(Latencies::of(self.answered.borrow()[first..].iter().map(|answered| answered.took).collect()))
    }

    async fn send(&self, writer: usize, counter: usize, due: Instant) -> Result<()> {
        let message = self.counters[counter].increment(1);
        let command_id = Uuid::now_v7().to_string();
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", command_id.as_str());
        let client = &self.clients[writer % CLIENTS];
        let asked = client.request_with_headers(message.subject, headers, message.payload);
        let answer = tokio::time::timeout(PATIENCE, asked).await.context("a command has no answer")??;
        let body: serde_json::Value = serde_json::from_slice(&answer.payload)?;
        ensure!(body["status"] == "ok" && body["duplicate"] == false, "a command failed: {body}");
        let version = body["version"].as_u64().context("no version")?;
        self.answered.borrow_mut().push(Answered { counter, command_id, version, took: due.elapsed() });
        Ok(())
    }

    /// Every command stands in the log exactly once, at the version that was answered, and nothing
    /// else does. Returns how many there are.
    pub async fn ensure_log_agrees(&self, nats: &Nats) -> Result<usize> {
        let mut histories: HashMap<String, Vec<_>> = HashMap::new();
        for event in nats.stored_at_once("COUNTER_EVENTS").await? {
            let id = event.subject.split('.').nth(2).context("no id")?.to_owned();
            histories.entry(id).or_default().push(event);
        }
        let stored: usize = histories.values().map(Vec::len).sum();
        histories.values().try_for_each(|events| ensure_history(events))?;
        let answered = self.answered.borrow();
        for command in answered.iter() {
            let events = histories.get(&self.counters[command.counter].id).context("a counter without events")?;
            let event = events.get(usize::try_from(command.version)? - 1);
            let cause = event.with_context(|| format!("not in the log: {command:?}"))?.header("ce-causationid")?;
            ensure!(cause == command.command_id, "{command:?} is not at its version: {event:?}");
        }
        ensure!(stored == answered.len(), "{} answered, {stored} stored", answered.len());
        Ok(stored)
    }
}

/// A tick now and then every period after.
pub fn pace(period: Duration) -> Interval {
    interval(period)
}

/// How soon commands were answered.
pub struct Latencies {
    sorted: Vec<Duration>,
}

impl Latencies {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        Self { sorted: all }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// What 99 of 100 commands did not exceed.
    pub fn p99(&self) -> Duration {
        self.percentile(99)
    }

    fn percentile(&self, percent: usize) -> Duration {
        let at = self.sorted.len() * percent / 100;
        self.sorted.get(at).or(self.sorted.last()).copied().unwrap_or_default()
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let max = self.sorted.last().copied().unwrap_or_default();
        let (half, most) = (self.percentile(50), self.p99());
        write!(f, "{} commands, p50 {half:.1?}, p99 {most:.1?}, max {max:.1?}", self.count())
    }
}
