//! A command's way through the house: load, decide, append, evolve, reply. Knows neither
//! where commands come from nor how anything is stored.

use std::sync::Arc;
use std::time::Instant;

use super::failures::failed;
use super::live::Live;
use super::parked::Parked;
use super::trial::Trials;
use super::{Job, Succession};
use crate::clock::{Clock, Timestamp};
use crate::domain::{Context, Decision, DomainEvent, EVENTS_PER_COMMAND_MAX, PluginError};
use crate::event::{NewEvents, decision_seed};
use crate::instances::Instances;
use crate::message::{Code, Command, Failure, Outcome, Recorded, Reply, Request};
use crate::metrics::{Meter, Metrics, Stage};
use crate::name::{AggregateId, Name};
use crate::store::{AppendError, EventStore, Replica, Saved, SnapshotStore, Unavailable};
use crate::trace::{self, Tracer};
use crate::witness::Witnessed;

/// How often a command is decided anew after another writer was first. Writers that collide
/// more often than this are told so, to come again.
const ATTEMPTS_MAX: usize = 16;

/// Everything the aggregates of one shard share.
pub(super) struct Pipeline {
    pub(super) domain: Name,
    pub(super) events: Arc<dyn EventStore>,
    pub(super) snapshots: Arc<dyn SnapshotStore>,
    pub(super) instances: Instances,
    pub(super) trials: Trials,
    pub(super) parked: Parked,
    pub(super) succession: Option<Arc<dyn Succession>>,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) meter: Arc<Meter>,
    pub(super) tracer: Option<Arc<dyn Tracer>>,
    pub(super) snapshot_frequency: u64,
    pub(super) reply_bytes_max: Arc<dyn Fn() -> usize + Send + Sync>,
    pub(super) cursors: std::cell::RefCell<super::query::Cursors>,
}

/// What deciding a command came to.
enum Verdict {
    /// Facts to store.
    Record(Vec<DomainEvent>),
    /// An answer that writes nothing, true of the aggregate at this version.
    Answer(Result<Outcome, Failure>),
}

impl Pipeline {
    /// Counts a reply that is ready, and sends it.
    pub(super) async fn reply(&self, job: Job, reply: Reply) {
        let (asked, after) = ((&job.request).into(), job.arrived.elapsed());
        self.metrics.replied(asked, &reply);
        self.meter.answered(asked, after);
        if self.tracer.is_some() {
            trace::answered(&reply);
        }
        job.responder.respond(reply, after).await;
    }

    /// Serves one request to one aggregate; takes it live or not, and leaves it live where
    /// that is of use.
    pub(super) async fn serve(&self, live: &mut Option<Live>, request: &Request) -> Reply {
        #[cfg(feature = "sabotage")]
        crate::sabotage::gets_stuck();
        let mut may_be_stored = false;
        let mut outcome = self.attempt(live, request, &mut may_be_stored).await;
        if outcome.as_ref().is_err_and(|failure| failure.mendable) {
            // Another aggregate took the instance down: a fresh one serves this request.
            outcome = self.attempt(live, request, &mut may_be_stored).await;
        }
        if let Err(Failure { awaits: Some(activation), .. }) = &outcome
            && let Some(succession) = &self.succession
            && succession.follow(activation.get()).await
        {
            outcome = self.attempt(live, request, &mut may_be_stored).await;
        }
        // Any other code would promise that nothing is stored.
        if let Err(failure) = &mut outcome
            && may_be_stored
        {
            failure.code = Code::Timeout;
            failure.retryable = true;
        }
        match outcome {
            Ok(outcome) => Reply::Ok(outcome),
            Err(failure) => {
                self.log(request.id(), &failure);
                Reply::Error(failure)
            }
        }
    }

