//! Start, serve, stop: puts the parts together in order and takes them down in the other.

mod admission;
mod background;
mod desk;
mod directory;
mod domain;
mod examined;
mod fleet_source;
mod ground;
mod health;
mod loader;
mod lookout;
mod pages;
mod process;
mod scrape;
mod shadowing;
mod silence;
mod status;
mod systemd;
mod watched;
mod way_back;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use self::desk::Desk;
use self::directory::Found;
pub use self::ground::stream_settings;
use self::health::Health;
use self::loader::{Loader, Source};
use self::pages::HostPages;
use self::status::{Identity, Status};
use crate::bus::BusError;
use crate::bus::control::{self, Operated};
use crate::config::{Connection, PluginSource, Service, SettingsError};
use crate::fleet::{Fleet, FleetError};
use crate::http::{HttpError, Server};
use crate::logging::Logging;
use crate::name::{Name, SERVICE};
use crate::nats::{self, Client, JetStream, NatsError};
use crate::otlp::{Otlp, OtlpError};
use crate::plugin::LoadError;
use crate::registry::Registry;
use crate::store::jetstream::{BucketError, OpenBatches, ServerError, ServerFacts, StreamError, check_server};
use crate::trace::Tracer;
use crate::watch::{DirectoryWatch, list};

/// How long stopping may take but for the last traces; ten seconds are promised for all.
const STOP_MAX: Duration = Duration::from_secs(8);
/// Requests of operators that wait for the loader.
const ASKS_MAX: usize = 16;
/// Between two attempts to start while JetStream does not answer.
const START_PAUSE: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or Ctrl-C, then stops cleanly.
///
/// # Errors
/// [`ServeError`] where the service cannot start; once it runs, it goes on.
pub async fn run(connection: Connection, service: Service, logging: Logging) -> Result<(), ServeError> {
    connection.check()?;
    service.check()?;
    let health = Arc::new(Health::new(service.plugin_deadline));
    let otlp = match &*service.otel_exporter_otlp_endpoint {
        "" => None,
        endpoint => Otlp::start(endpoint, health.trace_counts())?,
    };
    let lasting = Lasting { logging, tracer: otlp.as_ref().map(Otlp::tracer) };
    let served = serve(&connection, &service, &health, &lasting).await;
    if let Some(otlp) = otlp {
        otlp.stop().await;
    }
    served
}

/// What stays the same however often the host starts anew.
struct Lasting {
    logging: Logging,
    tracer: Option<Arc<dyn Tracer>>,
}

