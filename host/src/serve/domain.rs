//! Starts one domain: its stream and bucket, its shards, its lane on the bus. Knows nothing
//! of other domains but their names.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::ServeError;
use crate::activation::{Activation, plugin_text};
use crate::bus::discovery::ServedDomain;
use crate::bus::{Endpoint, Lane, LaneEnds};
use crate::clock::Clock;
use crate::config::{Connection, Layout, Service, SettingsError, SnapshotKeeping};
use crate::domain::{Author, Generation};
use crate::metrics::Metrics;
use crate::name::{Name, SERVICE, Subjects, stream_of};
use crate::nats::{self, Client, JetStream};
use crate::registry::Registered;
use crate::shard::{self, ShardThread, Shards};
use crate::store::jetstream::{
    EventStream, Home, JetStreamEvents, JetStreamSnapshots, ServerFacts, StreamLayout, StreamSettings,
};
use crate::store::memory::MemorySnapshots;
use crate::store::{SnapshotStore, Unavailable};

/// Room that a reply's headers need beside its payload, in bytes.
const REPLY_HEADERS_BYTES: usize = 4_096;
/// Most shards of a domain: each is a thread and a connection, and the one task that hands out
/// requests feeds no more of them.
const SHARDS_MAX: usize = 4;
/// How long a shard waits for its last replies to be sent.
const FLUSH_MAX: Duration = Duration::from_secs(1);
/// The domain whose stream has a setting of its own.
const AGENT: &str = "agent";

/// What the shards of a domain have in common.
struct Part {
    activation: Arc<Activation>,
    metrics: Arc<Metrics>,
    home: Home,
}

/// What starting a domain needs.
pub(super) struct DomainStart<'a> {
    pub(super) connection: &'a Connection,
    pub(super) client: &'a Client,
    pub(super) context: &'a JetStream,
    pub(super) server: &'a ServerFacts,
    pub(super) settings: &'a Service,
    pub(super) served: &'a Arc<[Name]>,
}