    /// `may_be_stored` tells whether the store may have what it was asked to store, though it refused.
    async fn attempt(
        &self,
        live: &mut Option<Live>,
        request: &Request,
        may_be_stored: &mut bool,
    ) -> Result<Outcome, Failure> {
        match request {
            Request::Command(command) => self.command(live, command, may_be_stored).await,
            Request::Query(query) => self.query(live, query).await,
        }
    }

    /// One line per request that was not done, as loud as it matters to an operator.
    fn log(&self, id: &AggregateId, failure: &Failure) {
        let (domain, error) = (&self.domain, &failure.message);
        match failure.code {
            Code::PluginFailed => tracing::error!(%domain, aggregate = %id, error, "plugin failed"),
            Code::Unavailable | Code::Timeout | Code::Overloaded => {
                tracing::warn!(%domain, aggregate = %id, code = failure.code.as_str(), error, "request not done");
            }
            Code::Invalid => tracing::info!(%domain, aggregate = %id, error, "invalid request"),
            Code::Rejected | Code::NotFound | Code::Expired | Code::Conflict => {
                tracing::debug!(%domain, aggregate = %id, code = failure.code.as_str(), error, "request refused");
            }
        }
    }

    async fn command(
        &self,
        live: &mut Option<Live>,
        command: &Command,
        may_be_stored: &mut bool,
    ) -> Result<Outcome, Failure> {
        let (mut aggregate, confirmed) = self.ready(live.take(), &command.id, Replica::Any).await?;
        let outcome = self.settle(&mut aggregate, confirmed, command, may_be_stored).await;
        *live = keep(aggregate);
        outcome
    }

    /// Decides until there is an answer that holds: stored, or confirmed by the log's leader.
    async fn settle(
        &self,
        aggregate: &mut Live,
        mut confirmed: bool,
        command: &Command,
        may_be_stored: &mut bool,
    ) -> Result<Outcome, Failure> {
        let id = &command.id;
        for _ in 0..ATTEMPTS_MAX {
            if let Some(earlier) = aggregate.commands.find(&command.command_id)
                && let Some(outcome) = self.first_outcome(command, earlier).await?
            {
                return Ok(outcome);
            }
            let time = self.clock.now().max(aggregate.last_time);
            let begun = Instant::now();
            let verdict = self.decide(aggregate, command, time);
            let decided = Instant::now();
            self.passed(Stage::Decide, decided - begun);
            match verdict? {
                // Only a leader that has nothing newer makes an answer true that writes nothing.
                Verdict::Answer(answer) if confirmed => return answer,
                Verdict::Answer(answer) => {
                    if !self.catch_up(id, aggregate).await? {
                        return answer;
                    }
                    confirmed = true;
                }
                Verdict::Record(events) => match self.record_tried(aggregate, command, time, events, decided).await {
                    Ok(outcome) => return Ok(outcome),
                    Err(AppendError::Conflict { last }) => {
                        // While a cluster's leader changes, the old one may refuse what the new one stores.
                        *may_be_stored = true;
                        self.metrics.conflicts.add(1);
                        trace::note("another writer was first");
                        confirmed = self.catch_up_refused(command, aggregate, last, may_be_stored).await?;
                    }
                    Err(AppendError::AlreadyStored) => {
                        *may_be_stored = true;
                        self.catch_up(id, aggregate).await?;
                        confirmed = true;
                        if aggregate.commands.find(&command.command_id).is_none() {
                            return self.forgotten_outcome(aggregate, command).await;
                        }
                    }
                    Err(AppendError::Unknown(why) | AppendError::Misplaced(why)) => {
                        aggregate.doubtful = true;
                        return Err(Failure::new(Code::Timeout, why).about(id));
                    }
                    Err(AppendError::Unavailable(why)) => return Err(Failure::new(Code::Unavailable, why).about(id)),
                    Err(AppendError::Unstorable(why)) => return Err(Failure::new(Code::PluginFailed, why).about(id)),
                },
            }
        }
        let message = format!("other writers were first {ATTEMPTS_MAX} times in a row: send the command again");
        Err(Failure { retryable: true, ..Failure::new(Code::Conflict, message) }.of(id, aggregate.version))
    }

