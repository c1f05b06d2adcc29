//! Instances come and go: the memory that aggregates once took comes back, and those that
//! stay move on without a word.

use std::sync::atomic::Ordering;

use super::served::World;
use crate::testing::counter::Counter;

/// As many as an instance takes in over its life.
const AGGREGATES_PER_INSTANCE: usize = 256;

#[test]
fn instances_are_retired_and_what_lives_in_them_moves_on() {
    const ROUNDS: usize = 20;
    let world = World::new();
    let host = world.host_with(Counter::new(), |service| service.cache_capacity = 300);
    for round in 0..ROUNDS {
        // One that stays, and so many that pass through that the next one that stays finds
        // this instance full: one instance each, if none were retired.
        for version in 1..=2 {
            host.send(&format!("stays-{round}"), "add", 1).ok(version);
        }
        for n in 1..AGGREGATES_PER_INSTANCE {
            host.send(&format!("passes-{round}-{n}"), "add", 1).ok(1);
        }
        for earlier in 0..round {
            host.send(&format!("stays-{earlier}"), "add", 1).ok((round - earlier + 2) as u64);
        }
        let live = host.seen.live_instances.load(Ordering::SeqCst);
        // Twice what the cache fills and some room, and the one that is just being opened.
        assert!(live <= 9, "{live} instances are live in round {round}");
    }
    for round in 0..ROUNDS {
        assert_eq!(host.state(&format!("stays-{round}")).count(), (ROUNDS - round + 1) as u64);
    }
    assert_eq!(host.metrics.replays.get(), 0, "they moved by their snapshots");
}
