//! A plugin that fails costs its command an error and its neighbours a refill, never state.

use std::sync::atomic::Ordering;

use super::served::{World, id};
use crate::domain::EVENTS_PER_COMMAND_MAX;
use crate::message::Request;

#[test]
fn a_trap_costs_its_command_an_error_and_its_neighbours_a_refill() {
    let world = World::new();
    let host = world.host();
    host.send("a", "add", 1).ok(1);
    host.send("b", "add", 2).ok(1);
    for version in 2..=3 {
        let message = host.send("a", "trap", 0).error("plugin_failed");
        assert!(message.contains("told to"), "{message}");
        // Those that shared the instance, first with a command, then with a query.
        host.send("b", "add", 1).ok(version);
        assert_eq!(host.state("a").ok(version - 1).count(), version - 1);
        host.send("a", "add", 1).ok(version);
    }
    assert_eq!(host.state("b").ok(3).count(), 4);
    assert_eq!(host.seen.instances.load(Ordering::SeqCst), 3, "one at first, and one after each trap");
    assert_eq!(host.live(), 2, "what was lost is let go");
}

#[test]
fn what_is_being_stored_when_its_instance_is_lost_counts_once_it_is_acknowledged() {
    let world = World::new();
    let host = world.host();
    for counter in ["a", "b"] {
        host.send(counter, "add", 1).ok(1);
    }
    world.events.close();
    let under_way = host.begin(Request::Command(host.command("a", "add", 5))).expect("the shard takes it");
    host.send("b", "add", 0).error("invalid");
    host.send("b", "trap", 0).error("plugin_failed");
    let after_it = host.begin(Request::Command(host.command("a", "add", 7))).expect("the shard takes it");
    world.events.open();
    under_way.wait().ok(2);
    after_it.wait().ok(3);
    assert_eq!(host.state("a").ok(3).count(), 13);
    assert_eq!(world.events.of(&id("a")).len(), 3);
    assert_eq!(host.metrics.conflicts.get(), 0, "nothing was decided on a state without it");
}

#[test]
fn a_trap_stores_nothing_and_its_command_is_decided_again() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    host.send_as("same", "c", "trap", 0).error("plugin_failed");
    assert_eq!(world.events.of(&id("c")).len(), 1);
    host.send_as("same", "c", "add", 1).ok(2);
}

#[test]
fn state_that_no_snapshot_covers_survives_the_loss_of_its_instance() {
    let world = World::new();
    world.snapshots.set_refusing(true);
    let host = world.host();
    host.send("a", "add", 7).ok(1);
    host.send("b", "trap", 0).error("plugin_failed");
    assert_eq!(host.state("a").ok(1).count(), 7);
    assert_eq!(host.metrics.replays.get(), 1);
}

#[test]
fn a_stop_with_a_lost_instance_leaves_the_other_snapshots() {
    let world = World::new();
    let host = world.host();
    host.send("a", "add", 7).ok(1);
    host.send("b", "trap", 0).error("plugin_failed");
    host.send("c", "add", 1).ok(1);
    host.stop();
    assert!(world.snapshots.of(&id("c")).is_some());
    assert_eq!(world.host().state("a").ok(1).count(), 7);
}

#[test]
fn an_event_that_is_stored_and_cannot_be_applied_is_ok_once_and_then_named() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    let answer = host.send_as("spoils", "c", "spoil", 0).ok(2);
    let sequence = answer["events"][0]["sequence"].as_u64().expect("a sequence");
    for answer in [host.send("c", "add", 1), host.state("c")] {
        let message = answer.error("plugin_failed");
        assert!(message.contains(&format!("sequence {sequence} ")), "{message}");
        assert!(message.contains("`spoiled`"), "{message}");
    }
    assert_eq!(world.events.of(&id("c")).len(), 2);
    assert_eq!(host.history("c", 0, 10).events(), 2, "what was recorded can still be read");
    host.send("other", "add", 1).ok(1);
}

#[test]
fn a_tail_that_was_applied_in_part_is_not_believed() {
    let world = World::new();
    let (stale, other) = (world.host(), world.host());
    stale.send("c", "add", 1).ok(1);
    other.send("c", "add", 5).ok(2);
    let spoilt = other.send("c", "spoil", 0).ok(3)["events"][0]["sequence"].as_u64().expect("a sequence");
    stale.state("c").error("plugin_failed");
    world.events.remove(spoilt);
    assert_eq!(stale.state("c").ok(2).count(), 6, "the 5 count once");
}

#[test]
fn as_many_events_as_fit_one_batch_are_stored() {
    let world = World::new();
    let host = world.host();
    let most = EVENTS_PER_COMMAND_MAX as u64;
    assert_eq!(host.send("c", "add_many", most).ok(most).events(), EVENTS_PER_COMMAND_MAX);
    assert_eq!(host.state("c").ok(most).count(), most);
}

#[test]
fn more_events_than_fit_one_batch_are_none() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    let message = host.send("c", "add_many", EVENTS_PER_COMMAND_MAX as u64 + 1).error("plugin_failed");
    assert!(message.contains("1001") && message.contains("1000"), "{message}");
    assert_eq!(world.events.of(&id("c")).len(), 1);
    host.send("c", "add", 1).ok(2);
}

#[test]
fn an_invalid_command_leaves_its_aggregate_in_memory() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    let answer = host.send("c", "add", 0);
    assert_eq!(answer["field"], "n");
    answer.error("invalid");
    host.send("c", "add", 1).ok(2);
    assert_eq!(host.metrics.replays.get(), 0, "bad input must not cost others a replay");
}
