//! How a candidate goes live. Knows nothing of where candidates come from.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use super::ServeError;
use super::background::in_background_with_runtime;
use super::domain::Domain;
use super::ground::{Ground, Stores};
use super::loader::{Loader, Served};
use super::status::{Origin, Refusal};
use crate::activation::{Activation, Probation, plugin_text};
use crate::clock::Clock;
use crate::domain::{Author, Digest, Generation};
use crate::gate::{Budget, Code, Gate, RECENT_MAX, Report, Verdict};
use crate::name::{AggregateId, Name};
use crate::registry::Loaded;
use crate::store::{CodeRecord, SnapshotStore, Unavailable};

/// Code that is to go live.
pub(super) struct Candidate {
    pub(super) generation: Arc<dyn Generation>,
    pub(super) component: Vec<u8>,
    pub(super) origin: Origin,
    /// Whether the operator takes differences for wanted.
    pub(super) accept_drift: bool,
    /// Whether somebody asked for this very code, whatever happened to it before.
    pub(super) told: bool,
    /// Its activation number, where the fleet gives it.
    pub(super) number: Option<u64>,
    /// Whether it is a way back, which no gate may refuse.
    pub(super) way_back: bool,
}

/// Why a candidate did not go live.
pub(super) enum Refused {
    /// Because of what it is.
    Code(Box<Refusal>),
    /// Because its domain cannot be served at all.
    Serve(ServeError),
}

impl From<ServeError> for Refused {
    fn from(error: ServeError) -> Self {
        Self::Serve(error)
    }
}

impl Candidate {
    pub(super) fn of(loaded: Loaded, origin: Origin) -> Self {
        let Loaded { plugin, component } = loaded;
        let generation: Arc<dyn Generation> = Arc::new(plugin);
        Self { generation, component, origin, accept_drift: false, told: false, number: None, way_back: false }
    }

    /// Code that was live on this host before, whose component is kept already.
    pub(super) fn known(generation: Arc<dyn Generation>, origin: Origin) -> Self {
        Self {
            generation,
            component: Vec::new(),
            origin,
            accept_drift: true,
            told: true,
            number: None,
            way_back: false,
        }
    }

    pub(super) fn domain(&self) -> &Name {
        &self.generation.description().domain
    }

    pub(super) fn digest(&self) -> Digest {
        self.generation.digest()
    }

    pub(super) fn refused(&self, why: String, report: Option<Report>) -> Refused {
        Refused::Code(Box::new(Refusal {
            origin: self.origin.clone(),
            domain: Some(self.domain().clone()),
            code: Some(Code::of(&*self.generation)),
            why,
            report: report.map(Arc::new),
            again: false,
            at: Clock::System.now(),
        }))
    }

    /// Nothing is known against it, but it cannot be judged now.
    fn put_off(&self, why: String) -> Refused {
        let code = Some(Code::of(&*self.generation));
        let refusal = Refusal { code, ..Refusal::for_now(self.origin.clone(), self.domain(), why) };
        Refused::Code(Box::new(refusal))
    }
}

/// What a candidate is held against, and with what.
pub(super) struct Trial<'a> {
    pub(super) ground: &'a Ground,
    pub(super) live: Option<Arc<Activation>>,
    pub(super) recent: Vec<AggregateId>,
}

impl Loader {
    /// Lets a candidate prove itself, and go live where it does.
    ///
    /// # Errors
    /// [`Refused`]: whatever was live still is.
    pub(super) async fn admit(&mut self, candidate: Candidate) -> Result<Arc<Activation>, Refused> {
        let domain = candidate.domain().clone();
        match self.served.contains_key(&domain) {
            true => self.swap(&domain, candidate).await,
            false => self.start(&domain, candidate).await,
        }
    }

    /// Counts a candidate that has passed the gate.
    fn passed(&self, report: Report, domain: &Name) -> Report {
        self.around.health.metrics_of(domain).gate_accepted.add(1);
        report
    }

