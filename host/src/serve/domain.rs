//! One domain that is served: its shards and its lane on the bus, started with some code and
//! switched to other code while they run. Knows nothing of where code comes from.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::ground::{Ground, Stores};
use super::watched::{State, Watched};
use super::{ServeError, Surroundings};
use crate::activation::Activation;
use crate::bus::discovery::ServedDomain;
use crate::bus::{Endpoint, Lane, LaneEnds};
use crate::clock::Clock;
use crate::config::Switch;
use crate::domain::Description;
use crate::inbox::{Duty, Inbox};
use crate::metrics::Metrics;
use crate::name::{Name, Subjects};
use crate::nats::Client;
use crate::shard::{self, Glimpse, Orders, Retention, ShardThread, Shards, Succession};

/// Room that a reply's headers need beside its payload, in bytes.
const REPLY_HEADERS_BYTES: usize = 4_096;
/// Most shards of a domain: each is a thread and a connection, and the one task that hands out
/// requests feeds no more of them.
const SHARDS_MAX: usize = 4;
/// How long a shard waits for its last replies to be sent.
const FLUSH_MAX: Duration = Duration::from_secs(1);
/// How long a lane may take for what has arrived and for the server to say that nothing more
/// will come.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// How long a request waits for the host to go on to newer code that it met in the log.
const FOLLOW_MAX: Duration = Duration::from_secs(3);

/// A domain that is served.
pub(super) struct Domain {
    pub(super) ground: Ground,
    pub(super) orders: Orders,
    pub(super) metrics: Arc<Metrics>,
    lane: JoinHandle<Shards>,
    retention: JoinHandle<()>,
    /// The durable lane, where it is served.
    inbox: Option<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    description: watch::Sender<Arc<Description>>,
    number: watch::Sender<u64>,
    refused: watch::Sender<u64>,
    endpoints: [Arc<Endpoint>; 2],
    pub(super) watched: Arc<Watched>,
}

impl Domain {
    /// Serves the domain from now on; `behind` is told when newer code is met in the log, where
    /// hosts share their plugins.
    pub(super) async fn start(
        around: &Surroundings,
        ground: Ground,
        activation: &Arc<Activation>,
        behind: Option<Arc<Notify>>,
    ) -> Result<Self, ServeError> {
        let settings = &around.service;
        let domain = &ground.home.domain;
        let description = watch::Sender::new(Arc::new(activation.description().clone()));
        let number = watch::Sender::new(activation.number());
        let refused = watch::Sender::new(0);
        let succession = behind.map(|behind| {
            let (number, refused) = (number.subscribe(), refused.subscribe());
            Arc::new(Follower { behind, number, refused, runtime: Handle::current() }) as Arc<dyn Succession>
        });
        let metrics = around.health.metrics_of(domain);
        metrics.name_verbs(activation.description().verbs());
        let (mut shards, mut clients) = (Vec::new(), Vec::new());
        for n in 0..shard_count() {
            let thread = ShardThread::start(&format!("{domain}-{n}")).map_err(ServeError::Threads)?;
            let (service, client) =
                shard_service(around, &ground, &thread, activation, &metrics, succession.clone()).await?;
            shards.push((thread, service));
            clients.push(client);
        }
        // A lone shard takes its requests by itself: one that another thread handed over would
        // cost a wake-up more. Several get theirs from one thread that no plugin can stall.
        let (lane_client, lane_runtime) = match (&shards[..], &clients[..]) {
            ([(thread, _)], [client]) => (client.clone(), thread.runtime()),
            _ => (around.client.clone(), Handle::current()),
        };
        let runtimes: Vec<Handle> = shards.iter().map(|(thread, _)| thread.runtime()).collect();
        let shards = Shards::serve(shards);
        let glimpse = Glimpse::of(&shards, runtimes, &metrics);
        let orders = shards.orders();
        let endpoints = endpoints(domain, &settings.queue_group);
        let (stop, stopping) = watch::channel(false);
        let lane = Lane {
            client: lane_client,
            shard_clients: clients.clone(),
            description: description.subscribe(),
            served: around.served.subscribe(),
            queue_group: settings.queue_group.clone(),
            payload_bytes_max: settings.command_bytes_max as usize,
            metrics: Arc::clone(&metrics),
            tracer: around.tracer.clone(),
            commands: Arc::clone(&endpoints[0]),
            queries: Arc::clone(&endpoints[1]),
        };
        let misplaced = ground.home.misplaced.subscribe();
        let duty = watch::Sender::new(Duty::Opening);
        let duties = (settings.inbox == Switch::On).then(|| duty.subscribe());
        let inbox = duties
            .is_some()
            .then(|| inbox(around, &ground, &shards, &metrics, description.subscribe(), stopping.clone(), duty));
        let ends = LaneEnds { stop: stopping, misplaced, lost: Arc::clone(&ground.home.lost) };
        let lane = lane.open(domain, shards, ends, &lane_runtime).await?;
        // It reads the log from its beginning, by itself: what cannot be read there ends no other connection.
        let read_apart = ground.by_way_of(around).open().await?;
        let retention = Retention::new(
            domain.clone(),
            read_apart.events,
            orders.clone(),
            Arc::clone(&metrics),
            Clock::System,
            settings.snapshot_before_expiry,
        );
        let retention = tokio::spawn(retention.run(number.subscribe()));
        let inbox = inbox.map(Inbox::start);
        let watched = Arc::new(Watched {
            domain: domain.clone(),
            metrics: Arc::clone(&metrics),
            shards: glimpse,
            clients,
            lane: lane.abort_handle(),
            misplaced: ground.home.misplaced.subscribe(),
            duty: duties,
            events: Arc::clone(&ground.events),
            context: around.context.clone(),
            state: Mutex::new(State::new(Arc::clone(activation))),
        });
        Ok(Self {
            ground,
            orders,
            metrics,
            lane,
            retention,
            inbox,
            stop,
            description,
            number,
            refused,
            endpoints,
            watched,
        })
    }

