//! When snapshots are taken, when they are believed, and when the log contradicts them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::served::{Host, World, id};
use crate::activation::Activation;
use crate::domain::Generation;
use crate::testing::counter::{Counter, Reads};

/// A world in which counter `c` has two events and a snapshot of them.
fn world_with_snapshot() -> World {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    host.send("c", "add", 2).ok(2);
    host.stop();
    assert_eq!(world.snapshots.of(&id("c")).map(|snapshot| snapshot.version), Some(2));
    world
}

fn version_saved(world: &World, counter: &str) -> Option<u64> {
    world.snapshots.of(&id(counter)).map(|snapshot| snapshot.version)
}

#[test]
fn an_aggregate_leaves_memory_with_a_snapshot() {
    let world = World::new();
    let host = world.host_with(Counter::new(), |service| service.cache_capacity = 1);
    for version in 1..=2 {
        host.send("a", "add", 1).ok(version);
    }
    host.send("b", "add", 2).ok(1);
    // Waits until the eviction that made room is done.
    assert_eq!(host.state("a").ok(2).count(), 2);
    assert_eq!(version_saved(&world, "a"), Some(2));
    assert_eq!(host.metrics.replays.get(), 0, "the snapshot spared the replay");
    assert_eq!(version_saved(&world, "b"), None, "its last event is read in any case");
    assert_eq!(host.state("b").ok(1).count(), 2);
}

#[test]
fn one_event_more_than_the_snapshot_has_leads_to_no_other() {
    let world = world_with_snapshot();
    let host = world.host_with(Counter::new(), |service| service.cache_capacity = 1);
    host.send("c", "add", 4).ok(3);
    host.send("b", "add", 1).ok(1);
    assert_eq!(host.state("c").ok(3).count(), 7);
    assert_eq!(version_saved(&world, "c"), Some(2));
    host.send("c", "add", 4).ok(4);
    host.send("b", "add", 1).ok(2);
    assert_eq!(host.state("c").ok(4).count(), 11);
    assert_eq!(version_saved(&world, "c"), Some(4));
}

#[test]
fn the_cache_is_bounded() {
    let world = World::new();
    let host = world.host_with(Counter::new(), |service| service.cache_capacity = 8);
    for n in 0..40 {
        host.send(&format!("c{n}"), "add", 1).ok(1);
    }
    // One is at work and one on its way out beside those that rest.
    assert!(host.live() <= 10, "{} are live", host.live());
}

#[test]
fn a_snapshot_is_taken_every_so_many_events() {
    let world = World::new();
    let host = world.host_with(Counter::new(), |service| service.snapshot_frequency = 3);
    for version in 1..=7 {
        host.send("c", "add", 1).ok(version);
    }
    assert_eq!(host.state("c").count(), 7);
    assert_eq!(version_saved(&world, "c"), Some(6));
    host.send("c", "add_many", 10).ok(17);
    assert_eq!(host.state("c").count(), 17);
    assert_eq!(version_saved(&world, "c"), Some(17));
}

#[test]
fn a_host_that_stops_leaves_snapshots_of_what_is_unsaved() {
    let world = World::new();
    let host = world.host();
    for n in 0..100 {
        host.send(&format!("c{n}"), "add", 1).ok(1);
    }
    host.stop();
    for n in 0..100 {
        assert_eq!(version_saved(&world, &format!("c{n}")), Some(1));
    }
    let host = world.host();
    assert_eq!(host.state("c7").ok(1).count(), 1);
    let saved = host.metrics.snapshots.get();
    let metrics = std::sync::Arc::clone(&host.metrics);
    host.stop();
    assert_eq!(metrics.snapshots.get(), saved, "what has a snapshot needs no other");
}

