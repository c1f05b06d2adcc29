//! Start, serve, stop: puts the parts together in order and takes them down in the other.

mod domain;

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use self::domain::DomainStart;
pub use self::domain::stream_settings;
use crate::bus::{BusError, discovery};
use crate::clock::Clock;
use crate::config::{Connection, Service, SettingsError};
use crate::name::{Name, SERVICE};
use crate::nats::{self, Client, NatsError};
use crate::plugin::{CodeCache, Limits, LoadError, PluginEngine};
use crate::registry::load_directory;
use crate::shard::Shards;
use crate::store::jetstream::{ServerError, StreamError, check_server};

/// How long stopping may take in all; ten seconds are promised.
const STOP_MAX: Duration = Duration::from_secs(9);
/// How long of it a lane may take for what has arrived and for the server to say that nothing
/// more will come.
const DRAIN_MAX: Duration = Duration::from_secs(5);

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
    if service.plugin_trusted_keys.is_empty() {
        tracing::warn!(
            "signatures of plugins are not checked: set PLUGIN_TRUSTED_KEYS to the public nkeys of those who may sign them"
        );
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    loop {
        let host = tokio::select! {
            host = Host::start(&connection, &service) => host?,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        let again = tokio::select! {
            _ = terminate.recv() => false,
            _ = interrupt.recv() => false,
            () = host.lost.notified() => true,
        };
        if again {
            // The client library has given up, as it does on a message it cannot read.
            tracing::error!("the connection to NATS ended for good: starting anew");
        } else {
            tracing::info!("stopping");
        }
        tokio::select! {
            () = host.stop() => {}
            _ = terminate.recv() => tracing::warn!("asked again to stop: not waiting any longer"),
            _ = interrupt.recv() => tracing::warn!("asked again to stop: not waiting any longer"),
        }
        if !again {
            return Ok(());
        }
    }
}

/// A running host.
struct Host {
    client: Client,
    stop: watch::Sender<bool>,
    lanes: Vec<JoinHandle<Shards>>,
    announced: Option<JoinHandle<()>>,
    /// Told when the connection ended for good.
    lost: Arc<Notify>,
}

impl Host {
    async fn start(connection: &Connection, service: &Service) -> Result<Self, ServeError> {
        let engine = PluginEngine::start(Limits {
            deadline: service.plugin_deadline,
            memory_bytes_max: usize::try_from(service.plugin_memory_max).unwrap_or(usize::MAX),
            compile_time_max: service.plugin_compile_time_max,
            ..Limits::default()
        })?;
        let engine = match service.plugin_cache_dir() {
            Some(directory) => engine.with_cache(CodeCache::new(&directory)),
            None => engine,
        };
        let (directory, keys) = (service.plugin_dir.clone(), service.plugin_trusted_keys.clone());
        // Compiling takes the processor for a while: beside it, NATS is connected.
        let loading = tokio::task::spawn_blocking(move || load_directory(&engine, &directory, &keys));
        let client = nats::connect(connection, SERVICE).await?;
        let context = nats::jetstream(client.clone(), connection);
        let server = check_server(&client, &context, connection.js_domain()).await?;
        tracing::info!(server = server.version, js_domain = server.domain, "NATS connected");
        let registry = loading.await.map_err(|error| ServeError::Plugins(error.to_string()))?;

        let (stop, stopping) = watch::channel(false);
        let lost = Arc::new(Notify::new());
        let served: Arc<[Name]> = registry.keys().cloned().collect();
        let (mut lanes, mut domains) = (Vec::new(), Vec::new());
        for (domain, registered) in registry {
            let start = DomainStart {
                connection,
                client: &client,
                context: &context,
                server: &server,
                settings: service,
                served: &served,
            };
            let (lane, shown) = start.domain(&domain, registered, stopping.clone(), Arc::clone(&lost)).await?;
            lanes.push(lane);
            domains.push(shown);
        }
        let mut host = Self { client, stop, lanes, announced: None, lost };
        if domains.is_empty() {
            tracing::warn!("not ready: there is no plugin to serve");
            return Ok(host);
        }
        let id = uuid::Uuid::now_v7().simple().to_string();
        let shown = discovery::Service { id, started: Clock::System.now(), domains };
        host.announced = Some(shown.announce(host.client.clone()).await?);
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
            futures::future::join_all(self.lanes.into_iter().map(close)).await;
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

/// Waits until nothing more comes on a lane, then until its shards have finished.
async fn close(mut lane: JoinHandle<Shards>) {
    match tokio::time::timeout(DRAIN_MAX, &mut lane).await {
        Ok(Ok(shards)) => {
            if tokio::task::spawn_blocking(move || shards.stop()).await.is_err() {
                tracing::error!("stopping a domain ended in a panic");
            }
        }
        Ok(Err(error)) => tracing::error!(%error, "a domain's lane ended in a panic"),
        // The server is away, so nothing more comes: ending the lane ends its shards.
        Err(_) => lane.abort(),
    }
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
    /// Starting a shard ended in a panic.
    #[error("a shard cannot be started: {0}")]
    Shard(String),
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
    #[error(transparent)]
    Bus(#[from] BusError),
}
