//! Appends of several events that wait for a batch, and which of them share the next one: a batch
//! costs the server a directory, however much is in it. Knows nothing of how one is sent.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::batch::Part;
use crate::event::NewEvents;
use crate::store::{AppendError, Appended};

/// Batches that one host has open, over all shards and domains: JetStream takes 50 per stream, and
/// several hosts write to one.
const OPEN_MAX: usize = 16;
/// Those of one domain: a stream that answers nothing leaves room for the others.
const OPEN_PER_DOMAIN_MAX: usize = 8;
/// Messages of a shared batch: JetStream takes 1,000, or fewer if told so, and a refusal costs all.
const MESSAGES_MAX: usize = 900;
/// Bytes of a shared batch: what waits on the connection at once, and in the server until the commit.
const BYTES_MAX: usize = 4 << 20;
/// What a message's headers have, about, in bytes.
const HEADERS_BYTES: usize = 1 << 10;

/// The right to have batches open, of one domain of a host.
#[derive(Clone)]
pub struct OpenBatches {
    host: Arc<Semaphore>,
    domain: Arc<Semaphore>,
}

/// The right to one batch, for as long as it is kept.
pub(super) struct OpenBatch {
    _domain: OwnedSemaphorePermit,
    _host: OwnedSemaphorePermit,
}

impl Default for OpenBatches {
    fn default() -> Self {
        Self { host: Arc::new(Semaphore::new(OPEN_MAX)), domain: Arc::new(Semaphore::new(OPEN_PER_DOMAIN_MAX)) }
    }
}

impl OpenBatches {
    /// The same of another domain of the same host.
    #[must_use]
    pub fn of_another_domain(&self) -> Self {
        Self { host: Arc::clone(&self.host), domain: Arc::new(Semaphore::new(OPEN_PER_DOMAIN_MAX)) }
    }

    /// The right to one batch, in the order of asking.
    pub(super) async fn one(&self) -> Option<OpenBatch> {
        let domain = Arc::clone(&self.domain).acquire_owned().await.ok()?;
        let host = Arc::clone(&self.host).acquire_owned().await.ok()?;
        Some(OpenBatch { _domain: domain, _host: host })
    }
}

/// An append that waits, and who waits for it.
pub(super) struct Waiting {
    pub(super) new: NewEvents,
    pub(super) parts: Vec<Part>,
    pub(super) since: Instant,
    /// Whether a batch with it was refused. By a leader that is none any more, that is not the last word:
    /// the next one may store it.
    pub(super) refused_before: bool,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
}

impl Waiting {
    pub(super) fn answer(self, outcome: Result<Appended, AppendError>) {
        let outcome = outcome.map_err(|error| match error {
            AppendError::Unavailable(why) | AppendError::Unstorable(why) if self.refused_before => {
                AppendError::Unknown(why)
            }
            error => error,
        });
        // Whoever waited may have gone.
        let _ = self.answer.send(outcome);
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.payload.len() + HEADERS_BYTES).sum()
    }
}

/// The line of one connection.
#[derive(Default)]
pub(super) struct Line(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Whether somebody takes from the line until it is empty.
    served: bool,
}

impl Line {
    /// Puts an append at the end. Gives whether nobody serves the line: the caller has to, and it
    /// counts as served from now on.
    #[must_use]
    pub(super) fn join(&self, waiting: Waiting) -> bool {
        let mut state = self.state();
        state.waiting.push_back(waiting);
        !std::mem::replace(&mut state.served, true)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.state().waiting.len()
    }