async fn serve(
    connection: &Connection,
    service: &Service,
    health: &Arc<Health>,
    lasting: &Lasting,
) -> Result<(), ServeError> {
    // Before anything is served: whoever watches sees the start as well.
    let _watching = watch_over(health, service).await?;
    if service.plugin_trusted_keys.is_empty() {
        tracing::warn!(
            "plugins are not checked for signatures: PLUGIN_TRUSTED_KEYS names the keys whose signatures they must bear"
        );
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    loop {
        let host = tokio::select! {
            host = Host::start_in_time(connection, service, health, lasting) => host?,
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
            health.stop();
            systemd::stopping().await;
        }
        tokio::select! {
            () = host.stop() => {}
            _ = terminate.recv() => tracing::warn!("asked again to stop: not waiting any longer"),
            _ = interrupt.recv() => tracing::warn!("asked again to stop: not waiting any longer"),
        }
        if !again {
            return Ok(());
        }
        health.disconnected();
    }
}

/// Lets others see how the process fares, for as long as what this gives is kept.
async fn watch_over(health: &Arc<Health>, service: &Service) -> Result<JoinSet<()>, ServeError> {
    let mut watching = JoinSet::new();
    if !service.http_addr.is_empty() {
        let server = Server::bind(&service.http_addr).await?;
        tracing::info!(address = %server.address(), "HTTP is served");
        watching.spawn(server.serve(Arc::new(HostPages(Arc::clone(health)))));
    }
    watching.spawn(lookout::keep(Arc::clone(health)));
    watching.spawn(systemd::keep(Arc::clone(health)));
    Ok(watching)
}

/// What everything that is served has around it.
struct Surroundings {
    connection: Connection,
    service: Service,
    client: Client,
    context: JetStream,
    server: ServerFacts,
    registry: Registry,
    open_batches: OpenBatches,
    health: Arc<Health>,
    /// Takes traces of commands, where they are wanted.
    tracer: Option<Arc<dyn Tracer>>,
    /// The domains this host serves, whose subjects no reply may have.
    served: watch::Sender<Arc<[Name]>>,
}

/// A running host.
struct Host {
    client: Client,
    stop: watch::Sender<bool>,
    loader: JoinHandle<()>,
    operated: JoinHandle<()>,
    examined: JoinHandle<()>,
    /// Told when the connection ended for good.
    lost: Arc<Notify>,
}

impl Host {
    /// Starts, again and again while JetStream does not answer: it may have lost a leader, and will
    /// have another one.
    async fn start_in_time(
        connection: &Connection,
        service: &Service,
        health: &Arc<Health>,
        lasting: &Lasting,
    ) -> Result<Self, ServeError> {
        let give_up = Instant::now() + connection.nats_connect_timeout;
        loop {
            match Self::start(connection, service, health, lasting).await {
                Err(error) if error.may_pass() && Instant::now() < give_up => {
                    tracing::warn!(%error, "not started yet: trying again");
                    health.disconnected();
                    tokio::time::sleep(START_PAUSE).await;
                }
                started => return started,
            }
        }
    }

    async fn start(
        connection: &Connection,
        service: &Service,
        health: &Arc<Health>,
        lasting: &Lasting,
    ) -> Result<Self, ServeError> {
        let registry = Registry::of(service)?;
        let directory = match service.plugin_source {
            PluginSource::Dir => Some(
                DirectoryWatch::start(&service.plugin_dir).map_err(|error| ServeError::Plugins(error.to_string()))?,
            ),
            PluginSource::Nats => None,
        };
        // Compiling takes the processor for a while: beside it, NATS is connected.
        let (at_first, path) = (registry.clone(), directory.is_some().then(|| service.plugin_dir.clone()));
        let loading =
            tokio::task::spawn_blocking(move || path.map_or_else(Vec::new, |path| found_in(&at_first, &path)));
        let client = nats::connect(connection, SERVICE).await?;
        health.connected(client.clone());
        let context = nats::jetstream(client.clone(), connection);
        let server = check_server(&client, &context, connection.js_domain()).await?;
        tracing::info!(server = server.version, js_domain = server.domain, "NATS connected");
        let found = loading.await.map_err(|error| ServeError::Plugins(error.to_string()))?;

        let (source, fleet) = match directory {
            Some(directory) => (Source::Directory(Box::new(directory)), None),
            None => {
                let fleet = Fleet::open(&context, usize::from(service.stream_replicas)).await?;
                (Source::Fleet(Box::new(fleet.watch())), Some(fleet))
            }
        };
        let lost = Arc::new(Notify::new());
        let around = Arc::new(Surroundings {
            connection: connection.clone(),
            service: service.clone(),
            client: client.clone(),
            context,
            server,
            registry,
            open_batches: OpenBatches::default(),
            health: Arc::clone(health),
            tracer: lasting.tracer.clone(),
            served: watch::Sender::new(Arc::new([])),
        });
        let status = Status::new(identity(if fleet.is_some() { "nats" } else { "dir" }));
        let mut loader = Loader::new(Arc::clone(&around), status.clone(), Arc::clone(&lost), fleet);
        if let Err(error) = loader.begin(found).await {
            loader.close().await;
            return Err(error);
        }
        let (stop, stopping) = watch::channel(false);
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let operated: Arc<dyn Operated> = Arc::new(Desk { status, asks, logging: lasting.logging.clone() });
        let operated = control::listen(client.clone(), operated, around.served.subscribe(), Arc::clone(&lost)).await?;
        let examined = examined::begin(&around, stopping.clone());
        let loader = tokio::spawn(loader.run(source, asked, stopping));
        Ok(Self { client, stop, loader, operated, examined, lost })
    }

    /// Takes no more requests, finishes those begun, leaves snapshots.
    async fn stop(self) {
        self.operated.abort();
        let _ = self.stop.send(true);
        let finished = async {
            if self.loader.await.is_err() {
                tracing::error!("unloading ended in a panic");
            }
            if self.examined.await.is_err() {
                tracing::error!("looking at settings, streams and machine ended in a panic");
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

/// What the plugin directory holds. Blocks.
fn found_in(registry: &Registry, directory: &Path) -> Vec<Found> {
    let files = match list(directory) {
        Ok(listing) => listing.files,
        Err(error) => {
            tracing::warn!(directory = %directory.display(), %error, "plugin directory cannot be read: set PLUGIN_DIR to one that holds plugins");
            return Vec::new();
        }
    };
    if files.is_empty() {
        tracing::warn!(directory = %directory.display(), "plugin directory holds no *.wasm file: nothing is served");
    }
    files.into_iter().map(|file| Found { loaded: registry.load_file(&file.path), file }).collect()
}

fn identity(source: &'static str) -> Identity {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Identity { id: uuid::Uuid::now_v7().simple().to_string(), name, source }
}

impl ServeError {
    /// Whether it may be otherwise a moment later.
    fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Server(ServerError::Silent(_))
                | Self::Stream(StreamError::Silent(..))
                | Self::Snapshots(BucketError::Silent(_))
                | Self::Fleet(FleetError::Unavailable(_))
        )
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
    #[error(transparent)]
    Snapshots(#[from] BucketError),
    /// The component engine does not start.
    #[error(transparent)]
    Engine(#[from] LoadError),
    /// Starting a shard ended in a panic.
    #[error("a shard cannot be started: {0}")]
    Shard(String),
    /// The plugin directory cannot be watched, or loading ended in a panic.
    #[error("loading plugins failed: {0}")]
    Plugins(String),
    /// The fleet's buckets cannot be used.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The system gives no threads.
    #[error("no threads can be had: {0}")]
    Threads(std::io::Error),
    /// The system gives no signals.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
    /// The client is closed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Health and metrics cannot be served.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Traces cannot be exported.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
}
