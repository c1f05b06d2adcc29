//! Queries: the state now and at a version, and the history by pages. Every answer is
//! confirmed by one read of the log's leader.

use hashlink::LruCache;
use serde_json::value::RawValue;

use super::failures::{failed, forged, unavailable};
use super::live::Live;
use super::pipeline::{Pipeline, keep};
use crate::event::StoredEvent;
use crate::message::{Code, Failure, HistoryEvent, Outcome, Query};
use crate::name::AggregateId;
use crate::store::Replica;

/// Events read at once on the way to a page or a version.
const EVENTS_PER_READ: usize = 256;
/// What an event costs in a page beside its payload: names, version, sequence, time.
const EVENT_OVERHEAD_BYTES: usize = 192;
/// What a page costs beside its events.
const PAGE_OVERHEAD_BYTES: usize = 1_024;
/// Page ends a shard remembers, so that the next page need not be searched for.
const CURSORS_MAX: usize = 1_024;

/// Where the pages that were last given ended: aggregate → (version, sequence).
pub(super) struct Cursors(LruCache<AggregateId, (u64, u64)>);

impl Default for Cursors {
    fn default() -> Self {
        Self(LruCache::new(CURSORS_MAX))
    }
}

impl Cursors {
    /// The first sequence that may hold the event after `version`, and the version before it.
    fn start_after(&mut self, id: &AggregateId, version: u64) -> (u64, u64) {
        match self.0.get(id) {
            Some(&(at, sequence)) if at <= version => (at, sequence + 1),
            _ => (0, 1),
        }
    }
}

impl Pipeline {
    pub(super) async fn query(&self, live: &mut Option<Live>, query: &Query) -> Result<Outcome, Failure> {
        match *query {
            Query::State { ref id, at_version } => self.state(live, id, at_version).await,
            Query::History { ref id, after, limit } => self.history(id, after, limit).await,
        }
    }

    async fn state(
        &self,
        live: &mut Option<Live>,
        id: &AggregateId,
        at_version: Option<u64>,
    ) -> Result<Outcome, Failure> {
        let (mut aggregate, confirmed) = self.ready(live.take(), id, Replica::Leader).await?;
        let outcome = match if confirmed { Ok(false) } else { self.catch_up(id, &mut aggregate).await } {
            Ok(_) => self.state_of(id, &aggregate, at_version).await,
            Err(failure) => Err(failure),
        };
        *live = keep(aggregate);
        outcome
    }

    /// The state of an aggregate that is up to date.
    async fn state_of(&self, id: &AggregateId, aggregate: &Live, at_version: Option<u64>) -> Result<Outcome, Failure> {
        let version = aggregate.version;
        if version == 0 {
            return Err(not_found(id));
        }
        match at_version {
            Some(asked) if asked > version => {
                let message = format!("at_version is {asked}, the aggregate is at version {version}");
                Err(Failure::invalid("at_version", message).of(id, version))
            }
            Some(asked) if asked < version => self.state_before(id, aggregate, asked).await,
            _ => self.view(id, aggregate),
        }
    }

    /// The state at an earlier version, from the events in a throw-away copy.
    async fn state_before(&self, id: &AggregateId, now: &Live, version: u64) -> Result<Outcome, Failure> {
        let way = self.way_of_copies();
        let mut copy = Live::create(self.trials.instances(), id).map_err(|e| failed(id, e))?;
        while copy.version < version {
            let limit = usize::try_from(version - copy.version).unwrap_or(EVENTS_PER_READ).min(EVENTS_PER_READ);
            let events = self
                .events
                .read(id, copy.last_sequence + 1, now.last_sequence, limit)
                .await
                .map_err(|e| unavailable(id, e))?;
            let first = events.first().and_then(StoredEvent::version);
            if events.is_empty() || (copy.version == 0 && first.is_some_and(|first| first > 1)) {
                return Err(expired(id, version, now.version));
            }
            self.apply(way, id, &mut copy, &events)?;
        }
        self.view(id, &copy)
    }

