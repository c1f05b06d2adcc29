//! A hub and a leaf node with nothing denied on the link between them, each with a JetStream domain of its
//! own: as no site should be. It must not know what crosses the link.

use anyhow::Result;
use async_nats::ConnectOptions;
use xtask::nats_server::{NatsServer, free_port};

use crate::nats::Nats;

/// The hub, in the domain `hub`, and the leaf, in the domain `leaf`.
pub async fn hub_and_leaf() -> Result<(Nats, Nats)> {
    let port = free_port()?;
    let hub = NatsServer::builder()
        .jetstream_settings("domain: hub")
        .settings(&format!("leafnodes {{ listen: \"127.0.0.1:{port}\" }}"))
        .start()?;
    let leaf = NatsServer::builder()
        .jetstream_settings("domain: leaf")
        .settings(&format!("leafnodes {{ remotes: [ {{ url: \"nats-leaf://127.0.0.1:{port}\" }} ] }}"))
        .start()?;
    let hub = Nats::connect_in_domain(hub, ConnectOptions::new(), "hub").await?;
    let leaf = Nats::connect_in_domain(leaf, ConnectOptions::new(), "leaf").await?;
    Ok((hub, leaf))
}
