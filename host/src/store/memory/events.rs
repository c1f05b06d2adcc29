//! A log in memory that judges appends as JetStream does, and fails when it is told to. For
//! tests of what comes above it: it shows what a real server cannot be made to do on time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::domain::DomainEvent;
use crate::event::{NewEvents, Origin, RecordedCommand, StoredEvent};
use crate::name::AggregateId;
use crate::store::{AppendError, Appended, Commands, EventStore, Extent, Page, Replica, Unavailable};

/// Events of one domain in this process's memory. A clone is the same log.
#[derive(Clone)]
pub(crate) struct MemoryEvents {
    log: Arc<Mutex<Log>>,
    /// While it is closed, nobody gets an answer.
    open: Arc<watch::Sender<bool>>,
}

/// What the log does with an append instead of judging it alone.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Another writer stores this event first.
    OtherWriterFirst(DomainEvent),
    /// Stores, and the acknowledgement is lost.
    UnknownButStored,
    /// The message is lost.
    UnknownNotStored,
    /// Refuses.
    Unavailable,
    /// Whoever led the log says that another writer was first, and another leader may store it yet.
    RefusedByOldLeader,
    /// Stored by a stream it does not belong to.
    Misplaced,
}

#[derive(Default)]
struct Log {
    events: VecDeque<(AggregateId, StoredEvent)>,
    last_sequence: u64,
    last_stored_ms: u64,
    /// By how many positions replies of any replica are behind.
    replica_behind: u64,
    age_max: Option<Duration>,
    faults: VecDeque<Fault>,
    /// Every append fails with this one, once set.
    standing_fault: Option<Fault>,
    /// The ids of the duplicate window, with the sequences they were stored at.
    window: HashMap<Uuid, u64>,
    down: bool,
    commands: Vec<RecordedCommand>,
    appends: Vec<NewEvents>,
}

impl MemoryEvents {
    pub(crate) fn new() -> Self {
        Self { log: Arc::default(), open: Arc::new(watch::Sender::new(true)) }
    }

    /// The next appends that no fault is set for meet these, one each.
    pub(crate) fn fail_next(&self, fault: Fault) {
        self.lock().faults.push_back(fault);
    }

    /// From now on every append meets this, or none does.
    pub(crate) fn fail_always(&self, fault: Option<Fault>) {
        self.lock().standing_fault = fault;
    }

    /// Whether reads fail.
    pub(crate) fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// Lets whoever is no leader know nothing of so many of the last positions.
    pub(crate) fn set_replica_behind(&self, positions: u64) {
        self.lock().replica_behind = positions;
    }

    /// Lets no call be answered until [`MemoryEvents::open`].
    pub(crate) fn close(&self) {
        self.open.send_replace(false);
    }

    /// Answers what waits.
    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// After what time events leave. None does by itself: [`MemoryEvents::remove_through`].
    pub(crate) fn set_age_max(&self, age: Duration) {
        self.lock().age_max = Some(age);
    }

    /// Removes the oldest events, as ageing or a purge does.
    pub(crate) fn remove_through(&self, sequence: u64) {
        self.lock().events.retain(|(_, event)| event.sequence > sequence);
    }

    /// Lets messages that are no events of the domain take so many positions.
    pub(crate) fn pass(&self, positions: u64) {
        self.lock().last_sequence += positions;
    }

    /// Makes it the log it was when `sequence` was its last, as a restored backup is.
    pub(crate) fn restore_to(&self, sequence: u64) {
        let mut log = self.lock();
        log.events.retain(|(_, event)| event.sequence <= sequence);
        log.last_sequence = sequence;
        log.window.clear();
    }

    /// Lets the duplicate window pass.
    pub(crate) fn forget_ids(&self) {
        self.lock().window.clear();
    }

    /// Stores an event as somebody does who is no host: with these headers, or none.
    pub(crate) fn forge(&self, id: &AggregateId, name: &str, origin: Result<Origin, String>) -> u64 {
        self.lock().store(id, name, Bytes::from_static(b"{}"), origin)
    }

    /// Keeps a command, as a stream does that captures them.
    pub(crate) fn keep_command(&self, command: RecordedCommand) {
        self.lock().commands.push(command);
    }

    /// Removes one event.
    pub(crate) fn remove(&self, sequence: u64) {
        self.lock().events.retain(|(_, event)| event.sequence != sequence);
    }

    /// All events of an aggregate.
    pub(crate) fn of(&self, id: &AggregateId) -> Vec<StoredEvent> {
        self.lock().events.iter().filter(|(of, _)| of == id).map(|(_, event)| event.clone()).collect()
    }

    /// Every append that was asked for, whatever came of it.
    pub(crate) fn appends(&self) -> Vec<NewEvents> {
        self.lock().appends.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers when the log is open.
    fn answer<T: Send + 'static>(&self, answer: impl FnOnce(&mut Log) -> T + Send + 'static) -> BoxFuture<'static, T> {
        let (log, mut open) = (Arc::clone(&self.log), self.open.subscribe());
        async move {
            // The sender lives as long as the log, and a log that is gone asks nobody to wait.
            let _ = open.wait_for(|open| *open).await;
            answer(&mut log.lock().unwrap_or_else(PoisonError::into_inner))
        }
        .boxed()
    }

    fn read_answer<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&mut Log) -> T + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Unavailable>> {
        self.answer(|log| if log.down { Err(Unavailable("the log is down".into())) } else { Ok(answer(log)) })
    }
}

