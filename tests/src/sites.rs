//! A hub and sites with leaf nodes, from the configurations that the repository ships: only ports,
//! directories and names are fitted. It must not know what crosses the link.

use anyhow::{Result, ensure};
use async_nats::ConnectOptions;
use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::nats_server::{NatsServer, free_port};

use crate::deployment::shipped;
use crate::eventually::eventually;
use crate::nats::Nats;

/// The stream of the hub that gathers the events of the sites.
pub const GATHERED: &str = "AGENT_EVENTS_ALL";

/// A hub.
pub struct Hub {
    /// Its server and a client of it.
    pub nats: Nats,
    port: u16,
    /// Removed with it.
    _store: TempDir,
}

/// A site: a leaf node with a JetStream domain of its own.
pub struct Site {
    /// Its server and a client of it.
    pub nats: Nats,
    /// Removed with it.
    _store: TempDir,
}

impl Hub {
    /// A hub as `hub.conf` has it.
    pub async fn start() -> Result<Self> {
        let (port, store) = (free_port()?, TempDir::with_prefix("agent-service-hub-")?);
        let fitted = fit(
            &shipped("nats/hub.conf")?,
            &[
                ("/var/lib/nats/jetstream", &store.path().display().to_string()),
                ("127.0.0.1:7422", &format!("127.0.0.1:{port}")),
                ("http: 127.0.0.1:8222", ""),
            ],
        )?;
        let server = NatsServer::builder().without_jetstream().settings(&fitted).start()?;
        let nats = Nats::connect_in_domain(server, ConnectOptions::new(), "hub").await?;
        Ok(Self { nats, port, _store: store })
    }

    /// A site of this name as `leaf.conf` has it, linked to the hub.
    pub async fn site(&self, name: &str) -> Result<Site> {
        self.site_but(name, |conf| Ok(conf.to_owned())).await
    }

    /// The same with a configuration that somebody has changed.
    pub async fn site_but(&self, name: &str, change: impl FnOnce(&str) -> Result<String>) -> Result<Site> {
        let store = TempDir::with_prefix("agent-service-site-")?;
        let fitted = fit(
            &change(&shipped("nats/leaf.conf")?)?,
            &[
                ("/var/lib/nats/jetstream", &store.path().display().to_string()),
                ("nats-leaf://localhost:7422", &format!("\"nats-leaf://127.0.0.1:{}\"", self.port)),
                ("http: 127.0.0.1:8222", ""),
                ("server_name: agent-site-a", &format!("server_name: agent-{name}")),
                ("domain: site-a", &format!("domain: {name}")),
            ],
        )?;
        let server = NatsServer::builder().without_jetstream().settings(&fitted).start()?;
        let nats = Nats::connect_in_domain(server, ConnectOptions::new(), name).await?;
        eventually("the site is linked to the hub", async || {
            self.nats.jetstream_api_of(name, "INFO", &json!({})).await.map(drop)
        })
        .await?;
        Ok(Site { nats, _store: store })
    }

    /// Makes the stream of `hub-agent-events.json`, for the sites it names.
    pub async fn gather(&self) -> Result<()> {
        let config: Value = serde_json::from_str(&shipped("nats/hub-agent-events.json")?)?;
        ensure!(config["name"] == GATHERED, "another name: {config}");
        self.nats.create_stream(&config).await
    }
}

/// The text with each of these in the place of what stands there; it must stand there once.
pub fn fit(text: &str, replaced: &[(&str, &str)]) -> Result<String> {
    replaced.iter().try_fold(text.to_owned(), |text, (from, to)| {
        let count = text.lines().filter(|line| !line.trim_start().starts_with('#') && line.contains(from)).count();
        ensure!(count == 1, "`{from}` stands {count} times in a shipped configuration");
        let lines: Vec<String> = text
            .lines()
            .map(|line| if line.trim_start().starts_with('#') { line.to_owned() } else { line.replace(from, to) })
            .collect();
        Ok(lines.join("\n"))
    })
}
