//! Before events age away a snapshot covers them, whoever touched their aggregate last; and where
//! none can be had, it is known.

use std::time::Duration;

use super::served::{Host, START_MS, World, id};
use crate::domain::Generation;
use crate::testing::counter::Counter;
use crate::testing::log::Log;

const AGE_MS: u64 = 10_000;
const MARGIN: Duration = Duration::from_secs(2);
/// When the first events must be covered.
const DUE_MS: u64 = START_MS + AGE_MS - 2_000;

/// A world whose events age.
fn world() -> World {
    let world = World::new();
    world.events.set_age_max(Duration::from_millis(AGE_MS));
    world
}

/// A host ends as by SIGKILL: without a snapshot of anything.
fn killed(world: &World, host: Host) {
    world.snapshots.set_refusing(true);
    host.stop();
    world.snapshots.set_refusing(false);
}

#[tokio::test]
async fn aggregates_touched_once_and_never_saved_outlive_their_events() {
    let world = world();
    let host = world.host();
    for (n, counter) in ["a", "b", "c"].into_iter().enumerate() {
        host.send(counter, "add", n as u64 + 1).ok(1);
    }
    killed(&world, host);

    let host = world.host_of_shards(2);
    world.set_clock(DUE_MS);
    world.retention(&host, MARGIN).round().await;
    assert_eq!(host.metrics.expiring_saved.get(), 3);
    assert_eq!(host.live(), 0, "nobody has asked for them");
    world.set_clock(START_MS + AGE_MS);
    world.events.remove_through(3);
    for (n, counter) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(host.state(counter).ok(1).count(), n as u64 + 1);
        host.send(counter, "add", 10).ok(2);
    }
}

#[tokio::test]
async fn events_that_have_time_are_left_alone_until_they_are_due() {
    let world = world();
    let host = world.host();
    host.send("early", "add", 1).ok(1);
    world.set_clock(START_MS + 1_000);
    host.send("late", "add", 1).ok(1);
    let mut retention = world.retention(&host, MARGIN);

    world.set_clock(DUE_MS - 1);
    retention.round().await;
    assert_eq!(host.metrics.snapshots.get(), 0);
    world.set_clock(DUE_MS);
    retention.round().await;
    assert!(world.snapshots.of(&id("early")).is_some());
    assert!(world.snapshots.of(&id("late")).is_none());
    world.set_clock(DUE_MS + 1_000);
    retention.round().await;
    assert!(world.snapshots.of(&id("late")).is_some());
    assert_eq!((host.metrics.expiring_saved.get(), host.live()), (2, 2), "each once, and both live on");
}

#[tokio::test]
async fn what_another_host_has_covered_is_not_saved_again() {
    let world = world();
    let host = world.host();
    host.send("a", "add", 1).ok(1);
    host.stop();
    world.set_clock(DUE_MS);
    let host = world.host();
    world.retention(&host, MARGIN).round().await;
    assert_eq!((host.metrics.expiring_saved.get(), host.metrics.replays.get()), (0, 0));
}

#[tokio::test]
async fn a_snapshot_that_new_code_does_not_read_is_replaced_by_one_that_it_reads() {
    let world = world();
    let host = world.host();
    host.send("a", "add", 5).ok(1);
    world.set_clock(DUE_MS);
    let mut retention = world.retention(&host, MARGIN);
    retention.round().await;
    assert_eq!(host.metrics.expiring_saved.get(), 1);

    host.activate(Counter::of_code("counter 2", 1), 2, &[]);
    retention.code_has_changed();
    retention.round().await;
    world.set_clock(START_MS + AGE_MS);
    world.events.remove_through(1);
    assert_eq!(host.state("a").ok(1).count(), 5);
}

#[tokio::test]
async fn where_the_plugin_cannot_it_is_known_until_code_that_can_is_live() {
    let world = world();
    let host = world.host();
    host.send("broken", "add", 7).ok(1);
    host.send("sound", "add", 1).ok(1);
    killed(&world, host);
    let host = world.host_with(Counter::of_code("counter 2", 1).with(|quirks| quirks.refuses = Some(7)), |_| {});
    world.set_clock(DUE_MS);
    let mut retention = world.retention(&host, MARGIN);

    retention.round().await;
    let metrics = &host.metrics;
    assert_eq!((metrics.expiring_uncovered.get(), metrics.expiring_first_ms.get()), (1, START_MS + AGE_MS));
    assert!(world.snapshots.of(&id("sound")).is_some(), "one that fails stops no other");
    host.activate(Counter::of_code("counter 3", 1), 2, &[]);
    retention.round().await;
    assert_eq!((metrics.expiring_uncovered.get(), metrics.expiring_first_ms.get()), (0, 0));
    assert_eq!(world.snapshots.of(&id("broken")).expect("a snapshot").version, 1);
}

#[tokio::test]
async fn a_live_aggregate_that_cannot_be_saved_stays_in_memory_and_is_saved_later() {
    let world = world();
    let host = world.host();
    host.send("a", "add", 3).ok(1);
    world.snapshots.set_refusing(true);
    world.set_clock(DUE_MS);
    let mut retention = world.retention(&host, MARGIN);
    retention.round().await;
    assert_eq!((host.metrics.expiring_uncovered.get(), host.live()), (1, 1));

    world.set_clock(START_MS + AGE_MS);
    world.events.remove_through(1);
    world.snapshots.set_refusing(false);
    retention.round().await;
    assert_eq!((host.metrics.expiring_uncovered.get(), host.metrics.expired_uncovered.get()), (0, 0));
    assert_eq!(world.host().state("a").ok(1).count(), 3);
}