    fn view(&self, id: &AggregateId, aggregate: &Live) -> Result<Outcome, Failure> {
        let view = aggregate.view().map_err(|e| failed(id, e))?;
        let state =
            raw(view).ok_or_else(|| Failure::new(Code::PluginFailed, "the plugin's view is not JSON").about(id))?;
        if state.get().len() + PAGE_OVERHEAD_BYTES > (self.reply_bytes_max)() {
            let message =
                format!("the state has {} bytes, more than the server's max_payload lets through", state.get().len());
            return Err(Failure::new(Code::PluginFailed, message).of(id, aggregate.version));
        }
        Ok(Outcome::State { id: id.clone(), version: aggregate.version, state })
    }

    async fn history(&self, id: &AggregateId, after: u64, limit: usize) -> Result<Outcome, Failure> {
        let Some(head) = self.events.head(id, Replica::Leader).await.map_err(|e| unavailable(id, e))? else {
            // Without events it is known only where a snapshot outlived them.
            let live = self.load(id, Replica::Leader).await?;
            return Err(if live.version == 0 { not_found(id) } else { expired(id, after + 1, live.version) });
        };
        let (page, last_version) = self.page(id, &head, after, limit).await?;
        let next = page.last().filter(|event| event.sequence < head.sequence).map(|event| event.version);
        if page.is_empty() && last_version > after {
            return Err(expired(id, after + 1, last_version));
        }
        if let Some(last) = page.last() {
            self.cursors.borrow_mut().0.insert(id.clone(), (last.version, last.sequence));
        }
        Ok(Outcome::History { id: id.clone(), events: page, next })
    }

    /// The events after a version as far as they fit, and the last version that was seen.
    async fn page(
        &self,
        id: &AggregateId,
        head: &StoredEvent,
        after: u64,
        limit: usize,
    ) -> Result<(Vec<HistoryEvent>, u64), Failure> {
        let bytes_max = (self.reply_bytes_max)().saturating_sub(PAGE_OVERHEAD_BYTES);
        let (mut version, mut from) = self.cursors.borrow_mut().start_after(id, after);
        let (mut page, mut bytes) = (Vec::new(), 0);
        while from <= head.sequence {
            let events =
                self.events.read(id, from, head.sequence, EVENTS_PER_READ).await.map_err(|e| unavailable(id, e))?;
            let Some(last) = events.last() else { break };
            let first = events.first().and_then(StoredEvent::version);
            if page.is_empty() && version > 0 && first.is_some_and(|first| first > version + 1) {
                // What follows the remembered place has aged: the search begins anew.
                (version, from) = (0, 1);
                self.cursors.borrow_mut().0.remove(id);
                continue;
            }
            from = last.sequence + 1;
            for event in events {
                // Retention may have removed the oldest; what is left follows without a gap.
                let first_left = event.origin.as_ref().map_or(1, |origin| origin.version);
                version = if version == 0 { first_left } else { version + 1 };
                let (name, origin) = event.written_as(version).map_err(|why| forged(id, event.sequence, &why))?;
                if version <= after {
                    continue;
                }
                if page.is_empty() && version > after + 1 {
                    return Err(expired(id, after + 1, version));
                }
                bytes += event.payload.len() + EVENT_OVERHEAD_BYTES;
                if page.len() == limit || (bytes > bytes_max && !page.is_empty()) {
                    return Ok((page, version));
                }
                let time = origin.time;
                let data =
                    raw(event.payload.to_vec()).ok_or_else(|| forged(id, event.sequence, "its payload is not JSON"))?;
                page.push(HistoryEvent { name, version, sequence: event.sequence, time, data });
            }
        }
        Ok((page, version))
    }
}

fn raw(json: Vec<u8>) -> Option<Box<RawValue>> {
    RawValue::from_string(String::from_utf8(json).ok()?).ok()
}

fn not_found(id: &AggregateId) -> Failure {
    Failure::new(Code::NotFound, "there is no such aggregate: it has no events").of(id, 0)
}

fn expired(id: &AggregateId, version: u64, now: u64) -> Failure {
    let message =
        format!("the events of version {version} and before are no longer in the stream: retention has removed them");
    Failure::new(Code::Expired, message).of(id, now)
}
