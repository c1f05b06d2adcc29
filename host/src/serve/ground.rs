//! What a domain stands on: its stream and its snapshots, found or made. Knows nothing of the
//! code that will serve it.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::{ServeError, Surroundings};
use crate::config::{Connection, Layout, Service, SettingsError, SnapshotKeeping};
use crate::domain::Author;
use crate::name::{Name, SERVICE};
use crate::nats::{self, Client, JetStream};
use crate::store::jetstream::{EventStream, Home, JetStreamEvents, JetStreamSnapshots, StreamLayout, StreamSettings};
use crate::store::memory::MemorySnapshots;
use crate::store::{EventStore, SnapshotStore};

/// The stores of one domain, over the host's own connection.
pub(super) struct Ground {
    pub(super) home: Home,
    pub(super) events: Arc<dyn EventStore>,
    pub(super) snapshots: Arc<dyn SnapshotStore>,
    log: JetStreamEvents,
}

impl Ground {
    /// Finds the stream and the bucket of a domain, or makes them.
    pub(super) async fn open(around: &Surroundings, domain: &Name, lost: Arc<Notify>) -> Result<Self, ServeError> {
        let settings = &around.service;
        let stream = EventStream::open(&around.context, domain, &stream_settings(domain, settings)).await?;
        check(domain, &stream, settings)?;
        let home = Home {
            domain: domain.clone(),
            stream,
            js_domain: around.server.domain.clone(),
            ack_timeout: settings.append_timeout,
            misplaced: watch::Sender::new(None),
            lost,
            open_batches: around.open_batches.of_another_domain(),
        };
        let log = JetStreamEvents::new(around.client.clone(), around.context.clone(), home.clone());
        let snapshots: Arc<dyn SnapshotStore> = match settings.snapshot_store {
            SnapshotKeeping::Memory => Arc::new(MemorySnapshots::default()),
            SnapshotKeeping::Jetstream => bucket(&around.client, &around.context, domain, settings).await?,
        };
        let events = log.clone();
        Ok(Self { home, events: Arc::new(events), snapshots, log })
    }

    /// The way to open the same stores over another connection.
    pub(super) fn by_way_of(&self, around: &Surroundings) -> Passage {
        let in_memory = around.service.snapshot_store == SnapshotKeeping::Memory;
        Passage {
            connection: around.connection.clone(),
            service: around.service.clone(),
            home: self.home.clone(),
            in_memory: in_memory.then(|| Arc::clone(&self.snapshots)),
        }
    }

    /// What the newest event says of the code that decided it.
    pub(super) async fn newest_author(&self) -> Option<Author> {
        self.log.newest_author().await.unwrap_or_else(|error| {
            tracing::warn!(domain = %self.home.domain, %error, "the newest event cannot be read: activations are counted without it");
            None
        })
    }
}

/// How to get at the stores of a domain over a connection of one's own.
pub(super) struct Passage {
    connection: Connection,
    service: Service,
    home: Home,
    in_memory: Option<Arc<dyn SnapshotStore>>,
}

/// The stores of a domain over a connection of one's own.
pub(super) struct Stores {
    pub(super) client: Client,
    pub(super) events: Arc<dyn EventStore>,
    pub(super) snapshots: Arc<dyn SnapshotStore>,
}

impl Passage {
    /// Connects. What comes of it lives on the runtime that this is called on.
    pub(super) async fn open(self) -> Result<Stores, ServeError> {
        let client = nats::connect(&self.connection, SERVICE).await?;
        let context = nats::jetstream(client.clone(), &self.connection);
        let snapshots = match self.in_memory {
            Some(shared) => shared,
            None => bucket(&client, &context, &self.home.domain, &self.service).await?,
        };
        let events = Arc::new(JetStreamEvents::new(client.clone(), context, self.home));
        events.open_inboxes().await;
        Ok(Stores { client, events, snapshots })
    }
}

async fn bucket(
    client: &Client,
    context: &JetStream,
    domain: &Name,
    settings: &Service,
) -> Result<Arc<dyn SnapshotStore>, ServeError> {
    let opened = JetStreamSnapshots::open(client.clone(), context, domain, usize::from(settings.stream_replicas)).await;
    Ok(Arc::new(opened?))
}

/// Says once what is not wrong but will surprise.
fn check(domain: &Name, stream: &EventStream, settings: &Service) -> Result<(), ServeError> {
    if settings.snapshot_store == SnapshotKeeping::Memory && stream.age_max.is_some() {
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
    if !stream.shares_batches() {
        tracing::info!(%domain, stream = stream.name, "commands of several events are stored one by one: the server that leads the stream has faults that forbid more (nats-server#8376 is one), 2.15 and later have not");
    }
    Ok(())
}

/// The stream a domain has, by the settings.
pub fn stream_settings(domain: &Name, settings: &Service) -> StreamSettings {
    StreamSettings {
        name: settings.stream_of(domain),
        layout: match settings.stream_layout {
            Layout::Split => StreamLayout::Split,
            Layout::Combined => StreamLayout::Combined,
        },
        replicas: usize::from(settings.stream_replicas),
        age_max: (!settings.stream_max_age.is_zero()).then_some(settings.stream_max_age),
    }
}