    /// Other code for a domain that is served.
    async fn swap(&mut self, domain: &Name, candidate: Candidate) -> Result<Arc<Activation>, Refused> {
        let begun = Instant::now();
        let Some(served) = self.served.get(domain) else {
            return Err(candidate.refused("its domain is served no more".into(), None));
        };
        let ground = &served.domain.ground;
        let mut record = self.record(domain, &ground.snapshots, candidate.digest()).await;
        let report = if candidate.digest() == served.live.digest() {
            None
        } else {
            self.check_denied(&candidate, &record)?;
            let trial = Trial {
                ground,
                live: Some(Arc::clone(&served.live)),
                recent: served.domain.orders.recent(RECENT_MAX).await,
            };
            Some(self.passed(self.gate(&candidate, &record, trial).await?, domain))
        };
        let newest = ground.newest_author().await;
        let number =
            candidate.number.unwrap_or_else(|| next_number(served.live.number(), newest, &*candidate.generation));
        learn(&mut record, report.as_ref());
        record.denied = None;
        if candidate.digest() != served.live.digest() {
            record.before = Some(served.live.digest());
        }
        let activation = self.activation(&candidate, number, &record, report.is_some());
        self.note(domain, &candidate, record).await;
        self.go_live(domain, &candidate, &activation, report).await;
        tracing::info!(%domain, activation = number, plugin = &*activation.author.plugin, took_ms = begun.elapsed().as_millis(), "plugin swapped");
        Ok(activation)
    }

    async fn go_live(
        &mut self,
        domain: &Name,
        candidate: &Candidate,
        activation: &Arc<Activation>,
        report: Option<Report>,
    ) {
        let Some(served) = self.served.get_mut(domain) else { return };
        served.domain.activate(activation).await;
        served.domain.metrics.swaps.add(1);
        let before = std::mem::replace(&mut served.live, Arc::clone(activation));
        if before.digest() != activation.digest() {
            served.previous = Some(Arc::clone(&before.generation));
            served.before = Some(before.digest());
        }
        served.origin = candidate.origin.clone();
        served.since = Clock::System.now();
        served.report = report.map(Arc::new);
        served.shadow = None;
        let detail = json!({
            "activation": activation.number(),
            "plugin": &*activation.author.plugin,
            "before": &*before.author.plugin,
            "report": served.report,
        });
        self.tell_status(domain);
        self.tell(Some(domain), "live", &detail).await;
    }

    /// The first code of a domain on this host. What the log names as its last code is brought
    /// back to hold it against, where it was kept; it is served as well where the candidate is
    /// refused.
    async fn start(&mut self, domain: &Name, candidate: Candidate) -> Result<Arc<Activation>, Refused> {
        let ground = Ground::open(&self.around, domain, Arc::clone(&self.lost)).await?;
        let mut record = self.record(domain, &ground.snapshots, candidate.digest()).await;
        let newest = ground.newest_author().await;
        let known = newest.as_ref().is_some_and(|newest| *newest.plugin == *plugin_text(&*candidate.generation));
        let before = newest.as_ref().and_then(Author::digest);
        let mut report = None;
        let judged = if candidate.way_back || known && record.denied.is_none() {
            Ok(())
        } else {
            let before = self.code_before(&newest, &record).await;
            let judged = match self.check_denied(&candidate, &record) {
                Ok(()) if newest.is_some() => {
                    let live = before.as_ref().map(|before| self.partner(before, &newest));
                    let trial = Trial { ground: &ground, live, recent: Vec::new() };
                    self.gate(&candidate, &record, trial).await.map(|found| report = Some(self.passed(found, domain)))
                }
                other => other,
            };
            match (judged, before) {
                (Err(Refused::Code(refusal)), Some(before)) => {
                    // The candidate is refused, and what was live before the restart goes on.
                    self.refuse(*refusal).await;
                    return self.go_on(ground, before, newest).await;
                }
                (judged, _) => judged,
            }
        };
        judged?;
        learn(&mut record, report.as_ref());
        record.denied = None;
        let number = candidate.number.unwrap_or_else(|| next_number(0, newest, &*candidate.generation));
        let activation = self.activation(&candidate, number, &record, report.is_some());
        if report.is_some() {
            record.before = before.filter(|before| *before != candidate.digest()).or(record.before);
            self.note_at(&ground.snapshots, &candidate, record.clone()).await;
        }
        self.keep(&candidate).await;
        self.serve(ground, candidate, activation, &record, report).await
    }

    /// Code that was live before this host started goes on.
    async fn go_on(
        &mut self,
        ground: Ground,
        kept: Loaded,
        newest: Option<Author>,
    ) -> Result<Arc<Activation>, Refused> {
        let kept = Candidate::of(kept, Origin::Kept);
        let number = next_number(0, newest, &*kept.generation);
        let record = self.record(kept.domain(), &ground.snapshots, kept.digest()).await;
        let activation = self.activation(&kept, number, &record, false);
        self.serve(ground, kept, activation, &record, None).await
    }

