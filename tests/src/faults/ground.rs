//! What the hosts of a run stand on. It must not know hosts, nor break anything.

use anyhow::Result;
use async_nats::ConnectOptions;
use tempfile::TempDir;
use xtask::nats_server::NatsServer;

use super::disk::Disk;
use crate::nats::Nats;
use crate::proxy::Proxy;
use crate::servers::Servers;
use crate::sites;

/// What JetStream may use on disk where there is one server: some times what a run writes.
pub const FILE_BYTES_MAX: usize = 32 << 20;
/// The file system of a server whose disk is to be full: more than JetStream may use.
const DISK_BYTES: usize = 2 * FILE_BYTES_MAX;
/// The JetStream domain of the leaf node, as the hub's shipped stream names it.
pub const SITE: &str = "site-a";

/// The kinds of ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// One server that syncs every write.
    Single,
    /// Three servers, streams with three replicas.
    Cluster,
    /// A leaf node with streams of its own, and a hub that sources their events.
    LeafAndHub,
}

/// One that has been put up. What is dropped first stands first.
pub struct Footing {
    /// What the hosts connect to.
    pub servers: Servers,
    /// The hub, where there is one.
    pub hub: Option<LinkedHub>,
    /// The file system of the store, where it is one of its own.
    pub disk: Option<Disk>,
    _store: Option<TempDir>,
}

/// A hub and the link by which the leaf node connects to it.
pub struct LinkedHub {
    /// The hub.
    pub hub: sites::Hub,
    /// The link.
    pub link: Proxy,
}

impl Ground {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Single, Self::Cluster, Self::LeafAndHub];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "one server",
            Self::Cluster => "three servers",
            Self::LeafAndHub => "leaf and hub",
        }
    }

    /// Puts it up; `own_disk`: with a file system for the store alone.
    pub async fn put_up(self, own_disk: bool) -> Result<Footing> {
        match self {
            Self::Single => single(own_disk).await,
            Self::Cluster => Ok(Footing { servers: Servers::three().await?, hub: None, disk: None, _store: None }),
            Self::LeafAndHub => leaf_and_hub().await,
        }
    }
}

/// One server that keeps what it has acknowledged also when the power fails.
async fn single(own_disk: bool) -> Result<Footing> {
    let mut server =
        NatsServer::builder().sync_interval("always").jetstream_settings(&format!("max_file_store: {FILE_BYTES_MAX}"));
    let disk = own_disk.then(|| Disk::mount(DISK_BYTES)).transpose()?;
    if let Some(disk) = &disk {
        server = server.store(disk.path());
    }
    let nats = Nats::connect(server.start()?, ConnectOptions::new()).await?;
    Ok(Footing { servers: Servers::of(nats), hub: None, disk, _store: None })
}

/// By the shipped configurations, for both domains.
async fn leaf_and_hub() -> Result<Footing> {
    let hub = sites::Hub::start().await?;
    let link = Proxy::to(hub.port()).await?;
    let site = hub.site_through(link.port(), SITE, |conf| Ok(sites::with_domain(conf, "counter"))).await?;
    for domain in ["agent", "counter"] {
        hub.gather_of(domain).await?;
    }
    let (nats, store) = site.into_parts();
    Ok(Footing { servers: Servers::of(nats), hub: Some(LinkedHub { hub, link }), disk: None, _store: Some(store) })
}