impl EventStore for MemoryEvents {
    fn append(&self, events: NewEvents) -> BoxFuture<'static, Result<Appended, AppendError>> {
        self.answer(move |log| log.append(events))
    }

    fn head(&self, id: &AggregateId, of: Replica) -> BoxFuture<'static, Result<Option<StoredEvent>, Unavailable>> {
        let id = id.clone();
        self.read_answer(move |log| {
            let through = if of == Replica::Any { log.last_sequence - log.replica_behind } else { log.last_sequence };
            log.head(&id, through).cloned()
        })
    }

    fn read(
        &self,
        id: &AggregateId,
        from: u64,
        through: u64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredEvent>, Unavailable>> {
        let id = id.clone();
        self.read_answer(move |log| {
            let own = log.events.iter().filter(|(of, event)| *of == id && (from..=through).contains(&event.sequence));
            own.take(limit).map(|(_, event)| event.clone()).collect()
        })
    }

    fn scan(&self, from: u64, through: u64, limit: usize) -> BoxStream<'static, Result<Page, Unavailable>> {
        let log = self.clone();
        stream::try_unfold(from, move |next| {
            log.read_answer(move |log| {
                let asked = log.events.iter().filter(|(_, event)| (next..=through).contains(&event.sequence));
                let events: Vec<_> = asked.take(limit).cloned().collect();
                let last = if events.len() < limit { through } else { events[limit - 1].1.sequence };
                (next <= through).then_some((Page { events, through: last }, last + 1))
            })
        })
        .boxed()
    }

    fn commands(&self, _: u64, _: u64, limit: usize) -> BoxFuture<'static, Result<Commands, Unavailable>> {
        self.read_answer(move |log| (log.commands.iter().take(limit).cloned().collect(), None))
    }

    fn extent(&self) -> BoxFuture<'static, Result<Extent, Unavailable>> {
        self.read_answer(|log| Extent {
            first_sequence: log.events.front().map_or(log.last_sequence + 1, |(_, event)| event.sequence),
            last_sequence: log.last_sequence,
            age_max: log.age_max,
        })
    }
}

impl Log {
    fn append(&mut self, new: NewEvents) -> Result<Appended, AppendError> {
        self.appends.push(new.clone());
        let fault = self.faults.pop_front().or_else(|| self.standing_fault.clone());
        let unknown = || AppendError::Unknown("no acknowledgement".into());
        match fault {
            None => self.judge(&new),
            Some(Fault::OtherWriterFirst(event)) => {
                self.store_as_other(&new, &event);
                self.judge(&new)
            }
            Some(Fault::UnknownButStored) => self.judge(&new).and(Err(unknown())),
            Some(Fault::UnknownNotStored) => Err(unknown()),
            Some(Fault::Unavailable) => Err(AppendError::Unavailable("JetStream does not store".into())),
            Some(Fault::RefusedByOldLeader) => Err(AppendError::Conflict { last: None }),
            Some(Fault::Misplaced) => Err(AppendError::Misplaced("stored by another stream".into())),
        }
    }

    /// As JetStream does: the expected sequence first, then the duplicate window.
    fn judge(&mut self, new: &NewEvents) -> Result<Appended, AppendError> {
        let last = self.head(&new.id, self.last_sequence).map_or(0, |head| head.sequence);
        if last != new.expected_sequence {
            return Err(AppendError::Conflict { last: Some(last) });
        }
        let ids = new.event_ids.clone();
        if ids.iter().any(|id| self.window.contains_key(id)) {
            return Err(AppendError::AlreadyStored);
        }
        let first_sequence = self.last_sequence + 1;
        for ((event, event_id), version) in new.events.iter().zip(ids).zip(new.first_version..) {
            let origin = Origin {
                event_id,
                version,
                time: new.time,
                command_id: new.command_id.clone(),
                correlation_id: new.correlation_id.clone(),
                actor: new.actor.clone(),
                author: new.author.clone(),
            };
            let sequence = self.store(&new.id, event.name.as_str(), event.payload.clone(), Ok(origin));
            self.window.insert(event_id, sequence);
        }
        Ok(Appended { first_sequence })
    }

    /// What a host that was faster has stored in the same moment.
    fn store_as_other(&mut self, late: &NewEvents, event: &DomainEvent) {
        let last = self.events.iter().rev().find(|(of, _)| *of == late.id);
        let version = 1 + last.and_then(|(_, event)| event.origin.as_ref().ok()).map_or(0, |origin| origin.version);
        let origin = Origin {
            event_id: Uuid::from_u128(u128::from(self.last_sequence) << 64 | 1),
            version,
            time: Timestamp(late.time.0),
            command_id: format!("other-{version}"),
            correlation_id: format!("other-{version}"),
            actor: None,
            author: late.author.clone(),
        };
        self.store(&late.id, event.name.as_str(), event.payload.clone(), Ok(origin));
    }

    fn store(&mut self, id: &AggregateId, name: &str, payload: Bytes, origin: Result<Origin, String>) -> u64 {
        self.last_sequence += 1;
        // Who is no host tells no time, and its clock is not looked at.
        self.last_stored_ms = origin.as_ref().map_or(0, |origin| origin.time.0).max(self.last_stored_ms);
        let (sequence, stored) = (self.last_sequence, Timestamp(self.last_stored_ms));
        let after = origin.is_ok().then(|| self.head(id, sequence).map_or(0, |last| last.sequence));
        let event = StoredEvent { sequence, stored, name: name.to_owned(), payload, after, origin };
        self.events.push_back((id.clone(), event));
        self.last_sequence
    }

    fn head(&self, id: &AggregateId, through: u64) -> Option<&StoredEvent> {
        let mut newest_first = self.events.iter().rev();
        newest_first.find(|(of, event)| of == id && event.sequence <= through).map(|(_, event)| event)
    }
}
