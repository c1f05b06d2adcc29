//! What is known of the whole process's health, from its first moment to its last: whether it is
//! ready, and which part is not. Must not know how that is told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::watched::Watched;
use crate::metrics::{Metrics, TraceCounts};
use crate::name::Name;
use crate::nats::{Client, connects, is_connected};

/// Domains whose counts are kept after they are served no more. Beyond, those of another one are
/// not told.
const DOMAINS_MAX: usize = 64;
/// Calls of a plugin that a shard may make before it takes up the next thing: each may take its
/// deadline.
const CALLS_AT_A_STRETCH: u32 = 4;
/// How long a shard may be silent beside such calls: a busy machine.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// What is known of the process's health. One for the process, over all its connections.
pub(super) struct Health {
    /// How long a shard may be silent.
    silence_max: Duration,
    stopping: AtomicBool,
    /// Connections that were made by clients that are no more.
    connects_before: AtomicU64,
    traces: Arc<TraceCounts>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    client: Option<Client>,
    /// Whether it was looked at once what there is to serve.
    begun: bool,
    domains: BTreeMap<Name, Arc<Watched>>,
    metrics: BTreeMap<Name, Arc<Metrics>>,
}

/// A part of what it takes to be ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Its name.
    pub(super) part: &'static str,
    /// The domain it is part of; none where it is the whole host's.
    pub(super) domain: Option<Name>,
    /// Why it is not there, where it is not.
    pub(super) why: Option<String>,
}

impl Serialize for Part {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told<'a> {
            part: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            domain: Option<&'a Name>,
            ok: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            why: Option<&'a str>,
        }
        let Self { part, domain, why } = self;
        Told { part, domain: domain.as_ref(), ok: why.is_none(), why: why.as_deref() }.serialize(serializer)
    }
}

/// Whether the host is ready.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    pub(super) ready: bool,
    pub(super) parts: Vec<Part>,
}

impl Readiness {
    /// The parts that are not there, in words.
    pub(super) fn failing(&self) -> String {
        let failing = self.parts.iter().filter_map(|Part { part, domain, why }| {
            let domain = domain.as_ref().map(|domain| format!(" of {domain}")).unwrap_or_default();
            why.as_ref().map(|why| format!("{part}{domain}: {why}"))
        });
        failing.collect::<Vec<_>>().join("; ")
    }
}

/// A shard that gives no sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Silent {
    domain: Name,
    shard: usize,
    silence: Duration,
}

impl std::fmt::Display for Silent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "shard {} of {} has been silent for {} s", self.shard, self.domain, self.silence.as_secs())
    }
}

impl Health {
    /// Nothing is there yet; a plugin's call may take so long.
    pub(super) fn new(plugin_deadline: Duration) -> Self {
        Self {
            silence_max: plugin_deadline.saturating_mul(CALLS_AT_A_STRETCH).saturating_add(SILENCE_MAX),
            stopping: AtomicBool::new(false),
            connects_before: AtomicU64::new(0),
            traces: Arc::default(),
            known: Mutex::default(),
        }
    }

    /// The counts of a domain, the same whenever and however often it is served.
    pub(super) fn metrics_of(&self, domain: &Name) -> Arc<Metrics> {
        let metrics = &mut self.known().metrics;
        match metrics.get(domain) {
            Some(known) => Arc::clone(known),
            None if metrics.len() >= DOMAINS_MAX => Arc::default(),
            None => Arc::clone(metrics.entry(domain.clone()).or_default()),
        }
    }

    /// What became of traces.
    pub(super) fn trace_counts(&self) -> Arc<TraceCounts> {
        Arc::clone(&self.traces)
    }

    /// The counts of all domains.
    pub(super) fn metrics(&self) -> Vec<(Name, Arc<Metrics>)> {
        self.known().metrics.iter().map(|(domain, metrics)| (domain.clone(), Arc::clone(metrics))).collect()
    }

    /// The host has this connection.
    pub(super) fn connected(&self, client: Client) {
        self.known().client = Some(client);
    }

    /// The host has no connection and serves nothing.
    pub(super) fn disconnected(&self) {
        let mut known = self.known();
        let Known { client, begun, domains, .. } = &mut *known;
        if let Some(client) = client.take() {
            self.connects_before.fetch_add(connects(&client), Ordering::Relaxed);
        }
        *begun = false;
        domains.clear();
    }

    /// The host serves these domains and no others.
    pub(super) fn serves(&self, domains: impl IntoIterator<Item = Arc<Watched>>) {
        self.known().domains = domains.into_iter().map(|watched| (watched.domain.clone(), watched)).collect();
    }

    /// All that was there to serve at first is served.
    pub(super) fn begun(&self) {
        self.known().begun = true;
    }

    /// The host stops, and is not ready any more.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether it stops.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The domains that are served.
    pub(super) fn domains(&self) -> Vec<Arc<Watched>> {
        self.known().domains.values().map(Arc::clone).collect()
    }

    /// Whether the host's connection stands.
    pub(super) fn is_connected(&self) -> bool {
        self.known().client.as_ref().is_some_and(is_connected)
    }

    /// How often the host's connection came back.
    pub(super) fn reconnects(&self) -> u64 {
        let now = self.known().client.as_ref().map_or(0, connects);
        (self.connects_before.load(Ordering::Relaxed) + now).saturating_sub(1)
    }

    /// Whether the host is ready, and what it lacks where it is not.
    pub(super) fn readiness(&self) -> Readiness {
        let part = |part, why: Option<&str>| Part { part, domain: None, why: why.map(str::to_owned) };
        if self.is_stopping() {
            return Readiness { ready: false, parts: vec![part("host", Some("stopping"))] };
        }
        let (client, begun, domains) = {
            let known = self.known();
            (known.client.clone(), known.begun, known.domains.values().map(Arc::clone).collect::<Vec<_>>())
        };
        let nats = match client {
            None => Some("not connected yet"),
            Some(client) if !is_connected(&client) || !domains.iter().all(|domain| domain.is_connected()) => {
                Some("the connection is lost, and tried again until it is back")
            }
            Some(_) => None,
        };
        let plugins = match (begun, domains.is_empty()) {
            (false, _) => Some("not loaded yet"),
            (true, true) => Some("there is no plugin to serve"),
            (true, false) => None,
        };
        let mut parts = vec![part("nats", nats), part("plugins", plugins)];
        parts.extend(domains.iter().flat_map(|domain| domain.parts()));
        Readiness { ready: parts.iter().all(|part| part.why.is_none()), parts }
    }

    /// A shard that has been silent for longer than plugins may take; it will not come back.
    pub(super) fn silent(&self) -> Option<Silent> {
        let now = Instant::now();
        self.domains().iter().find_map(|watched| {
            let (shard, silence) = watched.silence(now).filter(|(_, silence)| *silence > self.silence_max)?;
            Some(Silent { domain: watched.domain.clone(), shard, silence })
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
