//! The durable lane of a domain: commands that JetStream has accepted, executed once a host is
//! there, in the order of their aggregate. One host of all is pinned to the consumer at a time.
//! Knows nothing of how a command is decided or stored.

pub mod dead;
mod depth;
mod lanes;
mod line;
mod pin;
mod reader;
mod streams;
mod tries;
mod unreadable;
mod work;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use self::dead::Dead;
pub use self::depth::{Depth, depth};
use self::lanes::{Begun, Lanes};
use self::line::Line;
use self::pin::{Pin, Pulled};
use self::reader::{Delivered, Reader};
use self::streams::{ACK_WAIT, InboxError, Making, UNACKNOWLEDGED_MAX};
pub use self::streams::{audit_dead, audit_inbox};
use self::tries::pause;
use self::work::Workshop;
use crate::config::Connection;
use crate::domain::Description;
use crate::metrics::Metrics;
use crate::name::{AggregateId, Name};
use crate::nats::{self, Client, JetStream};
use crate::shard::Entrance;

/// Room for headers beside a command's payload, in bytes.
const HEADERS_BYTES: usize = 16 << 10;
/// Room for what is added to a message that is parked, in bytes.
const PARKING_BYTES: usize = 8 << 10;
/// How often the server is told that messages are still in hand.
const KEEP_INTERVAL: Duration = Duration::from_secs(ACK_WAIT.as_secs() / 3);

/// What a domain's durable lane needs.
pub struct Inbox {
    /// The domain.
    pub domain: Name,
    /// The host's connection, over which outcomes are published and commands are parked.
    pub client: Client,
    /// JetStream over it.
    pub context: JetStream,
    /// How to get a connection of the lane's own, since a message that cannot be read ends the one
    /// that brings it.
    pub connection: Connection,
    /// The way to the shards.
    pub entrance: Entrance,
    /// What the live code says of the domain.
    pub description: watch::Receiver<Arc<Description>>,
    /// The domains this host serves, whose subjects no outcome may have.
    pub served: watch::Receiver<Arc<[Name]>>,
    /// Counters of the domain.
    pub metrics: Arc<Metrics>,
    /// The queue group, which is the consumer's name.
    pub queue_group: String,
    /// Servers that keep a stream that is made.
    pub replicas: usize,
    /// Largest payload in bytes.
    pub payload_bytes_max: usize,
    /// Tries of a command that the plugin fails.
    pub tries_max: u32,
    /// The host stops.
    pub stop: watch::Receiver<bool>,
    /// Events were stored where they do not belong, so the domain must not be served here.
    pub misplaced: watch::Receiver<Option<String>>,
    /// Where it tells what it does.
    pub duty: watch::Sender<Duty>,
}

/// What a host does for the durable lane of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duty {
    /// It finds the streams, or makes them.
    Opening,
    /// Another host has the pin, and this one stands by.
    StandingBy,
    /// It executes the lane's commands.
    Executing,
    /// It cannot serve the lane for now, and says why.
    Hindered(String),
}

/// Which lane a message goes by: its aggregate's, or one of its own.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Lane {
    Of(AggregateId),
    Alone(u64),
}

/// What is in hand, over all terms of the pin.
#[derive(Default)]
struct Hands {
    lanes: Lanes<Lane, Arc<Delivered>>,
    at_work: JoinSet<(Lane, bool)>,
    /// Outcomes there were when it was last looked whether anything goes on.
    outcomes: u64,
}

impl Inbox {
    /// Serves the lane until the host stops: then what has begun is finished, and the pin given up.
    pub fn start(self) -> JoinHandle<()> {
        tokio::spawn(self.run())
    }

