//! A hub and sites with leaf nodes, from the configurations that the repository ships: only ports,
//! directories and names are fitted, and the hub advertises no other way to it. It must not know what
//! crosses the link.

use std::time::Duration;

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

/// How long a stream may take to ask its sources again: nats-server does it after 5 to 120 seconds,
/// the longer the more often it was in vain.
pub const SOURCING_MAX: Duration = Duration::from_secs(150);

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
    store: TempDir,
}

impl Hub {
    /// A hub as `hub.conf` has it.
    pub async fn start() -> Result<Self> {
        let (port, store) = (free_port()?, TempDir::with_prefix("agent-service-hub-")?);
        let fitted = fit(
            &shipped("nats/hub.conf")?,
            &[
                ("/var/lib/nats/jetstream", &store.path().display().to_string()),
                // Sites are told of no other way to it than the one they are given.
                ("127.0.0.1:7422", &format!("127.0.0.1:{port}\n  no_advertise: true")),
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
        self.site_through(self.port, name, change).await
    }

    /// The same, linked by a port that leads to the hub's own.
    pub async fn site_through(
        &self,
        port: u16,
        name: &str,
        change: impl FnOnce(&str) -> Result<String>,
    ) -> Result<Site> {
        let store = TempDir::with_prefix("agent-service-site-")?;
        let fitted = fit(
            &change(&shipped("nats/leaf.conf")?)?,
            &[
                ("/var/lib/nats/jetstream", &store.path().display().to_string()),
                ("nats-leaf://localhost:7422", &format!("\"nats-leaf://127.0.0.1:{port}\"")),
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
        Ok(Site { nats, store })
    }

    /// Where sites connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes the stream of `hub-agent-events.json`, for the sites it names.
    pub async fn gather(&self) -> Result<()> {
        self.gather_of("agent").await
    }

    /// The same for another domain.
    pub async fn gather_of(&self, domain: &str) -> Result<()> {
        let shipped = shipped("nats/hub-agent-events.json")?;
        let config: Value = serde_json::from_str(&shipped.replace("AGENT_", &format!("{}_", domain.to_uppercase())))?;
        ensure!(config["name"] == gathered(domain), "another name: {config}");
        self.nats.create_stream(&config).await
    }
}

impl Site {
    /// The server, and its store, which is removed when that is dropped.
    pub fn into_parts(self) -> (Nats, TempDir) {
        (self.nats, self.store)
    }
}

/// The stream of the hub that gathers the events of a domain.
pub fn gathered(domain: &str) -> String {
    GATHERED.replace("AGENT", &domain.to_uppercase())
}

/// A leaf node's configuration that keeps one more domain at home, as it says itself.
pub fn with_domain(conf: &str, domain: &str) -> String {
    let lines = conf.lines().flat_map(|line| {
        let denied = line.trim().starts_with("agent.");
        let further = denied.then(|| line.replace("agent.", &format!("{domain}.")));
        [line.to_owned()].into_iter().chain(further)
    });
    lines.collect::<Vec<_>>().join("\n")
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
