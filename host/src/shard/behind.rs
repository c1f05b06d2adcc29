//! Snapshots written behind: which aggregates have events that no snapshot covers, longest first, and
//! the pace at which they are saved, so that a host that is killed leaves little to read. Knows nothing
//! of how.

use std::time::Duration;

use hashlink::LinkedHashMap;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::name::AggregateId;

/// How long an aggregate's first change waits for others, so that a few commands lead to one snapshot.
const COMPANY: Duration = Duration::from_secs(10);
/// How long none is tried after one could not be stored.
const PAUSE: Duration = Duration::from_secs(30);

/// The aggregates that wait for a snapshot. As many as are live at most: who leaves memory is forgotten.
pub(super) struct Behind {
    changed: LinkedHashMap<AggregateId, Instant>,
    pace: Option<Interval>,
    paused_until: Option<Instant>,
}

impl Behind {
    /// At most one snapshot in that time, none without it. Must be called on a runtime.
    pub(super) fn new(every: Option<Duration>) -> Self {
        let pace = every.map(|every| {
            let mut pace = tokio::time::interval(every);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pace
        });
        Self { changed: LinkedHashMap::new(), pace, paused_until: None }
    }

    /// An aggregate has events that no snapshot covers.
    pub(super) fn note(&mut self, id: &AggregateId) {
        if self.pace.is_some() && !self.changed.contains_key(id) {
            self.changed.insert(id.clone(), Instant::now());
        }
    }

    /// An aggregate leaves memory.
    pub(super) fn forget(&mut self, id: &AggregateId) {
        self.changed.remove(id);
    }

    /// One could not be stored: the next is tried later.
    pub(super) fn pause(&mut self) {
        self.paused_until = Some(Instant::now() + PAUSE);
    }

    /// The next aggregate, when it is its turn; never where none waits.
    pub(super) async fn next(&mut self) -> AggregateId {
        let Some(pace) = self.pace.as_mut().filter(|_| !self.changed.is_empty()) else {
            return std::future::pending().await;
        };
        loop {
            let now = pace.tick().await;
            let is_due = self.changed.front().is_some_and(|(_, since)| *since + COMPANY <= now);
            if is_due && self.paused_until.is_none_or(|until| until <= now) {
                self.paused_until = None;
                if let Some((id, _)) = self.changed.pop_front() {
                    return id;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> AggregateId {
        AggregateId::new(text).expect("an id")
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_longest_comes_first_and_one_after_the_other() {
        let begun = Instant::now();
        let mut behind = Behind::new(Some(Duration::from_millis(500)));
        for name in ["a", "b", "gone", "a"] {
            behind.note(&id(name));
        }
        behind.forget(&id("gone"));
        assert_eq!(behind.next().await, id("a"));
        assert_eq!(begun.elapsed(), COMPANY, "others of its changes may come");
        assert_eq!(behind.next().await, id("b"));
        assert_eq!(begun.elapsed(), COMPANY + Duration::from_millis(500));
    }

    #[tokio::test(start_paused = true)]
    async fn after_one_that_cannot_be_stored_comes_a_pause() {
        let begun = Instant::now();
        let mut behind = Behind::new(Some(Duration::from_millis(500)));
        behind.note(&id("a"));
        behind.pause();
        assert_eq!(behind.next().await, id("a"));
        assert_eq!(begun.elapsed(), PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_comes_where_none_is_written_behind() {
        let mut behind = Behind::new(None);
        behind.note(&id("a"));
        let waited = tokio::time::timeout(Duration::from_secs(3_600), behind.next()).await;
        assert!(waited.is_err());
    }
}