    /// The aggregate, loaded of that replica where it is not live; and whether the leader was just asked.
    pub(super) async fn ready(
        &self,
        live: Option<Live>,
        id: &AggregateId,
        of: Replica,
    ) -> Result<(Live, bool), Failure> {
        if let Some(mut live) = live {
            if live.is_usable() || self.moves_on(&mut live, id) {
                self.metrics.cache_hits.add(1);
                return Ok((live, false));
            }
            // It leaves memory here, and where events have aged nobody else has all of its state.
            if live.is_sound() && live.is_unsaved() {
                self.save_or_warn(id, &mut live).await;
            }
        }
        self.metrics.cache_misses.add(1);
        let begun = Instant::now();
        let loaded = self.load(id, of).await;
        self.passed(Stage::Load, begun.elapsed());
        Ok((loaded?, of == Replica::Leader))
    }

    /// Whether a live aggregate goes on in an instance of the code that is live now. What that
    /// code is not proven to read is left to the log.
    fn moves_on(&self, live: &mut Live, id: &AggregateId) -> bool {
        if !live.is_sound() || !self.instances.activation().reads(live.activation().digest()) {
            return false;
        }
        match live.move_on(&self.instances, id) {
            Ok(Ok(())) => true,
            Ok(Err(refusal)) => {
                tracing::warn!(domain = %self.domain, aggregate = %id, refusal, "plugin does not take a live aggregate over: it is loaded from the log");
                false
            }
            Err(error) => {
                tracing::warn!(domain = %self.domain, aggregate = %id, %error, "a live aggregate cannot move on: it is loaded from the log");
                false
            }
        }
    }

    fn decide(&self, aggregate: &Live, command: &Command, time: Timestamp) -> Result<Verdict, Failure> {
        let (id, version) = (&command.id, aggregate.version);
        if let Some(expected) = command.expected_version
            && expected != version
        {
            let message = format!("expected version {expected}, the aggregate is at version {version}");
            return Ok(Verdict::Answer(Err(Failure::new(Code::Conflict, message).of(id, version))));
        }
        let context = Context {
            command_id: &command.command_id,
            aggregate_id: id,
            version,
            time,
            correlation_id: command.correlation(),
            actor: command.actor.as_deref(),
            seed: decision_seed(&self.domain, id, &command.command_id),
        };
        let decision = aggregate.decide(&context, &command.verb, &command.payload).map_err(|e| failed(id, e))?;
        if let Some(window) = aggregate.activation().window_for(&command.command_id) {
            let (command, last_sequence, decision) = (command.clone(), aggregate.last_sequence, decision.clone());
            window.show(Witnessed { command, version, last_sequence, time, decision });
        }
        Ok(match decision {
            Decision::Events(events) if events.is_empty() => {
                Verdict::Answer(Ok(Outcome::Accepted { id: id.clone(), version, duplicate: false, events: Vec::new() }))
            }
            Decision::Events(events) if events.len() > EVENTS_PER_COMMAND_MAX => {
                let why = format!(
                    "one command led to {} events, at most {EVENTS_PER_COMMAND_MAX} can be stored together",
                    events.len()
                );
                return Err(failed(id, PluginError::ContractBroken(why)));
            }
            Decision::Events(events) => Verdict::Record(events),
            Decision::Rejected { reason, message } => {
                let rejection = Failure { reason: Some(reason), ..Failure::new(Code::Rejected, message) };
                Verdict::Answer(Err(rejection.of(id, version)))
            }
            Decision::Invalid { field, message } => return Err(Failure::invalid(&field, message).about(id)),
        })
    }