#[tokio::test]
async fn what_left_uncovered_is_counted_as_lost() {
    let world = world();
    let host = world.host();
    host.send("a", "add", 3).ok(1);
    killed(&world, host);
    let host = world.host();
    world.snapshots.set_refusing(true);
    world.set_clock(DUE_MS);
    let mut retention = world.retention(&host, MARGIN);
    retention.round().await;
    world.events.remove_through(1);
    world.snapshots.set_refusing(false);
    retention.round().await;
    assert_eq!((host.metrics.expiring_uncovered.get(), host.metrics.expired_uncovered.get()), (0, 1));
}

#[tokio::test]
async fn what_left_before_anybody_looked_is_told_until_the_next_look() {
    let world = world();
    let host = world.host();
    host.send("a", "add", 1).ok(1);
    world.set_clock(DUE_MS);
    let mut retention = world.retention(&host, MARGIN);
    retention.round().await;
    assert_eq!(host.metrics.expired_unseen.get(), 0);
    host.send("b", "add", 1).ok(1);
    host.send("c", "add", 1).ok(1);

    world.events.remove_through(3);
    retention.round().await;
    assert_eq!(host.metrics.expired_unseen.get(), 2);
    retention.round().await;
    assert_eq!(host.metrics.expired_unseen.get(), 0);
}

#[tokio::test]
async fn every_page_of_a_long_log_is_covered() {
    let world = world();
    let host = world.host();
    let counters: Vec<String> = (0..600).map(|n| format!("c{n}")).collect();
    for counter in &counters {
        host.send(counter, "add", 1).ok(1);
    }
    killed(&world, host);
    let host = world.host();
    world.set_clock(DUE_MS);
    world.retention(&host, MARGIN).round().await;
    assert!(counters.iter().all(|counter| world.snapshots.of(&id(counter)).is_some()));
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_counted_and_read_again() {
    let world = world();
    let host = world.host();
    host.send("a", "add", 1).ok(1);
    world.set_clock(DUE_MS);
    world.events.set_down(true);
    let mut retention = world.retention(&host, MARGIN);
    retention.round().await;
    assert_eq!(host.metrics.expiry_checks_failed.get(), 1);
    world.events.set_down(false);
    retention.round().await;
    assert_eq!(host.metrics.expiring_saved.get(), 1);
}

#[tokio::test]
async fn where_everything_is_kept_nothing_is_done() {
    let world = World::new();
    let host = world.host();
    host.send("a", "add", 1).ok(1);
    world.set_clock(u64::MAX);
    world.retention(&host, MARGIN).round().await;
    assert_eq!(host.metrics.snapshots.get(), 0);
}

#[tokio::test]
async fn a_newer_snapshot_that_own_code_does_not_read_is_replaced_at_its_version() {
    let world = world();
    let host = world.host();
    host.send("a", "add", 1).ok(1);
    // Of the two events only the first one is due, which the live aggregate of this host has.
    world.set_clock(START_MS + 1_000);
    let ahead = world.host_with(Counter::of_code("counter 2", 1), |_| {});
    ahead.send("a", "add", 2).ok(2);
    ahead.stop();
    let newer = world.snapshots.of(&id("a")).expect("a snapshot");
    assert_eq!((newer.version, newer.code), (2, Counter::of_code("counter 2", 1).digest().0));
    let mut retention = world.retention(&host, MARGIN);

    world.set_clock(DUE_MS);
    retention.round().await;

    let saved = world.snapshots.of(&id("a")).expect("a snapshot");
    assert_eq!((saved.version, saved.code), (2, Counter::new().digest().0));
    assert_eq!(host.metrics.expiring_uncovered.get(), 0);
    world.set_clock(START_MS + 1_000 + AGE_MS);
    world.events.remove_through(2);
    assert_eq!(world.host().state("a").ok(2).count(), 3);
}

#[tokio::test]
async fn what_left_before_it_was_looked_at_is_told() {
    let world = world();
    let host = world.host();
    host.send("a", "add", 1).ok(1);
    world.set_clock(DUE_MS);
    let mut retention = world.retention(&host, MARGIN);
    retention.round().await;
    for counter in ["b", "c", "d"] {
        host.send(counter, "add", 1).ok(1);
    }
    let log = Log::default();
    let _listening = log.listen();

    // What a walk has seen may leave, and says nothing.
    world.set_clock(START_MS + AGE_MS);
    world.events.remove_through(1);
    retention.round().await;
    assert_eq!(log.lines_with("messages left the stream before"), [""; 0]);

    world.events.remove_through(3);
    retention.round().await;
    let told = log.lines_with("messages left the stream before");
    assert_eq!(told.len(), 1, "{told:?}");
    for word in ["ERROR", "domain=counter", "from=2", "through=3", "SNAPSHOT_BEFORE_EXPIRY", "agent-service state"] {
        assert!(told[0].contains(word), "no {word} in {}", told[0]);
    }
    retention.round().await;
    assert_eq!(log.lines_with("messages left the stream before").len(), 1, "once is enough");
}
