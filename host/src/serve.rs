//! Start, serve, stop: puts the parts together in order and takes them down in the other.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::{self, Context};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::bus::Lane;
use crate::clock::Clock;
use crate::config::{Connection, Layout, Service, SettingsError, SnapshotKeeping};
use crate::discovery::{self, ServedDomain};
use crate::domain::{Author, Generation};
use crate::endpoint::Endpoint;
use crate::metrics::Metrics;
use crate::name::{Name, SERVICE, Subjects, stream_of};
use crate::nats::{self, NatsError};
use crate::plugin::{Limits, LoadError, PluginEngine};
use crate::registry::{Registered, load_directory};
use crate::shard::{self, Shards};
use crate::store::SnapshotStore;
use crate::store::jetstream::{
    EventStream, JetStreamEvents, JetStreamSnapshots, ServerError, ServerFacts, StreamError, StreamLayout,
    StreamSettings, check_server,
};
use crate::store::memory::MemorySnapshots;

/// How long stopping may take in all; ten seconds are promised.
const STOP_MAX: Duration = Duration::from_secs(9);
/// How long of it the server may take to say that nothing more will come.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// Room that a reply's headers need beside its payload, in bytes.
const REPLY_HEADERS_BYTES: usize = 4_096;
/// Most shards of a domain: more threads than this only wait for the one connection.
const SHARDS_MAX: usize = 4;
/// The domain whose stream has a setting of its own.
const AGENT: &str = "agent";

/// Serves until SIGTERM or Ctrl-C, then stops cleanly.
///
/// # Errors
/// [`ServeError`] where the service cannot start; once it runs, it goes on.
pub async fn run(connection: Connection, service: Service) -> Result<(), ServeError> {
    connection.check()?;
    service.check()?;
    if service.http_addr.as_ref().is_some_and(|address| !address.is_empty()) {
        tracing::warn!("HTTP_ADDR is set, but this version serves no HTTP");
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let host = tokio::select! {
        host = Host::start(&connection, &service) => host?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("Ctrl-C: stopping"),
    }
    tokio::select! {
        () = host.stop() => {}
        _ = terminate.recv() => tracing::warn!("asked again to stop: not waiting any longer"),
        _ = interrupt.recv() => tracing::warn!("asked again to stop: not waiting any longer"),
    }
    Ok(())
}

/// A running host.
struct Host {
    client: Client,
    stop: watch::Sender<bool>,
    lanes: Vec<JoinHandle<Shards>>,
    announced: Option<JoinHandle<()>>,
}

impl Host {
    async fn start(connection: &Connection, service: &Service) -> Result<Self, ServeError> {
        let engine = PluginEngine::start(Limits {
            deadline: service.plugin_deadline,
            memory_bytes_max: usize::try_from(service.plugin_memory_max).unwrap_or(usize::MAX),
            ..Limits::default()
        })?;
        let directory = service.plugin_dir.clone();
        // Compiling takes the processor for a while: beside it, NATS is connected.
        let loading = tokio::task::spawn_blocking(move || load_directory(&engine, &directory));
        let client = nats::connect(connection, SERVICE).await?;
        let context = jetstream(client.clone(), connection);
        let server = check_server(&client, &context, connection.js_domain()).await?;
        tracing::info!(server = server.version, js_domain = server.domain, "NATS connected");
        let registry = loading.await.map_err(|error| ServeError::Plugins(error.to_string()))?;

        let (stop, stopping) = watch::channel(false);
        let served: Arc<[Name]> = registry.keys().cloned().collect();
        let (mut lanes, mut domains) = (Vec::new(), Vec::new());
        for (domain, registered) in registry {
            let start =
                DomainStart { client: &client, context: &context, server: &server, settings: service, served: &served };
            let (lane, shown) = start.domain(&domain, registered, stopping.clone()).await?;
            lanes.push(lane);
            domains.push(shown);
        }
        let mut host = Self { client, stop, lanes, announced: None };
        if domains.is_empty() {
            tracing::warn!("not ready: there is no plugin to serve");
            return Ok(host);
        }
        let id = uuid::Uuid::now_v7().simple().to_string();
        let shown = discovery::Service { id, started: Clock::System.now(), domains };
        host.announced = Some(shown.announce(host.client.clone()).await.map_err(ServeError::subscribe)?);
        tracing::info!(domains = ?served, "ready");
        Ok(host)
    }

    /// Takes no more requests, finishes those begun, leaves snapshots.
    async fn stop(self) {
        if let Some(announced) = self.announced {
            announced.abort();
        }
        let _ = self.stop.send(true);
        let finished = async {
            let mut stopping = Vec::new();
            for mut lane in self.lanes {
                match tokio::time::timeout(DRAIN_MAX, &mut lane).await {
                    Ok(Ok(shards)) => stopping.push(tokio::task::spawn_blocking(move || shards.stop())),
                    Ok(Err(error)) => tracing::error!(%error, "a domain's lane ended in a panic"),
                    // The server is away, so nothing more comes: ending the lane ends its shards.
                    Err(_) => lane.abort(),
                }
            }
            for stopped in stopping {
                if stopped.await.is_err() {
                    tracing::error!("stopping a domain ended in a panic");
                }
            }
            if let Err(error) = self.client.flush().await {
                tracing::warn!(%error, "the last replies may not have been sent");
            }
        };
        match tokio::time::timeout(STOP_MAX, finished).await {
            Ok(()) => tracing::info!("stopped"),
            Err(_) => tracing::warn!("stopped with requests unfinished: their clients will see a timeout"),
        }
    }
}

/// What starting a domain needs.
struct DomainStart<'a> {
    client: &'a Client,
    context: &'a Context,
    server: &'a ServerFacts,
    settings: &'a Service,
    served: &'a Arc<[Name]>,
}

