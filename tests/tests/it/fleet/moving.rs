//! A fleet that moves on, back and on again under load, while one of its hosts dies and returns:
//! every command is done in the end, and the log shows that no aggregate was ever decided by older
//! code than before. It must not wait for the load to be idle.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use serde_json::json;
use tests::plugins::successor;
use tests::stored::{Stored, ensure_history};
use tests::{Counter, PATIENCE, eventually};
use uuid::Uuid;

use super::kit::{EVENTS, Fleet, decided, status};

/// How long a client waits for one reply. Short, so that what a killed host has taken along does
/// not stop its clients for long.
const REPLY_PATIENCE: Duration = Duration::from_secs(3);
/// Events between two steps of the fleet: enough that every host has its share of them.
const STEP: u64 = 60;

/// Clients that send one command after the other to a few counters until they are told to stop.
struct Load<'a> {
    fleet: &'a Fleet,
    counters: Vec<Counter>,
    stop: AtomicBool,
    /// Commands that are done, by their ids, with the counter's place and the version.
    done: Mutex<HashMap<String, (usize, u64)>>,
}

impl<'a> Load<'a> {
    fn new(fleet: &'a Fleet, counters: usize) -> Self {
        let counters = (0..counters).map(|_| Counter::new()).collect();
        Self { fleet, counters, stop: AtomicBool::new(false), done: Mutex::default() }
    }

    /// Two clients per counter, until told to stop.
    async fn run(&self) -> Result<()> {
        let clients = (0..self.counters.len() * 2).map(|client| self.client(client / 2));
        try_join_all(clients).await.map(drop)
    }

    async fn client(&self, place: usize) -> Result<()> {
        while !self.stop.load(Ordering::SeqCst) {
            let id = Uuid::now_v7().to_string();
            let version = self.send(place, &id).await?;
            self.done.lock().expect("no test has panicked").insert(id, (place, version));
        }
        Ok(())
    }

    /// Sends one command until it is done, always under the same id.
    async fn send(&self, place: usize, id: &str) -> Result<u64> {
        let begun = Instant::now();
        loop {
            let message = self.counters[place].increment(1).msg_id(id);
            let why = match self.fleet.nats.try_ask(message, REPLY_PATIENCE).await {
                Ok(Some(reply)) if reply.body["status"] == "ok" => return reply.ok()?.version(),
                Ok(Some(reply)) => {
                    ensure!(reply.body["retryable"] == true, "a command failed: {}", reply.body);
                    reply.body.to_string()
                }
                Ok(None) => "nobody serves the domain".to_owned(),
                Err(error) => error.to_string(),
            };
            if begun.elapsed() > 2 * PATIENCE {
                bail!("a command is never done: {why}");
            }
        }
    }

    /// Waits until the load has got on.
    async fn step(&self) -> Result<()> {
        let before = self.fleet.nats.stream_messages(EVENTS).await.unwrap_or_default();
        eventually("the load gets on", async || {
            ensure!(self.fleet.nats.stream_messages(EVENTS).await? >= before + STEP, "not yet");
            Ok(())
        })
        .await
    }

    /// What the log must show, whatever happened: all that is done stands in it once, and for each
    /// counter the numbers of the code that decided it never decrease.
    async fn ensure_log_agrees(&self) -> Result<HashSet<u64>> {
        let mut left = self.done.lock().expect("no test has panicked").clone();
        let mut digests: HashMap<u64, String> = HashMap::new();
        for (place, counter) in self.counters.iter().enumerate() {
            let events = self.fleet.nats.stored_in(EVENTS, &counter.events()).await?;
            ensure_history(&events)?;
            let mut last = 0;
            for event in &events {
                let id = event.header("ce-causationid")?;
                let done = left.remove(id).with_context(|| format!("not done, or stored twice: {event:?}"))?;
                ensure!(done == (place, event.version()?), "{done:?} is {event:?}");
                last = never_older(event, last, &mut digests)?;
            }
            ensure!(self.fleet.count(counter).await? == events.len() as u64);
        }
        ensure!(left.is_empty(), "done, and not in the log: {left:?}");
        Ok(digests.into_keys().collect())
    }
}

/// The number of the code that decided an event, after checking that it is not below the one
/// before and stands for one component alone.
fn never_older(event: &Stored, last: u64, digests: &mut HashMap<u64, String>) -> Result<u64> {
    let by = decided(event)?;
    ensure!(by.activation >= last, "activation {last} was here already: {event:?}");
    let known = digests.entry(by.activation).or_insert_with(|| by.digest.clone());
    ensure!(*known == by.digest, "activation {} is two components, {known} and {}", by.activation, by.digest);
    Ok(by.activation)
}

#[tokio::test]
async fn three_hosts_move_on_and_back_under_load_and_one_dies_and_returns() -> Result<()> {
    let (fleet, mut hosts) = Fleet::serving(3).await?;
    let load = Load::new(&fleet, 4);

    let moves = async {
        load.step().await?;
        let next = fleet.push(&successor("counter-refactored")?).await?;
        let shadow = json!({"digest": next, "share": 1.0, "for_ms": 60_000});
        for answer in fleet.ask_hosts("shadow", &shadow, 3).await? {
            ensure!(answer["status"] == "ok", "{answer}");
        }
        let compared = |list: &serde_json::Value| status(list)["shadow"]["compared"].as_u64() > Some(5);
        let lists = fleet.all_tell(3, "every host's shadow has seen something", compared).await?;
        ensure!(lists.iter().all(|list| status(list)["shadow"]["differing"] == 0), "{lists:#?}");

        let on = fleet.activate(next).await?;
        load.step().await?;
        fleet.all_live(3, &on).await?;
        hosts[0].kill().await?;
        load.step().await?;
        hosts[0] = fleet.host()?.spawn()?;
        fleet.all_live(3, &on).await?;
        load.step().await?;
        let back = fleet.roll_back().await?;
        load.step().await?;
        fleet.all_live(3, &back).await?;
        load.step().await?;
        let again = fleet.activate(next).await?;
        fleet.all_live(3, &again).await?;
        load.step().await?;
        load.stop.store(true, Ordering::SeqCst);
        Ok::<_, anyhow::Error>(again.activation)
    };
    let (last, ()) = futures::try_join!(moves, load.run())?;

    let activations = load.ensure_log_agrees().await?;
    ensure!(activations == (1..=last).collect(), "{activations:?}");
    Ok(())
}

#[tokio::test]
async fn swaps_in_a_row_under_load_leave_no_aggregate_to_older_code() -> Result<()> {
    let (fleet, _hosts) = Fleet::serving(2).await?;
    let components = [fleet.wanted().await?.digest, fleet.push(&successor("counter-refactored")?).await?];
    let load = Load::new(&fleet, 3);

    let moves = async {
        for turn in 1..=8 {
            fleet.activate(components[turn % 2]).await?;
            load.step().await?;
        }
        let wanted = fleet.wanted().await?;
        fleet.all_live(2, &wanted).await?;
        load.step().await?;
        load.stop.store(true, Ordering::SeqCst);
        Ok::<_, anyhow::Error>(wanted.activation)
    };
    let (last, ()) = futures::try_join!(moves, load.run())?;

    ensure!(load.ensure_log_agrees().await?.contains(&last));
    Ok(())
}
