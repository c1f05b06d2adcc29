//! A generation that is live, or about to be: its code, what events say of it, whose snapshots
//! it may read, and how it fares. Knows neither how it was proven nor how it is served.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::domain::{Author, Description, Digest, Generation, PluginError};
use crate::metrics::Metrics;
use crate::snapshot::Snapshot;
use crate::witness::Window;

/// A generation under the number it went live with.
pub struct Activation {
    /// The code.
    pub generation: Arc<dyn Generation>,
    /// What events say of it.
    pub author: Author,
    /// Code whose snapshots a gate has seen this one read as the state that the events give.
    proven: BTreeSet<Digest>,
    probation: Option<Probation>,
    failures: AtomicU64,
    /// Where its domain's failures are counted, whatever code is live.
    metrics: Option<Arc<Metrics>>,
    /// Where decisions are shown, while somebody looks.
    window: RwLock<Option<Arc<Window>>>,
}

/// The time after a swap in which failures put the previous generation back.
#[derive(Clone)]
pub struct Probation {
    /// When it ends.
    pub until: Instant,
    /// How many failures are let pass.
    pub failures_max: u64,
    /// Told when there were more.
    pub failed: Arc<Notify>,
    /// Whether what it decides is tried out before it is stored: it is code that the log does not
    /// know as its last.
    pub trying: bool,
}

/// What to do with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It is as good as an own one.
    Own,
    /// It was written under another state schema number: the plugin says whether it reads it.
    Offer,
    /// Other code wrote it under the same number, and nothing proves that the two mean the same.
    Never,
}

impl Activation {
    /// A generation under its activation number, which may read the snapshots of `proven` code.
    pub fn new(generation: Arc<dyn Generation>, number: u64, proven: BTreeSet<Digest>) -> Self {
        let author = Author { plugin: plugin_text(&*generation), activation: number };
        let (failures, window) = (AtomicU64::new(0), RwLock::default());
        Self { generation, author, proven, probation: None, failures, window, metrics: None }
    }

    /// The same with its failures counted there as well.
    #[must_use]
    pub fn counted_in(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    /// The same on probation.
    #[must_use]
    pub fn on_probation(self, probation: Probation) -> Self {
        Self { probation: Some(probation), ..self }
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.author.activation
    }

    /// SHA-256 of its code.
    pub fn digest(&self) -> Digest {
        self.generation.digest()
    }

    /// What the plugin says it is.
    pub fn description(&self) -> &Description {
        self.generation.description()
    }

    /// The code whose snapshots it reads beside its own.
    pub fn proven(&self) -> &BTreeSet<Digest> {
        &self.proven
    }

    /// What to do with a snapshot: code that changes while the state schema does not would
    /// still decode it, and be silently wrong.
    pub fn reading_of(&self, snapshot: &Snapshot) -> Reading {
        let (code, own_schema) = (Digest(snapshot.code), self.description().state_schema);
        if self.reads(code) {
            Reading::Own
        } else if snapshot.state_schema != own_schema {
            Reading::Offer
        } else {
            Reading::Never
        }
    }

    /// Whether it reads the snapshots of this code as if they were its own.
    pub fn reads(&self, code: Digest) -> bool {
        code == self.digest() || self.proven.contains(&code)
    }

    /// Whether events of this author come from other code that went live after this one, or
    /// elsewhere under the same number.
    pub fn is_overtaken_by(&self, author: &Author) -> bool {
        author.activation >= self.author.activation && author.plugin != self.author.plugin
            || author.activation > self.author.activation
    }

    /// Notes that the plugin failed. What failed because its instance was lost before does not
    /// count again.
    pub fn failed(&self, error: &PluginError) {
        if matches!(error, PluginError::InstanceLost) {
            return;
        }
        if let Some(metrics) = &self.metrics {
            metrics.plugin_failures.add(1);
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(probation) = &self.probation
            && failures > probation.failures_max
            && Instant::now() < probation.until
        {
            probation.failed.notify_one();
        }
    }

    /// Lets somebody look at its decisions, or nobody any more.
    pub fn show_to(&self, window: Option<Arc<Window>>) {
        *self.window.write().unwrap_or_else(PoisonError::into_inner) = window;
    }

    /// The window through which this command's decision is looked at, where there is one.
    pub fn window_for(&self, command_id: &str) -> Option<Arc<Window>> {
        let window = self.window.read().unwrap_or_else(PoisonError::into_inner);
        window.as_ref().filter(|window| window.shows(command_id)).map(Arc::clone)
    }

    /// How often the plugin failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Whether it failed too often on probation.
    pub fn has_failed_probation(&self) -> bool {
        self.probation.as_ref().is_some_and(|p| self.failures() > p.failures_max && Instant::now() < p.until)
    }

    /// Whether what it decides is tried out before it is stored.
    pub fn is_tried_out(&self) -> bool {
        self.probation.as_ref().is_some_and(|p| p.trying && Instant::now() < p.until)
    }

    /// How long the probation still lasts; zero where there is none.
    pub fn probation_left(&self) -> Duration {
        self.probation.as_ref().map_or(Duration::ZERO, |p| p.until.saturating_duration_since(Instant::now()))
    }
}

/// `<name>/<version>;sha256=<hex>`: what events say of the code that decided them.
pub fn plugin_text(generation: &dyn Generation) -> Arc<str> {
    let description = generation.description();
    format!("{}/{};sha256={}", description.domain, description.version, generation.digest()).into()
}
