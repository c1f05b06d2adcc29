//! Retention removes events, and state goes on: by the snapshot, where ageing is proven.

use std::time::Duration;

use super::served::{Host, START_MS, World, id};

const AGE_MS: u64 = 1_000;

/// A world with a finite age in which counter `c` has two events and a snapshot of them.
fn world_with_snapshot() -> World {
    let world = World::new();
    world.events.set_age_max(Duration::from_millis(AGE_MS));
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    host.send_as("second", "c", "add", 2).ok(2);
    host.stop();
    world
}

/// Lets time pass, so that all events through this one leave.
fn age(world: &World, through: u64) {
    world.set_clock(START_MS + AGE_MS);
    world.events.remove_through(through);
}

#[test]
fn an_aggregate_whose_events_have_all_aged_goes_on_from_its_snapshot() {
    let world = world_with_snapshot();
    age(&world, 2);
    let host = world.host();
    assert_eq!(host.state("c").ok(2).count(), 3);
    host.send_as("second", "c", "add", 2).duplicate(2);
    host.send("c", "remove", 9).error("rejected");
    host.send("c", "add", 4).ok(3);
    let appended = world.events.appends().pop().expect("an append");
    assert_eq!((appended.expected_sequence, appended.first_version), (0, 3));
    host.send("c", "add", 4).ok(4);
    assert_eq!(world.events.appends().pop().expect("an append").expected_sequence, 3);
    assert_eq!(host.state("c").ok(4).count(), 11);
}

#[test]
fn an_aged_tail_follows_its_snapshot() {
    let world = world_with_snapshot();
    world.snapshots.set_refusing(true);
    world.host().send("c", "add", 4).ok(3);
    age(&world, 2);
    let host = world.host();
    assert_eq!(host.state("c").ok(3).count(), 7);
    host.send("c", "add", 1).ok(4);
    assert_eq!(host.metrics.replays.get(), 0);
}

#[test]
fn events_that_age_under_a_running_host_leave_a_snapshot_first() {
    let world = World::new();
    world.events.set_age_max(Duration::from_millis(AGE_MS));
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    age(&world, 1);
    host.send("c", "add", 2).ok(2);
    let appended = world.events.appends().pop().expect("an append");
    assert_eq!((appended.expected_sequence, appended.first_version), (0, 2));
    let saved = world.snapshots.of(&id("c")).expect("a snapshot");
    assert_eq!(saved.version, 1, "without it nobody else could go on");
    assert_eq!(world.host().state("c").ok(2).count(), 3);
}

#[test]
fn events_that_age_without_a_snapshot_end_the_aggregate_in_doubt() {
    let world = World::new();
    world.events.set_age_max(Duration::from_millis(AGE_MS));
    world.snapshots.set_refusing(true);
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    age(&world, 1);
    // Refused, and with nothing newer in the log that is not the last word.
    host.send("c", "add", 2).error("timeout");
    assert_eq!(world.events.of(&id("c")).len(), 0, "nothing is stored that cannot be loaded");
}

#[test]
fn what_left_before_its_time_has_not_aged() {
    let world = world_with_snapshot();
    world.set_clock(START_MS + AGE_MS - 1);
    world.events.remove_through(2);
    let host = world.host();
    let message = host.send("c", "add", 1).error("unavailable");
    assert!(message.contains("has not aged"), "{message}");
}

#[test]
fn oldest_events_that_are_gone_without_a_snapshot_are_unavailable() {
    let world = World::new();
    world.snapshots.set_refusing(true);
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    host.send("c", "add", 1).ok(2);
    host.stop();
    world.events.remove_through(1);
    let host = world.host();
    let message = host.send("c", "add", 1).error("unavailable");
    assert!(message.contains("version 2"), "{message}");
    host.state("c").error("unavailable");
    assert_eq!(world.events.of(&id("c")).len(), 1);
}

#[test]
fn an_earlier_version_whose_events_have_aged_is_expired() {
    let world = world_with_snapshot();
    world.host().send("c", "add", 4).ok(3);
    age(&world, 1);
    let host = world.host();
    host.state_at("c", 1).error("expired");
    assert_eq!(host.state_at("c", 3).ok(3).count(), 7);
    assert_eq!(host.live(), 1, "the copy that was tried is let go");
}

#[test]
fn a_history_whose_beginning_has_aged_is_expired_and_its_rest_is_there() {
    let world = world_with_snapshot();
    world.host().send("c", "add", 4).ok(3);
    age(&world, 1);
    let host = world.host();
    host.history("c", 0, 10).error("expired");
    let rest = host.history("c", 1, 10);
    assert_eq!((rest["events"][0]["version"].as_u64(), rest.events()), (Some(2), 2));
}

#[test]
fn a_history_that_has_aged_as_a_whole_is_expired() {
    let world = world_with_snapshot();
    age(&world, 2);
    let host = world.host();
    host.history("c", 0, 10).error("expired");
    host.state_at("c", 1).error("expired");
    host.history("unknown", 0, 10).error("not_found");
}

/// A host in which `c` is live at version 2, and another one that has gone on to version 3, left a
/// snapshot of it and gone.
fn left_behind() -> (World, Host) {
    let world = world_with_snapshot();
    let behind = world.host();
    assert_eq!(behind.state("c").ok(2).count(), 3);
    let ahead = world.host();
    ahead.send("c", "add", 4).ok(3);
    ahead.stop();
    assert_eq!(world.snapshots.of(&id("c")).map(|snapshot| snapshot.version), Some(3));
    (world, behind)
}

#[test]
fn a_live_aggregate_whose_events_have_aged_goes_on_from_the_newer_snapshot_of_another_host() {
    let (world, behind) = left_behind();
    age(&world, 3);
    assert_eq!(behind.state("c").ok(3).count(), 7);
    behind.send("c", "add", 1).ok(4);
    let appended = world.events.appends().pop().expect("an append");
    assert_eq!((appended.expected_sequence, appended.first_version), (0, 4));
}

#[test]
fn one_that_has_outlived_its_events_before_learns_as_well_that_another_host_has_gone_further() {
    let world = world_with_snapshot();
    let behind = world.host();
    age(&world, 2);
    assert_eq!(behind.state("c").ok(2).count(), 3);
    let ahead = world.host();
    ahead.send("c", "add", 4).ok(3);
    ahead.stop();
    world.set_clock(START_MS + 2 * AGE_MS);
    world.events.remove_through(3);
    assert_eq!(behind.state("c").ok(3).count(), 7);
}

#[test]
fn a_live_aggregate_whose_tail_has_aged_in_part_goes_on_from_the_newer_snapshot() {
    let (world, behind) = left_behind();
    world.set_clock(START_MS + AGE_MS);
    let ahead = world.host();
    ahead.send("c", "add", 8).ok(4);
    age(&world, 3);
    let replays = behind.metrics.replays.get();
    assert_eq!(behind.state("c").ok(4).count(), 15);
    behind.send("c", "add", 1).ok(5);
    assert_eq!(behind.metrics.replays.get(), replays);
}

#[test]
fn a_command_that_meets_a_tail_that_has_aged_in_part_is_decided_on_all_of_it() {
    let (world, behind) = left_behind();
    world.set_clock(START_MS + AGE_MS);
    world.host().send("c", "add", 8).ok(4);
    age(&world, 3);
    behind.send("c", "remove", 15).ok(5);
    assert_eq!(behind.state("c").ok(5).count(), 0);
}