    /// Serves what this host has kept of the code that the log names as its last one, for a domain
    /// whose wanted code cannot be had; nothing where none was kept.
    ///
    /// # Errors
    /// [`Refused`] where the domain cannot be served at all.
    pub(super) async fn go_on_with_kept(&mut self, domain: &Name) -> Result<(), Refused> {
        let ground = Ground::open(&self.around, domain, Arc::clone(&self.lost)).await?;
        let newest = ground.newest_author().await;
        let Some(digest) = newest.as_ref().and_then(Author::digest) else { return Ok(()) };
        if self.record(domain, &ground.snapshots, digest).await.denied.is_some() {
            return Ok(());
        }
        match self.load_kept(digest).await {
            Some(kept) if kept.plugin.description().domain == *domain => {
                self.go_on(ground, kept, newest).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// The code that the log names as its last one, or that is to stand in for denied code.
    async fn code_before(&self, newest: &Option<Author>, record: &CodeRecord) -> Option<Loaded> {
        let named = newest.as_ref().and_then(|newest| newest.digest());
        let digest = record.denied.as_ref().map_or(named, |denied| denied.instead.or(named))?;
        match (self.load_kept(digest).await, &self.fleet) {
            // A host that has kept nothing yet holds it against the same code as the others do.
            (None, Some(fleet)) => self.fetch(fleet, digest).await.ok(),
            (kept, _) => kept,
        }
    }

    /// Code that was live on this host before, where its component was kept.
    pub(super) async fn load_kept(&self, digest: Digest) -> Option<Loaded> {
        let registry = self.around.registry.clone();
        tokio::task::spawn_blocking(move || registry.load_kept(digest)).await.ok().flatten()
    }

    fn partner(&self, before: &Loaded, newest: &Option<Author>) -> Arc<Activation> {
        let number = newest.as_ref().map_or(0, |newest| newest.activation);
        let generation: Arc<dyn Generation> = Arc::new(before.plugin.clone());
        Arc::new(Activation::new(generation, number, [].into()))
    }

    async fn serve(
        &mut self,
        ground: Ground,
        candidate: Candidate,
        activation: Arc<Activation>,
        record: &CodeRecord,
        report: Option<Report>,
    ) -> Result<Arc<Activation>, Refused> {
        let domain = candidate.domain().clone();
        let served = Served {
            domain: Domain::start(&self.around, ground, &activation, self.behind.clone()).await?,
            live: Arc::clone(&activation),
            origin: candidate.origin,
            since: Clock::System.now(),
            report: report.map(Arc::new),
            previous: None,
            before: record.before,
            shadow: None,
        };
        self.served.insert(domain.clone(), served);
        self.tell_status(&domain);
        tracing::info!(%domain, activation = activation.number(), plugin = &*activation.author.plugin, "domain is served");
        let detail = json!({"activation": activation.number(), "plugin": &*activation.author.plugin, "before": null});
        self.tell(Some(&domain), "live", &detail).await;
        Ok(activation)
    }

    /// Replays what is recorded through the candidate, and refuses it where it does not pass.
    pub(super) async fn gate(
        &self,
        candidate: &Candidate,
        record: &CodeRecord,
        trial: Trial<'_>,
    ) -> Result<Report, Refused> {
        let settings = &self.around.service;
        let budget = Budget { time: settings.plugin_gate_time, aggregates: settings.plugin_gate_aggregates as usize };
        let (generation, reads) = (Arc::clone(&candidate.generation), record.reads.clone());
        let (live, recent, passage) = (trial.live, trial.recent, trial.ground.by_way_of(&self.around));
        let run = in_background_with_runtime(move |runtime| {
            // What the gate reads is parsed on a thread that gives way as well, and does not stand
            // in line with requests and their answers.
            let Stores { events, snapshots, .. } =
                runtime.block_on(passage.open()).map_err(|error| Unavailable(error.to_string()))?;
            let (runtime, progress) = (runtime.clone(), &|_| {});
            let gate = Gate {
                candidate: generation,
                candidate_reads: reads,
                live,
                events,
                snapshots,
                recent,
                budget,
                runtime,
                progress,
            };
            gate.run()
        });
        let report = match run.await {
            Ok(Ok(report)) => report,
            Ok(Err(error)) => {
                let why = format!("what is recorded cannot be read, so it cannot prove itself: {error}");
                return Err(candidate.put_off(why));
            }
            Err(error) => return Err(candidate.refused(format!("the gate did not come to its end: {error}"), None)),
        };
        if report.passes(candidate.accept_drift) {
            tracing::info!(domain = %candidate.domain(), verdict = report.verdict.as_str(), compared = report.summary(), "plugin has passed the gate");
            return Ok(report);
        }
        let remedy = match report.verdict {
            Verdict::Different => {
                ". If that is wanted, raise the plugin's state schema number, or accept it: `agent-service plugin activate DOMAIN DIGEST --accept-drift`"
            }
            Verdict::Same | Verdict::Failed => ". Events are facts: the plugin must stay able to read them",
        };
        Err(candidate.refused(format!("{}{remedy}", report.summary()), Some(report)))
    }

    fn check_denied(&self, candidate: &Candidate, record: &CodeRecord) -> Result<(), Refused> {
        let Some(denied) = record.denied.as_ref().filter(|_| !candidate.told) else { return Ok(()) };
        let (domain, digest) = (candidate.domain(), candidate.digest());
        self.status.denied(domain, digest, Some(denied.why.clone()));
        let why = format!(
            "it was put back before ({}) and is not tried again until somebody says so: `agent-service plugin activate {domain} {digest}`",
            denied.why
        );
        Err(candidate.refused(why, None))
    }

    /// What is noted of this code; where that cannot be read, nothing is taken for proven.
    pub(super) async fn record(&self, domain: &Name, snapshots: &Arc<dyn SnapshotStore>, code: Digest) -> CodeRecord {
        snapshots.code_record(code).await.unwrap_or_else(|error| {
            tracing::warn!(%domain, %error, "what was noted of a plugin's code cannot be read");
            CodeRecord::default()
        })
    }

    async fn note(&self, domain: &Name, candidate: &Candidate, record: CodeRecord) {
        if let Some(served) = self.served.get(domain) {
            self.note_at(&served.domain.ground.snapshots, candidate, record).await;
        }
        self.status.denied(domain, candidate.digest(), None);
        self.keep(candidate).await;
    }

    async fn note_at(&self, snapshots: &Arc<dyn SnapshotStore>, candidate: &Candidate, record: CodeRecord) {
        if let Err(error) = snapshots.note_code(candidate.digest(), record).await {
            tracing::warn!(domain = %candidate.domain(), %error, "what the gate proved is not noted: after a restart, events are replayed");
        }
    }

    async fn keep(&self, candidate: &Candidate) {
        if candidate.component.is_empty() {
            return;
        }
        let (registry, digest, component) =
            (self.around.registry.clone(), candidate.digest(), candidate.component.clone());
        if tokio::task::spawn_blocking(move || registry.keep(digest, &component)).await.is_err() {
            tracing::error!("keeping a plugin ended in a panic");
        }
    }

    /// The candidate as it goes live; what it decides is tried out at first where it is new.
    fn activation(&self, candidate: &Candidate, number: u64, record: &CodeRecord, is_new: bool) -> Arc<Activation> {
        let settings = &self.around.service;
        let activation = Activation::new(Arc::clone(&candidate.generation), number, record.reads.clone())
            .counted_in(self.around.health.metrics_of(candidate.domain()));
        Arc::new(activation.on_probation(Probation {
            until: Instant::now() + settings.plugin_probation,
            failures_max: u64::from(settings.plugin_probation_failures),
            failed: Arc::clone(&self.probation_failed),
            trying: is_new,
        }))
    }
}

/// Notes whose snapshots a gate has seen the code read rightly, and whose not.
fn learn(record: &mut CodeRecord, report: Option<&Report>) {
    let Some(report) = report else { return };
    record.reads.extend(&report.reads);
    record.reads.retain(|code| !report.misread_code.contains(code));
}

/// The number of code that goes live: above all that the log and this host have seen, or that of
/// the newest event where another host is ahead with the same code.
pub(super) fn next_number(own: u64, newest: Option<Author>, generation: &dyn Generation) -> u64 {
    match newest {
        Some(newest) if newest.activation > own && *newest.plugin == *plugin_text(generation) => newest.activation,
        newest => own.max(newest.map_or(0, |newest| newest.activation)) + 1,
    }
}
