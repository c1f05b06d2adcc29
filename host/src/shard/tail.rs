//! What the log has beyond an aggregate: read, checked that a host wrote it, applied. Knows nothing of
//! snapshots but that another host may have left one.

use super::failures::{failed, unavailable};
use super::live::Live;
use super::load::Way;
use super::pipeline::Pipeline;
use crate::domain::{DomainEvent, EvolveError, PluginError};
use crate::event::StoredEvent;
use crate::message::{Code, Failure};
use crate::name::AggregateId;
use crate::store::{Found, Replica};
use crate::trace;

/// Events read at once. Each read has the server count what is left of the aggregate, which in a
/// long stream takes longer than to read it.
const EVENTS_PER_READ: usize = 2_048;
/// Events of other writers that an append was refused for: more than this have come in its time only
/// where writers are very many.
const FEW_MAX: usize = 8;

impl Pipeline {
    /// Reads and applies what the log's leader has beyond `live`. Gives whether there was anything.
    pub(super) async fn catch_up(&self, id: &AggregateId, live: &mut Live) -> Result<bool, Failure> {
        let _part = trace::part("catch_up");
        match self.events.head(id, Replica::Leader).await.map_err(|e| unavailable(id, e))? {
            Some(head) if head.sequence > live.last_sequence => {
                if let Err(failure) = self.read_tail(self.usual_way(), id, live, &head).await {
                    return Err(self.tail_failed(id, live, &head, failure).await?);
                }
                Ok(true)
            }
            Some(head) if head.sequence == live.last_sequence && head.event_id() == Some(live.last_event_id) => {
                Ok(false)
            }
            Some(_) => {
                live.doubtful = true;
                Err(self.contradiction(id, live.version, "the stream has no such last event"))
            }
            None if live.version == 0 => Ok(false),
            None => {
                // Another host may have gone further before all of it aged.
                if let Found::Snapshot { snapshot, .. } =
                    self.snapshots.load(id).await.map_err(|e| unavailable(id, e))?
                    && snapshot.version > live.version
                {
                    return Err(behind_snapshot(id, live));
                }
                if live.aged_out {
                    return Ok(false);
                }
                self.prove_aged_out(id, live.version, live.last_sequence, live.last_time).await?;
                // The stream forgets the aggregate, so a snapshot must stand before anything is appended.
                if live.is_unsaved() {
                    self.save(id, live).await.map_err(|e| unavailable(id, e))?;
                }
                live.aged_out = true;
                Ok(true)
            }
        }
    }

    /// Applies the events through the one at `last` where they are few: whether they were.
    pub(super) async fn take_few(&self, id: &AggregateId, live: &mut Live, last: u64) -> Result<bool, Failure> {
        if last <= live.last_sequence {
            return Ok(false);
        }
        let _part = trace::part("catch_up");
        let read = self.events.read(id, live.last_sequence + 1, last, FEW_MAX).await;
        let events = read.map_err(|e| unavailable(id, e))?;
        let is_next = events.first().is_some_and(|first| first.version() == Some(live.version + 1));
        if !is_next || events.last().is_none_or(|newest| newest.sequence != last) {
            return Ok(false);
        }
        self.apply(self.usual_way(), id, live, &events)?;
        Ok(true)
    }

    /// What a tail that cannot be read means: where events before it have aged, the snapshot that
    /// another host has left knows of them.
    async fn tail_failed(
        &self,
        id: &AggregateId,
        live: &mut Live,
        head: &StoredEvent,
        failure: Failure,
    ) -> Result<Failure, Failure> {
        let next = self.events.read(id, live.last_sequence + 1, head.sequence, 1).await;
        let next = next.map_err(|e| unavailable(id, e))?;
        let version = next.first().and_then(StoredEvent::version).unwrap_or_default();
        Ok(if version > live.version + 1 { behind_snapshot(id, live) } else { failure })
    }

    pub(super) async fn read_tail(
        &self,
        way: Way<'_>,
        id: &AggregateId,
        live: &mut Live,
        head: &StoredEvent,
    ) -> Result<(), Failure> {
        if head.after == Some(live.last_sequence) {
            return self.apply(way, id, live, std::slice::from_ref(head));
        }
        while live.last_sequence < head.sequence {
            let limit = missing(live.version, head);
            let read = self.events.read(id, live.last_sequence + 1, head.sequence, limit).await;
            let events = read.map_err(|e| unavailable(id, e))?;
            if events.is_empty() {
                return Err(self.contradiction(id, live.version, "events that the stream just had are gone"));
            }
            self.apply(way, id, live, &events)?;
        }
        Ok(())
    }

