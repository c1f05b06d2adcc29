//! Several clients at once, each sending one command after the other and keeping count of the
//! answers. It must not know what happens to the service meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::nats_client::NatsClient;
use crate::poll::{self, PATIENCE};

/// Enough that commands are under way at any moment.
pub(crate) const CLIENTS: usize = 4;

/// Most commands of a client: a load that nobody stops comes to its end.
const COMMANDS_MAX: u64 = 5_000;

/// Between two commands of a client: some hundred a second in all, few enough to be listed.
const PAUSE: Duration = Duration::from_millis(5);

/// Clients at work. Dropped, it stops them.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Result<Counter>>>,
}

/// A counter, and what its client knows of it.
pub(crate) struct Counter {
    pub(crate) id: String,
    /// How often it was incremented, each time with an answer that said so.
    pub(crate) increments: u64,
}

impl Load {
    /// Starts the clients, each with a counter of its own.
    pub(crate) fn start(url: &str) -> Result<Self> {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut load = Self { stop: Arc::clone(&stop), answered: Arc::clone(&answered), clients: Vec::new() };
        for number in 1..=CLIENTS {
            let client = NatsClient::connect(url)?;
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            load.clients.push(thread::spawn(move || increment(client, format!("client-{number}"), &stop, &answered)));
        }
        Ok(load)
    }

    /// Waits until so many more commands than by now are answered.
    pub(crate) fn wait_for_more(&self, more: usize) -> Result<()> {
        let wanted = self.answered.load(Ordering::Relaxed) + more;
        let enough = poll::until(PATIENCE, || {
            // A client that has ended has met an answer that it did not want, which the end tells.
            let ended = self.clients.iter().any(JoinHandle::is_finished);
            Ok((ended || self.answered.load(Ordering::Relaxed) >= wanted).then_some(()))
        })?;
        enough.with_context(|| format!("{more} commands were not answered within {PATIENCE:?}"))
    }

    /// Stops the clients; fails if one of them had another answer than `ok` at the next version.
    pub(crate) fn finish(mut self) -> Result<Vec<Counter>> {
        self.stop.store(true, Ordering::Relaxed);
        let clients = std::mem::take(&mut self.clients);
        clients.into_iter().map(|client| client.join().map_err(|_| anyhow!("a client has panicked"))?).collect()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn increment(mut client: NatsClient, id: String, stop: &AtomicBool, answered: &AtomicUsize) -> Result<Counter> {
    let command = json!({"counter_id": id, "by": 1}).to_string();
    let mut increments = 0;
    while !stop.load(Ordering::Relaxed) && increments < COMMANDS_MAX {
        let answer = client.request("counter.commands.increment", command.as_bytes(), PATIENCE)?;
        let answer = answer.with_context(|| format!("command {} of {id} was not answered", increments + 1))?;
        let answer: Value = serde_json::from_slice(&answer.payload).context("an answer that is no JSON")?;
        increments += 1;
        if answer["status"] != "ok" || answer["version"] != increments {
            bail!("command {increments} of {id} was to be answered with ok at that version, but was with {answer}");
        }
        answered.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PAUSE);
    }
    Ok(Counter { id, increments })
}
