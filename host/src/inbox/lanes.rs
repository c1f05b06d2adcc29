//! Lanes: what was delivered, one lane per aggregate, in the order of the stream. One item of a
//! lane is at work at a time, different lanes side by side. Knows nothing of what the items are.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The lanes. They are as long as what the consumer delivers unacknowledged, which is bounded.
pub(super) struct Lanes<K, T> {
    lanes: HashMap<K, Lane<T>>,
    /// Lanes whose next item may begin, longest waiting first.
    ready: VecDeque<K>,
}

struct Lane<T> {
    at_work: Option<(u64, T)>,
    /// By ascending sequence.
    waiting: VecDeque<(u64, T)>,
    /// How many items it has, for whoever works on it.
    length: Arc<AtomicUsize>,
}

/// An item that begins.
pub(super) struct Begun<K, T> {
    pub(super) lane: K,
    pub(super) item: T,
    /// How many items its lane has.
    pub(super) length: Arc<AtomicUsize>,
}

impl<K, T> Default for Lanes<K, T> {
    fn default() -> Self {
        Self { lanes: HashMap::new(), ready: VecDeque::new() }
    }
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { at_work: None, waiting: VecDeque::new(), length: Arc::default() }
    }
}

impl<T> Lane<T> {
    fn measure(&self) {
        self.length.store(self.waiting.len() + usize::from(self.at_work.is_some()), Ordering::Relaxed);
    }
}

impl<K: Clone + Eq + Hash, T: Clone> Lanes<K, T> {
    /// Takes what was delivered to its place. What is delivered again replaces what waits, since
    /// its acknowledgement is the newer one; where it is at work, it waits for how that ends.
    pub(super) fn take(&mut self, key: K, sequence: u64, item: T) {
        let lane = self.lanes.entry(key.clone()).or_default();
        match lane.waiting.binary_search_by_key(&sequence, |(waiting, _)| *waiting) {
            Ok(at) => lane.waiting[at].1 = item,
            Err(at) => lane.waiting.insert(at, (sequence, item)),
        }
        lane.measure();
        if lane.at_work.is_none() && lane.waiting.len() == 1 {
            self.ready.push_back(key);
        }
    }

    /// Begins the next item of a lane in which nothing is at work.
    pub(super) fn begin(&mut self) -> Option<Begun<K, T>> {
        let key = self.ready.pop_front()?;
        let lane = self.lanes.get_mut(&key)?;
        let (sequence, item) = lane.waiting.pop_front()?;
        lane.at_work = Some((sequence, item.clone()));
        Some(Begun { lane: key, item, length: Arc::clone(&lane.length) })
    }

    /// What was at work in a lane has ended; where it is `settled`, it is not done again.
    pub(super) fn end(&mut self, key: &K, settled: bool) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if let Some((sequence, _)) = lane.at_work.take()
            && settled
        {
            lane.waiting.retain(|(waiting, _)| *waiting > sequence);
        }
        lane.measure();
        if lane.waiting.is_empty() {
            self.lanes.remove(key);
        } else {
            self.ready.push_back(key.clone());
        }
    }

    /// Lets go of everything that has not begun: it will be delivered again, here or elsewhere.
    pub(super) fn forget_waiting(&mut self) {
        self.ready.clear();
        self.lanes.retain(|_, lane| {
            lane.waiting.clear();
            lane.measure();
            lane.at_work.is_some()
        });
    }

    /// How many items are held, at work or waiting.
    pub(super) fn held(&self) -> usize {
        self.lanes.values().map(|lane| lane.waiting.len() + usize::from(lane.at_work.is_some())).sum()
    }

    /// Everything that is held, at work or waiting.
    pub(super) fn items(&self) -> impl Iterator<Item = &T> {
        self.lanes.values().flat_map(|lane| lane.at_work.iter().chain(&lane.waiting)).map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(lanes: &mut Lanes<&'static str, u64>) -> Vec<u64> {
        std::iter::from_fn(|| lanes.begin()).map(|begun| begun.item).collect()
    }

    #[test]
    fn a_lane_goes_one_by_one_and_lanes_go_side_by_side() {
        let mut lanes = Lanes::default();
        for (key, sequence) in [("a", 1), ("b", 2), ("a", 3), ("a", 4), ("b", 5)] {
            lanes.take(key, sequence, sequence);
        }
        assert_eq!(begun(&mut lanes), [1, 2]);
        lanes.end(&"a", true);
        assert_eq!(begun(&mut lanes), [3]);
        lanes.end(&"b", true);
        lanes.end(&"a", true);
        assert_eq!(begun(&mut lanes), [5, 4]);
        assert_eq!(lanes.held(), 2);
    }

    #[test]
    fn what_comes_again_takes_its_old_place() {
        let mut lanes = Lanes::default();
        for sequence in [1, 3, 4] {
            lanes.take("a", sequence, sequence);
        }
        assert_eq!(begun(&mut lanes), [1]);
        for (sequence, item) in [(1, 100), (4, 400), (2, 200)] {
            lanes.take("a", sequence, item);
        }
        lanes.end(&"a", true);
        let order: Vec<u64> = std::iter::from_fn(|| {
            let begun = lanes.begin()?;
            lanes.end(&"a", true);
            Some(begun.item)
        })
        .collect();
        assert_eq!(order, [200, 3, 400]);
    }

    #[test]
    fn what_has_begun_is_held_and_what_has_not_is_let_go() {
        let mut lanes = Lanes::default();
        for (key, sequence) in [("a", 1), ("a", 2), ("b", 3)] {
            lanes.take(key, sequence, sequence);
        }
        assert_eq!(lanes.begin().map(|begun| begun.item), Some(1));
        lanes.forget_waiting();
        assert_eq!(lanes.items().collect::<Vec<_>>(), [&1]);
        // Delivered anew while the first is still at work.
        for sequence in [2, 4] {
            lanes.take("a", sequence, sequence);
        }
        assert_eq!(begun(&mut lanes), Vec::<u64>::new());
        lanes.end(&"a", true);
        assert_eq!(begun(&mut lanes), [2]);
    }

    #[test]
    fn what_is_not_settled_is_done_again_in_its_turn() {
        let mut lanes = Lanes::default();
        lanes.take("a", 1, 1);
        assert_eq!(begun(&mut lanes), [1]);
        lanes.forget_waiting();
        lanes.end(&"a", false);
        for sequence in [1, 2] {
            lanes.take("a", sequence, sequence);
        }
        assert_eq!(begun(&mut lanes), [1]);
    }

    #[test]
    fn what_comes_again_while_it_is_at_work_is_not_overtaken() {
        for (settled, next) in [(true, 2), (false, 1)] {
            let mut lanes = Lanes::default();
            lanes.take("a", 1, 1);
            assert_eq!(begun(&mut lanes), [1]);
            lanes.forget_waiting();
            for sequence in [1, 2] {
                lanes.take("a", sequence, sequence);
            }
            lanes.end(&"a", settled);
            assert_eq!(begun(&mut lanes), [next]);
        }
    }

    #[test]
    fn whoever_works_on_a_lane_sees_how_long_it_is() {
        let mut lanes = Lanes::default();
        lanes.take("a", 1, 1);
        let first = lanes.begin().expect("an item");
        lanes.take("a", 2, 2);
        assert_eq!(first.length.load(Ordering::Relaxed), 2);
        lanes.forget_waiting();
        assert_eq!(first.length.load(Ordering::Relaxed), 1);
    }
}