impl DomainStart<'_> {
    /// Serves the domain until `stop` says so; the task then gives its shards back.
    pub(super) async fn domain(
        &self,
        domain: &Name,
        registered: Registered,
        stop: watch::Receiver<bool>,
        lost: Arc<Notify>,
    ) -> Result<(JoinHandle<Shards>, ServedDomain), ServeError> {
        let (client, settings) = (self.client, self.settings);
        let stream = EventStream::open(self.context, domain, &stream_settings(domain, settings)).await?;
        self.warn_of(domain, &stream)?;
        let home = Home {
            domain: domain.clone(),
            stream,
            js_domain: self.server.domain.clone(),
            ack_timeout: settings.append_timeout,
            misplaced: watch::Sender::new(None),
            lost: Arc::clone(&lost),
        };
        let misplaced = home.misplaced.subscribe();
        let generation: Arc<dyn Generation> = Arc::new(registered.plugin);
        let newest = JetStreamEvents::new(client.clone(), self.context.clone(), home.clone()).newest_author().await;
        let activation =
            Arc::new(Activation::new(Arc::clone(&generation), number(newest, &*generation), BTreeSet::new()));
        let author = activation.author.clone();
        let description = generation.description().clone();
        let metrics = Arc::new(Metrics::default());
        let part = Part { activation, metrics: Arc::clone(&metrics), home };
        let (mut shards, mut clients) = (Vec::new(), Vec::new());
        for n in 0..shard_count() {
            let (shard, client) = self.shard(&format!("{domain}-{n}"), &part).await?;
            shards.push(shard);
            clients.push(client);
        }
        // A lone shard takes its requests by itself: one that another thread handed over would
        // cost a wake-up more. Several get theirs from one thread that no plugin can stall.
        let (lane_client, lane_runtime) = match (&shards[..], &clients[..]) {
            ([(thread, _)], [client]) => (client.clone(), thread.runtime()),
            _ => (client.clone(), Handle::current()),
        };
        let shards = Shards::serve(shards);
        let subjects = Subjects::new(domain);
        let endpoint = |kind: &str, subject: String| {
            Arc::new(Endpoint::new(format!("{domain}-{kind}"), subject, settings.queue_group.clone()))
        };
        let endpoints = [endpoint("commands", subjects.commands()), endpoint("queries", subjects.queries())];
        let lane = Lane {
            client: lane_client,
            shard_clients: clients,
            description: description.clone(),
            served: Arc::clone(self.served),
            queue_group: settings.queue_group.clone(),
            payload_bytes_max: settings.command_bytes_max as usize,
            metrics: Arc::clone(&metrics),
            commands: Arc::clone(&endpoints[0]),
            queries: Arc::clone(&endpoints[1]),
        };
        let lane = lane.open(shards, LaneEnds { stop, misplaced, lost }, &lane_runtime).await?;
        tracing::info!(%domain, activation = author.activation, plugin = &*author.plugin, "domain is served");
        Ok((lane, ServedDomain { description, plugin: author.plugin, endpoints, metrics }))
    }

    /// Starts a shard's thread with a connection of its own, and its stores over it.
    async fn shard(&self, name: &str, part: &Part) -> Result<((ShardThread, shard::Service), Client), ServeError> {
        let settings = self.settings;
        let thread = ShardThread::start(name).map_err(ServeError::Threads)?;
        let (connection, home) = (self.connection.clone(), part.home.clone());
        let (keeping, replicas) = (settings.snapshot_store, usize::from(settings.stream_replicas));
        let opened = thread.run(async move {
            let client = nats::connect(&connection, SERVICE).await?;
            let context = nats::jetstream(client.clone(), &connection);
            let snapshots: Arc<dyn SnapshotStore> = match keeping {
                SnapshotKeeping::Memory => Arc::new(MemorySnapshots::default()),
                SnapshotKeeping::Jetstream => {
                    let opened = JetStreamSnapshots::open(client.clone(), &context, &home.domain, replicas).await;
                    Arc::new(opened.map_err(|error| ServeError::Snapshots(error.0))?)
                }
            };
            let events = Arc::new(JetStreamEvents::new(client.clone(), context, home));
            Ok::<_, ServeError>((client, events, snapshots))
        });
        let (client, events, snapshots) = opened.await.map_err(|error| ServeError::Shard(error.to_string()))??;
        let (sizing, flushing) = (client.clone(), client.clone());
        let service = shard::Service {
            domain: part.home.domain.clone(),
            activation: Arc::clone(&part.activation),
            succession: None,
            events,
            snapshots,
            clock: Clock::System,
            metrics: Arc::clone(&part.metrics),
            snapshot_frequency: settings.snapshot_frequency,
            cache_capacity: settings.cache_capacity as usize,
            reply_bytes_max: Arc::new(move || sizing.max_payload().saturating_sub(REPLY_HEADERS_BYTES)),
            last_words: Arc::new(move || {
                let client = flushing.clone();
                async move {
                    let flushed = tokio::time::timeout(FLUSH_MAX, client.flush()).await;
                    if !matches!(flushed, Ok(Ok(()))) {
                        tracing::warn!("the last replies may not have been sent");
                    }
                }
                .boxed()
            }),
        };
        Ok(((thread, service), client))
    }

    /// Says once what is not wrong but will surprise.
    fn warn_of(&self, domain: &Name, stream: &EventStream) -> Result<(), ServeError> {
        if self.settings.snapshot_store == SnapshotKeeping::Memory && stream.age_max.is_some() {
            let why = format!(
                "SNAPSHOT_STORE=memory does not go with stream {}, whose max_age is finite: a snapshot then is all that is left of aged events. Set SNAPSHOT_STORE=jetstream",
                stream.name
            );
            return Err(SettingsError::Contradiction(why).into());
        }
        if stream.captures_commands {
            tracing::warn!(%domain, stream = stream.name, "the stream captures commands as well: a plain requester sees JetStream's acknowledgement first, the outcome is the reply with the header Agent-Status");
        }
        if !stream.atomic {
            tracing::warn!(%domain, stream = stream.name, "the stream does not have allow_atomic: commands of several events are answered with `unavailable` until `agent-service stream upgrade` is run");
        }
        Ok(())
    }
}

/// Half the processors: the other half serves the connection and the server beside it, and on
/// few processors more threads only take turns.
fn shard_count() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (processors / 2).clamp(1, SHARDS_MAX)
}

/// The stream a domain has, by the settings.
pub fn stream_settings(domain: &Name, settings: &Service) -> StreamSettings {
    StreamSettings {
        name: if domain.as_str() == AGENT { settings.stream_name.clone() } else { stream_of(domain) },
        layout: match settings.stream_layout {
            Layout::Split => StreamLayout::Split,
            Layout::Combined => StreamLayout::Combined,
        },
        replicas: usize::from(settings.stream_replicas),
        age_max: (!settings.stream_max_age.is_zero()).then_some(settings.stream_max_age),
    }
}

/// The activation number of the code: it grows when the code is not that of the newest event.
fn number(newest: Result<Option<Author>, Unavailable>, generation: &dyn Generation) -> u64 {
    let domain = &generation.description().domain;
    let newest = newest.unwrap_or_else(|error| {
        tracing::warn!(%domain, %error, "the newest event cannot be read: activations are counted anew");
        None
    });
    match newest {
        None => 1,
        Some(newest) if *newest.plugin == *plugin_text(generation) => newest.activation,
        Some(newest) => newest.activation + 1,
    }
}