    /// Those that go next, one alone or as many as may share a batch; `None` where nobody waits, and
    /// the line is served no more.
    pub(super) fn next(&self, shared: bool) -> Option<Vec<Waiting>> {
        let mut state = self.state();
        let Some(first) = state.waiting.pop_front() else {
            state.served = false;
            return None;
        };
        let (mut messages, mut bytes) = (first.parts.len(), first.bytes());
        // Expectations are judged against the state before the batch: one place per aggregate.
        let mut aggregates = HashSet::from([first.new.id.clone()]);
        let mut group = vec![first];
        while let Some(next) = state.waiting.front().filter(|_| shared) {
            messages += next.parts.len();
            bytes += next.bytes();
            if messages > MESSAGES_MAX || bytes > BYTES_MAX || !aggregates.insert(next.new.id.clone()) {
                break;
            }
            group.extend(state.waiting.pop_front());
        }
        Some(group)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;
    use bytes::Bytes;
    use futures::FutureExt;

    use super::*;
    use crate::clock::Timestamp;
    use crate::domain::Author;
    use crate::name::AggregateId;

    fn waiting(id: &str, messages: usize, payload_bytes: usize) -> Waiting {
        let payload = Bytes::from(vec![0; payload_bytes]);
        let part = || Part { subject: String::new(), headers: HeaderMap::new(), payload: payload.clone() };
        let new = NewEvents {
            id: AggregateId::new(id).expect("an id"),
            expected_sequence: 0,
            first_version: 1,
            time: Timestamp(0),
            author: Author { plugin: "p".into(), activation: 1 },
            command_id: String::new(),
            correlation_id: String::new(),
            actor: None,
            traceparent: None,
            tracestate: None,
            events: Vec::new(),
            event_ids: Vec::new(),
        };
        let parts = (0..messages).map(|_| part()).collect();
        Waiting { new, parts, since: Instant::now(), refused_before: false, answer: oneshot::channel().0 }
    }

    #[tokio::test]
    async fn a_domain_without_answers_leaves_batches_to_the_others() {
        let stuck = OpenBatches::default();
        let other = stuck.of_another_domain();
        let mut open = Vec::new();
        for _ in 0..OPEN_PER_DOMAIN_MAX {
            open.extend(stuck.one().await);
        }
        assert!(stuck.one().now_or_never().is_none(), "more than its share");
        for _ in OPEN_PER_DOMAIN_MAX..OPEN_MAX {
            open.extend(other.one().await);
        }
        assert!(stuck.of_another_domain().one().now_or_never().is_none(), "more than the host's share");
        open.clear();
        assert!(stuck.one().await.is_some());
    }

    fn line_of(all: impl IntoIterator<Item = Waiting>) -> Line {
        let line = Line::default();
        for (index, one) in all.into_iter().enumerate() {
            assert_eq!(line.join(one), index == 0, "whoever comes first serves the line");
        }
        line
    }

    fn ids(group: Option<Vec<Waiting>>) -> Vec<String> {
        group.into_iter().flatten().map(|one| one.new.id.to_string()).collect()
    }

    #[test]
    fn all_that_wait_share_one_batch_in_their_order() {
        let line = line_of([waiting("a", 2, 10), waiting("b", 3, 10), waiting("c", 2, 10)]);
        assert_eq!(ids(line.next(true)), ["a", "b", "c"]);
        assert!(line.next(true).is_none());
        assert!(line.join(waiting("d", 2, 10)), "an empty line is served no more");
    }

    #[test]
    fn where_batches_are_not_shared_one_goes_at_a_time() {
        let line = line_of([waiting("a", 2, 10), waiting("b", 2, 10)]);
        assert_eq!(ids(line.next(false)), ["a"]);
        assert!(!line.join(waiting("c", 2, 10)), "it is still served");
        assert_eq!(ids(line.next(false)), ["b"]);
    }

    #[test]
    fn an_aggregate_has_one_place_in_a_batch() {
        let line = line_of([waiting("a", 2, 10), waiting("b", 2, 10), waiting("a", 2, 10), waiting("c", 2, 10)]);
        assert_eq!(ids(line.next(true)), ["a", "b"]);
        assert_eq!(ids(line.next(true)), ["a", "c"]);
    }

    #[test]
    fn a_batch_has_bounds_and_the_largest_command_goes_alone() {
        let line =
            line_of([waiting("a", 1_000, 10), waiting("b", 500, 10), waiting("c", 400, 10), waiting("d", 2, 10)]);
        assert_eq!(ids(line.next(true)), ["a"]);
        assert_eq!(ids(line.next(true)), ["b", "c"]);
        assert_eq!(ids(line.next(true)), ["d"]);
        let line =
            line_of([waiting("a", 2, BYTES_MAX), waiting("b", 2, BYTES_MAX / 4), waiting("c", 2, BYTES_MAX / 2)]);
        assert_eq!(ids(line.next(true)), ["a"]);
        assert_eq!(ids(line.next(true)), ["b"]);
        assert_eq!(ids(line.next(true)), ["c"]);
    }
}