    /// Stores a command's events, after they were tried out where that is due.
    async fn record_tried(
        &self,
        aggregate: &mut Live,
        command: &Command,
        time: Timestamp,
        events: Vec<DomainEvent>,
        decided: Instant,
    ) -> Result<Outcome, AppendError> {
        if self.trials.are_due(aggregate.activation()) {
            self.metrics.trials.add(1);
            if let Err(failed) = self.trials.run(&command.id, aggregate, &events) {
                self.metrics.trials_failed.add(1);
                return Err(AppendError::Unstorable(failed.to_string()));
            }
        }
        let recorded = self.record(aggregate, command, time, events).await;
        // One look at the clock less per command: what lies between is short.
        self.passed(Stage::Append, decided.elapsed());
        recorded
    }

    /// Stores a command's events. [`Pipeline::apply_stored`] then applies them.
    async fn record(
        &self,
        aggregate: &mut Live,
        command: &Command,
        time: Timestamp,
        events: Vec<DomainEvent>,
    ) -> Result<Outcome, AppendError> {
        let id = &command.id;
        let new = NewEvents::of(
            &self.domain,
            command,
            aggregate.version,
            aggregate.expected_sequence(),
            time,
            aggregate.activation().author.clone(),
            events.clone(),
        );
        let first_version = new.first_version;
        let last_event_id = new.event_ids.last().copied().unwrap_or_default();
        let appended = self.events.append(new).await?;

        let recorded = (first_version..).zip(appended.first_sequence..).zip(&events);
        let recorded = recorded
            .map(|((version, sequence), event)| Recorded { name: event.name.clone(), version, sequence })
            .collect();
        aggregate.record_own(&command.command_id, appended.first_sequence, events, last_event_id, time);
        Ok(Outcome::Accepted { id: id.clone(), version: aggregate.version, duplicate: false, events: recorded })
    }

    /// Applies what a command stored, once its sender has been answered: the answer does not
    /// depend on it, and the aggregate's next request comes after it.
    pub(super) fn apply_stored(&self, id: &AggregateId, live: &mut Option<Live>) {
        let Some(aggregate) = live.as_mut().filter(|live| live.is_to_evolve()) else { return };
        let begun = Instant::now();
        let applied = aggregate.apply_stored();
        self.passed(Stage::Evolve, begun.elapsed());
        if let Err(error) = applied {
            let sequence = aggregate.last_sequence;
            tracing::error!(domain = %self.domain, aggregate = %id, sequence, error, "plugin cannot apply what it decided itself");
            *live = None;
        }
    }

    /// Whether a snapshot of the aggregate is due.
    pub(super) fn snapshot_due(&self, live: &Live) -> bool {
        live.is_sound() && live.version >= live.snapshot_version + self.snapshot_frequency
    }

    /// Saves a snapshot; a failure is logged, since the events are there.
    pub(super) async fn save_or_warn(&self, id: &AggregateId, live: &mut Live) {
        let _part = trace::part("snapshot");
        if let Err(error) = self.save(id, live).await {
            tracing::warn!(domain = %self.domain, aggregate = %id, %error, "snapshot was not stored");
        }
    }

    /// Saves a snapshot of the aggregate as it stands.
    pub(super) async fn save(&self, id: &AggregateId, live: &mut Live) -> Result<(), Unavailable> {
        let snapshot = live.snapshot().map_err(|error| Unavailable(error.to_string()))?;
        let version = snapshot.version;
        match self.snapshots.save(id, snapshot, live.snapshot_revision).await? {
            Saved::Stored(revision) => live.snapshot_revision = revision,
            // Another host was faster; its revision is learnt at the next write.
            Saved::Superseded => live.snapshot_revision = 0,
        }
        live.snapshot_version = version;
        self.metrics.snapshots.add(1);
        self.metrics.last_snapshot_ms.set(self.clock.now().0);
        Ok(())
    }
}

/// The aggregate where it is worth its place in memory: it has events, and they are the log's.
pub(super) fn keep(aggregate: Live) -> Option<Live> {
    (aggregate.version > 0 && aggregate.is_sound()).then_some(aggregate)
}
