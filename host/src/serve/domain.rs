//! Starts one domain: its stream and bucket, its shards, its lane on the bus. Knows nothing
//! of other domains but their names.

use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::ServeError;
use crate::bus::discovery::ServedDomain;
use crate::bus::{Endpoint, Lane, LaneEnds};
use crate::clock::Clock;
use crate::config::{Layout, Service, SettingsError, SnapshotKeeping};
use crate::domain::{Author, Generation};
use crate::metrics::Metrics;
use crate::name::{Name, Subjects, stream_of};
use crate::nats::{Client, JetStream};
use crate::registry::Registered;
use crate::shard::{self, Shards};
use crate::store::SnapshotStore;
use crate::store::jetstream::{
    EventStream, JetStreamEvents, JetStreamSnapshots, ServerFacts, StreamLayout, StreamSettings,
};
use crate::store::memory::MemorySnapshots;

/// Room that a reply's headers need beside its payload, in bytes.
const REPLY_HEADERS_BYTES: usize = 4_096;
/// Most shards of a domain: more threads than this only wait for the one connection.
const SHARDS_MAX: usize = 4;
/// The domain whose stream has a setting of its own.
const AGENT: &str = "agent";

/// What starting a domain needs.
pub(super) struct DomainStart<'a> {
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
            shard_count(),
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
        let lane = lane.open(shards, LaneEnds { stop, misplaced, lost }).await?;
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

/// What events will say of the code: the activation number grows when the code is not that
/// of the newest event.
async fn author(events: &JetStreamEvents, generation: &dyn Generation) -> Result<Author, ServeError> {
    let description = generation.description();
    let plugin = format!("{}/{};sha256={}", description.domain, description.version, generation.digest());
    let newest = events.newest_author().await.unwrap_or_else(|error| {
        tracing::warn!(domain = %description.domain, %error, "the newest event cannot be read: activations are counted anew");
        None
    });
    let activation = match newest {
        None => 1,
        Some(newest) if *newest.plugin == *plugin => newest.activation,
        Some(newest) => newest.activation + 1,
    };
    Ok(Author { plugin: plugin.into(), activation })
}