    /// Lets other code decide: what is begun is finished by the code before.
    pub(super) async fn activate(&self, activation: &Arc<Activation>) {
        self.metrics.name_verbs(activation.description().verbs());
        self.orders.activate(activation).await;
        self.watched.goes_on_with(Arc::clone(activation));
        self.description.send_replace(Arc::new(activation.description().clone()));
        self.number.send_replace(activation.number());
    }

    /// Says that the activation of this number cannot be had for now: whoever waits for it, or for
    /// one before it, need not.
    pub(super) fn cannot_follow(&self, activation: u64) {
        self.refused.send_replace(activation);
    }

    /// The domain as the service API shows it.
    pub(super) fn shown(&self, activation: &Activation) -> ServedDomain {
        ServedDomain {
            description: activation.description().clone(),
            plugin: Arc::clone(&activation.author.plugin),
            endpoints: self.endpoints.clone(),
            metrics: Arc::clone(&self.metrics),
        }
    }

    /// Takes no more requests, finishes those begun, leaves snapshots.
    pub(super) async fn close(mut self) {
        self.retention.abort();
        let _ = self.stop.send(true);
        // Both lead into the shards, which end after both.
        let inbox = self.inbox.take();
        let (lane, ()) = tokio::join!(tokio::time::timeout(DRAIN_MAX, &mut self.lane), drained(inbox));
        match lane {
            Ok(Ok(shards)) => {
                if tokio::task::spawn_blocking(move || shards.stop()).await.is_err() {
                    tracing::error!("stopping a domain ended in a panic");
                }
            }
            Ok(Err(error)) => tracing::error!(%error, "a domain's lane ended in a panic"),
            // The server is away, so nothing more comes: ending the lane ends its shards.
            Err(_) => self.lane.abort(),
        }
    }
}

/// The durable lane beside the domain's lane on the bus.
fn inbox(
    around: &Surroundings,
    ground: &Ground,
    shards: &Shards,
    metrics: &Arc<Metrics>,
    description: watch::Receiver<Arc<Description>>,
    stop: watch::Receiver<bool>,
    duty: watch::Sender<Duty>,
) -> Inbox {
    let settings = &around.service;
    Inbox {
        domain: ground.home.domain.clone(),
        client: around.client.clone(),
        context: around.context.clone(),
        connection: around.connection.clone(),
        entrance: shards.entrance(),
        description,
        served: around.served.subscribe(),
        metrics: Arc::clone(metrics),
        queue_group: settings.queue_group.clone(),
        replicas: usize::from(settings.stream_replicas),
        payload_bytes_max: settings.command_bytes_max as usize,
        tries_max: settings.inbox_tries,
        stop,
        misplaced: ground.home.misplaced.subscribe(),
        duty,
    }
}