    async fn run(self) {
        let (mut stop, mut misplaced) = (self.stop.clone(), self.misplaced.clone());
        let ended = async move {
            let stopped = async { stop.wait_for(|stop| *stop).await.map(drop) };
            let misplaced = async { misplaced.wait_for(Option::is_some).await.map(drop) };
            tokio::select! {
                Ok(()) = stopped => {}
                Ok(()) = misplaced => {}
                else => {}
            }
        };
        tokio::pin!(ended);
        let making = self.making();
        let workshop = Arc::new(self.workshop());
        let mut hands = Hands::default();
        let mut pin = None;
        let mut line = Line::new(self.connection.clone());
        let (mut stood, mut failures, mut told) = (false, 0, None);
        loop {
            let (term, in_term) = watch::channel(false);
            let served = async {
                let context = line.open(workshop.reader.inbox()).await?;
                let standing = streams::open(&context, &making, !stood).await?;
                stood = true;
                if failures > 0 {
                    workshop.remove_unreadable(&context, &standing).await?;
                }
                let pin = pin.insert(Pin::open(&context, standing).await?);
                self.duty.send_replace(Duty::StandingBy);
                pin.gain().await?;
                workshop
                    .learn_parked()
                    .await
                    .map_err(|error| InboxError::new(workshop.reader.inbox(), error.to_string()))?;
                failures = 0;
                told = None;
                self.duty.send_replace(Duty::Executing);
                tracing::info!(domain = %self.domain, "this host executes the durable lane");
                Err(hands.serve(&workshop, pin, &in_term).await)
            };
            let lost: Result<std::convert::Infallible, InboxError> = tokio::select! {
                lost = served => lost,
                () = &mut ended => {
                    term.send_replace(true);
                    break;
                }
            };
            term.send_replace(true);
            hands.lanes.forget_waiting();
            pin = None;
            failures += 1;
            let Err(error) = lost;
            self.duty.send_replace(Duty::Hindered(error.to_string()));
            if told.as_ref() != Some(&error) {
                tracing::warn!(domain = %self.domain, %error, "the durable lane is not served by this host for now");
                told = Some(error);
            }
            tokio::select! {
                () = tokio::time::sleep(pause(failures)) => {}
                () = &mut ended => break,
            }
        }
        while hands.at_work.join_next().await.is_some() {}
        if let Some(pin) = pin {
            pin.give_up().await;
        }
    }

    fn making(&self) -> Making {
        let fits = self.client.max_payload().saturating_sub(PARKING_BYTES);
        Making {
            domain: self.domain.clone(),
            queue_group: self.queue_group.clone(),
            replicas: self.replicas,
            message_bytes_max: (self.payload_bytes_max + HEADERS_BYTES).min(fits),
            api_prefix: nats::api_prefix(&self.connection),
        }
    }

    fn workshop(&self) -> Workshop {
        let (description, served) = (self.description.clone(), self.served.clone());
        Workshop {
            client: self.client.clone(),
            reader: Reader::new(&self.domain, description, served, self.payload_bytes_max),
            dead: Dead::new(&self.context, &self.domain),
            entrance: self.entrance.clone(),
            metrics: Arc::clone(&self.metrics),
            tries_max: self.tries_max,
            parked: Mutex::default(),
            outcomes: AtomicU64::default(),
        }
    }
}

impl Hands {
    /// Says so where commands that come to no outcome have taken all the room.
    fn tell_standstill(&mut self, workshop: &Workshop) {
        let outcomes = workshop.outcomes.load(Ordering::Relaxed);
        let before = std::mem::replace(&mut self.outcomes, outcomes);
        if before == outcomes && self.lanes.held() >= UNACKNOWLEDGED_MAX {
            tracing::error!(
                stream = workshop.reader.inbox(),
                in_hand = self.lanes.held(),
                "the durable lane stands still: all commands in hand are tried again and again, and none behind them is taken until one comes to an outcome; the log says why each of their aggregates is not served"
            );
        }
    }

    /// Takes and executes messages for as long as the pin is held.
    async fn serve(&mut self, workshop: &Arc<Workshop>, pin: &mut Pin, term: &watch::Receiver<bool>) -> InboxError {
        let mut keep = interval_at(Instant::now() + KEEP_INTERVAL, KEEP_INTERVAL);
        keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let held = self.lanes.held();
            tokio::select! {
                pulled = pin.next(held) => match pulled {
                    Pulled::Lost(error) => return error,
                    Pulled::Message(message) => match workshop.reader.read(*message) {
                        Ok(delivered) => {
                            let sequence = delivered.sequence;
                            let lane = delivered.aggregate().cloned().map_or(Lane::Alone(sequence), Lane::Of);
                            self.lanes.take(lane, sequence, Arc::new(delivered));
                        }
                        Err(why) => return InboxError::new(workshop.reader.inbox(), format!("a message is none of the consumer's: {why}")),
                    },
                },
                Some(ended) = self.at_work.join_next() => match ended {
                    Ok((lane, settled)) => self.lanes.end(&lane, settled),
                    Err(error) => {
                        self.lanes = Lanes::default();
                        self.at_work = JoinSet::new();
                        return InboxError::new(workshop.reader.inbox(), format!("a command ended in a panic: {error}"));
                    }
                },
                _ = keep.tick() => {
                    for delivered in self.lanes.items() {
                        workshop.keep(delivered).await;
                    }
                    self.tell_standstill(workshop);
                }
            }
            // Begun without the pin, a command could overtake what another host has begun.
            while pin.is_held()
                && let Some(Begun { lane, item, length, .. }) = self.lanes.begin()
            {
                let (workshop, term) = (Arc::clone(workshop), term.clone());
                self.at_work.spawn(async move {
                    let settled = workshop.work(&item, &length, term).await;
                    (lane, settled)
                });
            }
        }
    }
}