#[test]
fn a_snapshot_that_cannot_be_saved_costs_no_command() {
    let world = World::new();
    world.snapshots.set_refusing(true);
    let host = world.host_with(Counter::new(), |service| service.snapshot_frequency = 1);
    for version in 1..=3 {
        host.send("c", "add", 1).ok(version);
    }
    world.snapshots.set_refusing(false);
    host.send("c", "add", 1).ok(4);
    host.state("c").ok(4);
    assert_eq!(version_saved(&world, "c"), Some(4));
}

#[test]
fn a_snapshot_of_other_code_is_not_believed_while_the_events_are_there() {
    let world = world_with_snapshot();
    let host = world.host_with(Counter::of_code("counter 2", 1), |_| {});
    assert_eq!(host.state("c").ok(2).count(), 3);
    assert_eq!(host.metrics.replays.get(), 1);
    assert_eq!(host.seen.restored.load(Ordering::SeqCst), 0);
}

#[test]
fn a_snapshot_of_other_code_is_not_believed_either_where_events_have_aged() {
    let world = world_with_snapshot();
    world.events.remove_through(1);
    let host = world.host_with(Counter::of_code("counter 2", 1), |_| {});
    let message = host.state("c").error("unavailable");
    assert!(message.contains("written by other code"), "{message}");
    assert_eq!(host.seen.restored.load(Ordering::SeqCst), 0);
}

#[test]
fn a_snapshot_of_code_that_a_gate_has_proven_is_as_good_as_an_own_one() {
    let world = world_with_snapshot();
    world.events.remove_through(1);
    let proven = Counter::new().digest();
    let host = world.host_with(Counter::new(), |service| {
        let newer = Arc::new(Counter::of_code("counter 2", 1));
        service.activation = Arc::new(Activation::new(newer, 2, [proven].into()));
    });
    assert_eq!(host.state("c").ok(2).count(), 3);
    assert_eq!(host.metrics.replays.get(), 0);
}

#[test]
fn a_snapshot_that_no_code_reads_is_unavailable_where_events_have_aged() {
    let world = world_with_snapshot();
    world.events.remove_through(1);
    let host = world.host_with(Counter::of_code("counter 2", 2), |_| {});
    let message = host.state("c").error("unavailable");
    assert!(message.contains("does not read the snapshot"), "{message}");
    host.send("c", "add", 1).error("unavailable");
    assert_eq!(world.events.of(&id("c")).len(), 1);
}

#[test]
fn a_snapshot_of_another_state_schema_is_offered() {
    for complete in [true, false] {
        let world = world_with_snapshot();
        if !complete {
            world.events.remove_through(1);
        }
        let newer = Counter::of_code("counter 2", 2).with(|quirks| quirks.other_schemas = true);
        let host = world.host_with(newer, |_| {});
        assert_eq!(host.state("c").ok(2).count(), 3);
        assert_eq!((host.metrics.replays.get(), host.seen.restored.load(Ordering::SeqCst)), (0, 1));
        host.send("c", "add", 1).ok(3);
    }
}

#[test]
fn a_snapshot_that_the_code_declines_is_replaced_by_replay_while_the_events_are_there() {
    // By the number of its state schema, and by itself though a gate has proven its code.
    let other_schema = Counter::of_code("counter 2", 2);
    let declining = Counter::of_code("counter 2", 1).with(|quirks| quirks.other_states = Reads::Not);
    for counter in [other_schema, declining] {
        let world = world_with_snapshot();
        let host = world.host_with(Counter::new(), |service| {
            service.activation = Arc::new(Activation::new(Arc::new(counter), 2, [Counter::new().digest()].into()));
        });
        assert_eq!(host.state("c").ok(2).count(), 3);
        assert_eq!(host.metrics.replays.get(), 1);
    }
}

#[test]
fn a_snapshot_of_other_code_is_not_believed_either_where_all_events_have_aged() {
    let world = world_with_snapshot();
    world.events.set_age_max(std::time::Duration::ZERO);
    world.events.remove_through(2);
    let host = world.host_with(Counter::of_code("counter 2", 1), |_| {});
    let message = host.state("c").error("unavailable");
    assert!(message.contains("written by other code"), "{message}");
    host.send("c", "add", 1).error("unavailable");
    assert_eq!(world.events.of(&id("c")).len(), 0);
    assert_eq!(world.host().state("c").ok(2).count(), 3, "the code that wrote it goes on");
}