/// What a shard needs, with a connection of its own that lives on the shard's thread.
async fn shard_service(
    around: &Surroundings,
    ground: &Ground,
    thread: &ShardThread,
    activation: &Arc<Activation>,
    metrics: &Arc<Metrics>,
    succession: Option<Arc<dyn Succession>>,
) -> Result<(shard::Service, Client), ServeError> {
    let settings = &around.service;
    let opened = thread.run(ground.by_way_of(around).open());
    let Stores { client, events, snapshots } = opened.await.map_err(|error| ServeError::Shard(error.to_string()))??;
    let (sizing, flushing) = (client.clone(), client.clone());
    let service = shard::Service {
        domain: ground.home.domain.clone(),
        activation: Arc::clone(activation),
        succession,
        events,
        snapshots,
        clock: Clock::System,
        metrics: Arc::clone(metrics),
        tracer: around.tracer.clone(),
        snapshot_frequency: settings.snapshot_frequency,
        snapshot_every: every(settings.snapshot_write_behind),
        cache_capacity: settings.cache_capacity as usize,
        trial_percent: settings.plugin_trial_share,
        reply_bytes_max: Arc::new(move || sizing.max_payload().saturating_sub(REPLY_HEADERS_BYTES)),
        last_words: Arc::new(move || flushed(flushing.clone()).boxed()),
    };
    Ok((service, client))
}

/// How often one shard may do what the host may do so many times a second.
fn every(per_second: u32) -> Option<Duration> {
    let shards = u32::try_from(shard_count()).unwrap_or(1);
    (per_second > 0).then(|| Duration::from_secs(1) * shards / per_second)
}

/// Lets a durable lane finish what it has begun.
async fn drained(inbox: Option<JoinHandle<()>>) {
    let Some(mut inbox) = inbox else { return };
    match tokio::time::timeout(DRAIN_MAX, &mut inbox).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "a domain's durable lane ended in a panic"),
        Err(_) => {
            tracing::warn!("durable commands are left unfinished: they will be delivered again");
            inbox.abort();
        }
    }
}

/// Sees to it that the last replies are sent.
async fn flushed(client: Client) {
    if !matches!(tokio::time::timeout(FLUSH_MAX, client.flush()).await, Ok(Ok(()))) {
        tracing::warn!("the last replies may not have been sent");
    }
}

fn endpoints(domain: &Name, queue_group: &str) -> [Arc<Endpoint>; 2] {
    let subjects = Subjects::new(domain);
    let endpoint =
        |kind: &str, subject| Arc::new(Endpoint::new(format!("{domain}-{kind}"), subject, queue_group.to_owned()));
    [endpoint("commands", subjects.commands()), endpoint("queries", subjects.queries())]
}

/// Half the processors: the other half serves the connection and the server beside it, and on
/// few processors more threads only take turns.
fn shard_count() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (processors / 2).clamp(1, SHARDS_MAX)
}

/// Asks for the newer code that a shard met in the log, and waits until it is live, or is known not
/// to be had.
struct Follower {
    behind: Arc<Notify>,
    number: watch::Receiver<u64>,
    refused: watch::Receiver<u64>,
    runtime: Handle,
}

impl Succession for Follower {
    fn follow(&self, activation: u64) -> BoxFuture<'static, bool> {
        let (behind, mut number, mut refused) = (Arc::clone(&self.behind), self.number.clone(), self.refused.clone());
        let waiting = self.runtime.spawn(async move {
            behind.notify_one();
            let settled = async {
                tokio::select! {
                    biased;
                    live = number.wait_for(|live| *live >= activation) => live.is_ok(),
                    _ = refused.wait_for(|refused| *refused >= activation) => false,
                }
            };
            tokio::time::timeout(FOLLOW_MAX, settled).await.unwrap_or(false)
        });
        async move { waiting.await.unwrap_or(false) }.boxed()
    }
}