impl DomainStart<'_> {
    async fn domain(
        &self,
        domain: &Name,
        registered: Registered,
        stopping: watch::Receiver<bool>,
    ) -> Result<(JoinHandle<Shards>, ServedDomain), ServeError> {
        let (client, settings) = (self.client, self.settings);
        let stream = EventStream::open(self.context, domain, &stream_settings(domain, settings)).await?;
        self.warn_of(domain, &stream)?;
        let snapshots: Arc<dyn SnapshotStore> = match settings.snapshot_store {
            SnapshotKeeping::Memory => Arc::new(MemorySnapshots::default()),
            SnapshotKeeping::Jetstream => {
                let replicas = usize::from(settings.stream_replicas);
                let opened = JetStreamSnapshots::open(client.clone(), self.context, domain, replicas).await;
                Arc::new(opened.map_err(|error| ServeError::Snapshots(error.0))?)
            }
        };
        let events = JetStreamEvents::new(
            client.clone(),
            self.context.clone(),
            domain,
            stream,
            &self.server.domain,
            settings.append_timeout,
        );
        let generation: Arc<dyn Generation> = Arc::new(registered.plugin);
        let author = author(&events, &*generation).await?;
        let description = generation.description().clone();
        let (metrics, misplaced) = (Arc::new(Metrics::default()), events.misplaced());
        let sizing = client.clone();
        let shards = Shards::start(
            &shard::Service {
                domain: domain.clone(),
                generation,
                author: author.clone(),
                events: Arc::new(events),
                snapshots,
                clock: Clock::System,
                metrics: Arc::clone(&metrics),
                snapshot_frequency: settings.snapshot_frequency,
                cache_capacity: settings.cache_capacity as usize,
                reply_bytes_max: Arc::new(move || sizing.max_payload().saturating_sub(REPLY_HEADERS_BYTES)),
            },
            std::thread::available_parallelism().map_or(1, usize::from).min(SHARDS_MAX),
        )
        .map_err(ServeError::Threads)?;
        let subjects = Subjects::new(domain);
        let endpoint = |kind: &str, subject: String| {
            Arc::new(Endpoint::new(format!("{domain}-{kind}"), subject, settings.queue_group.clone()))
        };
        let endpoints = [endpoint("commands", subjects.commands()), endpoint("queries", subjects.queries())];
        let lane = Lane {
            client: client.clone(),
            description: description.clone(),
            served: Arc::clone(self.served),
            queue_group: settings.queue_group.clone(),
            payload_bytes_max: settings.command_bytes_max as usize,
            metrics: Arc::clone(&metrics),
            commands: Arc::clone(&endpoints[0]),
            queries: Arc::clone(&endpoints[1]),
        };
        let lane = lane.open(shards, stopping, misplaced).await.map_err(ServeError::subscribe)?;
        tracing::info!(%domain, activation = author.activation, plugin = &*author.plugin, "domain is served");
        Ok((lane, ServedDomain { description, plugin: author.plugin, endpoints, metrics }))
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

/// JetStream as the connection settings name it.
pub fn jetstream(client: Client, connection: &Connection) -> Context {
    match connection.js_domain() {
        "" => jetstream::new(client),
        domain => jetstream::with_domain(client, domain),
    }
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

/// What events will say of the code: the activation number grows when the code is not that
/// of the newest event.
async fn author(events: &JetStreamEvents, generation: &dyn Generation) -> Result<Author, ServeError> {
    let description = generation.description();
    let plugin = format!("{}/{};sha256={}", description.domain, description.version, generation.digest());
    let newest = events.newest_author().await.map_err(|error| ServeError::Snapshots(error.0))?;
    let activation = match newest {
        None => 1,
        Some(newest) if *newest.plugin == *plugin => newest.activation,
        Some(newest) => newest.activation + 1,
    };
    Ok(Author { plugin: plugin.into(), activation })
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// NATS cannot be reached, or does not take us.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// The server lacks something.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The stream cannot be served from.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The bucket cannot be used.
    #[error("{0}")]
    Snapshots(String),
    /// The component engine does not start.
    #[error(transparent)]
    Engine(#[from] LoadError),
    /// Loading plugins ended in a panic.
    #[error("loading plugins failed: {0}")]
    Plugins(String),
    /// The system gives no threads.
    #[error("no threads can be had: {0}")]
    Threads(std::io::Error),
    /// The system gives no signals.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
    /// The client is closed.
    #[error("NATS subscription failed: {0}")]
    Subscribe(String),
}

impl ServeError {
    fn subscribe(error: async_nats::SubscribeError) -> Self {
        Self::Subscribe(error.to_string())
    }
}