#[test]
fn a_damaged_snapshot_is_replaced_after_a_replay() {
    let world = world_with_snapshot();
    world.snapshots.damage(7);
    let host = world.host();
    assert_eq!(host.send("c", "add", 1).ok(3)["status"], "ok");
    assert_eq!(host.state("c").count(), 4);
    assert_eq!(host.metrics.replays.get(), 1);
    host.stop();
    assert_eq!(world.snapshots.revisions_seen().last(), Some(&7), "what is damaged is what is replaced");
    assert_eq!(version_saved(&world, "c"), Some(3));
}

#[test]
fn snapshots_out_of_reach_are_unavailable() {
    let world = world_with_snapshot();
    world.snapshots.set_unreadable(true);
    let host = world.host();
    host.state("c").error("unavailable");
    host.send("c", "add", 1).error("unavailable");
    world.snapshots.set_unreadable(false);
    host.send("c", "add", 1).ok(3);
}

/// Everything about `c` is refused, nothing stored; other aggregates go on.
#[track_caller]
fn is_in_doubt(host: &Host, world: &World, what: &str) {
    let before = world.events.appends().len();
    for answer in [host.state("c"), host.send("c", "add", 1), host.send("c", "remove", 99)] {
        let message = answer.error("unavailable");
        assert!(message.contains(what), "{message}");
    }
    assert_eq!(world.events.appends().len(), before);
    assert_eq!(host.metrics.contradictions.get(), 3);
    host.send("other", "add", 1).ok(1);
}

#[test]
fn a_log_that_ends_before_the_snapshot_is_in_doubt() {
    let world = world_with_snapshot();
    world.events.restore_to(1);
    is_in_doubt(&world.host(), &world, "ends before");
}

#[test]
fn an_emptied_log_is_in_doubt() {
    let world = world_with_snapshot();
    world.events.remove_through(2);
    is_in_doubt(&world.host(), &world, "has not aged");
}

#[test]
fn a_recreated_log_is_in_doubt() {
    let world = world_with_snapshot();
    world.events.set_age_max(std::time::Duration::ZERO);
    world.events.restore_to(0);
    is_in_doubt(&world.host(), &world, "has not aged");
}

#[test]
fn another_event_in_the_place_of_the_last_is_in_doubt() {
    let world = world_with_snapshot();
    let mut snapshot = world.snapshots.of(&id("c")).expect("it stands");
    snapshot.last_event_id = Uuid::from_u128(1);
    world.snapshots.replace(&id("c"), snapshot);
    is_in_doubt(&world.host(), &world, "another event");
}

#[test]
fn another_event_in_the_place_of_the_last_is_in_doubt_with_a_tail_behind_it() {
    let world = world_with_snapshot();
    world.snapshots.set_refusing(true);
    world.host().send("c", "add", 1).ok(3);
    let mut snapshot = world.snapshots.of(&id("c")).expect("it stands");
    snapshot.last_event_id = Uuid::from_u128(1);
    world.snapshots.replace(&id("c"), snapshot);
    is_in_doubt(&world.host(), &world, "another event");
}

#[test]
fn a_last_event_that_is_gone_before_its_time_is_in_doubt_with_a_tail_behind_it() {
    let world = world_with_snapshot();
    world.snapshots.set_refusing(true);
    world.host().send("c", "add", 1).ok(3);
    world.events.remove_through(2);
    is_in_doubt(&world.host(), &world, "has not aged");
}

#[test]
fn a_log_that_is_restored_under_a_running_host_is_in_doubt() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    host.send("c", "add", 1).ok(2);
    world.events.restore_to(1);
    host.state("c").error("unavailable");
    assert_eq!(host.metrics.contradictions.get(), 1);
}