    /// Applies events of the stream after checking that a host wrote each of them.
    pub(super) fn apply(
        &self,
        way: Way<'_>,
        id: &AggregateId,
        live: &mut Live,
        events: &[StoredEvent],
    ) -> Result<(), Failure> {
        events.chunks(way.events_per_call).try_for_each(|events| self.apply_at_once(way, id, live, events))
    }

    fn apply_at_once(
        &self,
        way: Way<'_>,
        id: &AggregateId,
        live: &mut Live,
        events: &[StoredEvent],
    ) -> Result<(), Failure> {
        let mut facts = Vec::with_capacity(events.len());
        let mut version = live.version;
        // The code of another host, where this one has not been proven to understand it.
        let mut foreign = None;
        for event in events {
            version += 1;
            let (name, origin) =
                event.written_as(version).map_err(|why| self.not_ours(id, live.version, event, version, &why))?;
            if live.activation().is_overtaken_by(&origin.author) {
                foreign = foreign.or(Some(&origin.author));
            }
            facts.push(DomainEvent { name, payload: event.payload.clone() });
        }
        if let Some(author) = foreign
            && self.succession.is_some()
        {
            return Err(self.outdated(id, author.activation));
        }
        let evolved = live.evolve(&facts);
        if let Some(author) = foreign {
            let understood = match evolved {
                Ok(Ok(())) => live.view().map(drop).map_err(|error| error.to_string()),
                Ok(Err(error)) => Err(error.to_string()),
                // Another aggregate's doing, which says nothing of these events.
                Err(lost @ PluginError::InstanceLost) => return Err(failed(id, lost)),
                Err(error) => Err(error.to_string()),
            };
            if let Err(why) = understood {
                live.doubtful = true;
                return Err(self.not_understood(id, author, &why));
            }
        } else {
            self.park_where_refused(way, id, live, events, evolved)?;
        }
        for event in events {
            if let Ok(origin) = &event.origin {
                live.record(event.sequence, origin);
            }
        }
        Ok(())
    }

    /// Parks the aggregate at the event that the plugin cannot apply, where that is known.
    fn park_where_refused(
        &self,
        way: Way<'_>,
        id: &AggregateId,
        live: &mut Live,
        events: &[StoredEvent],
        evolved: Result<Result<(), EvolveError>, PluginError>,
    ) -> Result<(), Failure> {
        let (index, why) = match evolved {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => (error.index, error.to_string()),
            Err(lost @ PluginError::InstanceLost) => return Err(failed(id, lost)),
            Err(error) if events.len() > 1 || std::ptr::eq(way.instances, &raw const self.instances) => {
                return Err(Failure { unlocated: true, ..failed(id, error) });
            }
            Err(error) => (0, error.to_string()),
        };
        live.doubtful = true;
        let at = events.get(index).map_or(0, |event| event.sequence);
        let message = format!(
            "the event at sequence {at} of the stream cannot be applied by the plugin ({why}): this aggregate is parked until a version of the plugin is live that can"
        );
        tracing::error!(domain = %self.domain, aggregate = %id, sequence = at, error = why, parked = way.parks, "recorded event cannot be applied by the plugin");
        if way.parks {
            self.parked.park(id, at, message.clone(), live.activation());
        }
        Err(Failure::new(Code::PluginFailed, message).about(id))
    }
}

/// How many events to read after `version`, up to `head`.
pub(super) fn missing(version: u64, head: &StoredEvent) -> usize {
    let missing = head.version().map_or(EVENTS_PER_READ as u64, |last| last.saturating_sub(version));
    usize::try_from(missing).unwrap_or(EVENTS_PER_READ).clamp(1, EVENTS_PER_READ)
}

/// A live aggregate is to be loaded anew: what it lacks is no longer in the log.
fn behind_snapshot(id: &AggregateId, live: &mut Live) -> Failure {
    live.doubtful = true;
    let why = "another host has gone further, and those events have aged: send the request again";
    Failure { mendable: true, ..Failure::new(Code::Unavailable, why).about(id) }
}
