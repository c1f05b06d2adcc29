//! The same command id again has the effect of once, for as long as the aggregate remembers.

use std::sync::atomic::Ordering;

use super::served::{Host, World, id};
use crate::message::Command;
use crate::remembered::COMMANDS_MAX;

/// Lets the counter take `commands` more.
fn pass(host: &Host, commands: usize) {
    for _ in 0..commands {
        let answer = host.send("c", "add", 1);
        assert_eq!(answer["status"], "ok", "{answer:?}");
    }
}

#[test]
fn the_first_outcome_is_told_again_and_nothing_is_decided() {
    let world = World::new();
    let host = world.host();
    let first = host.send_as("several", "c", "add_many", 3).ok(3);
    pass(&host, 4);
    let decisions = host.seen.decisions.load(Ordering::SeqCst);
    let again = host.send_as("several", "c", "add_many", 3).duplicate(3);
    assert_eq!(again["events"], first["events"]);
    assert_eq!(host.seen.decisions.load(Ordering::SeqCst), decisions);
    assert_eq!(host.state("c").ok(7).count(), 7);
}

#[test]
fn an_id_is_looked_up_before_the_expected_version() {
    let world = World::new();
    let host = world.host();
    let command = Command { expected_version: Some(0), ..host.command("c", "add", 1) };
    host.ask(command.clone()).ok(1);
    pass(&host, 1);
    host.ask(command).duplicate(1);
}

#[test]
fn the_last_commands_are_remembered_and_older_ones_decided_anew() {
    let world = World::new();
    let host = world.host();
    host.send_as("first", "c", "add", 1).ok(1);
    pass(&host, COMMANDS_MAX - 1);
    host.send_as("first", "c", "add", 1).duplicate(1);
    pass(&host, 1);
    world.events.forget_ids();
    host.send_as("first", "c", "add", 1).ok(COMMANDS_MAX as u64 + 2);
    assert_eq!(world.events.of(&id("c")).len(), COMMANDS_MAX + 2);
}

#[test]
fn an_id_that_only_jetstream_still_knows_counts_once() {
    let world = World::new();
    let host = world.host();
    let first = host.send_as("first", "c", "add", 1).ok(1);
    pass(&host, COMMANDS_MAX);
    let versions = COMMANDS_MAX as u64 + 1;
    // Within its duplicate window JetStream stores nothing and says where the event is.
    let again = host.send_as("first", "c", "add", 1).duplicate(1);
    assert_eq!(again["events"], first["events"]);
    assert_eq!(host.state("c").ok(versions).count(), versions, "nothing was stored, so nothing is shown");
    host.send("c", "add", 1).ok(versions + 1);
}

#[test]
fn commands_are_remembered_across_a_restart_by_the_snapshot() {
    let world = World::new();
    let host = world.host();
    let first = host.send_as("several", "c", "add_many", 2).ok(2);
    pass(&host, 3);
    host.stop();
    let host = world.host();
    let again = host.send_as("several", "c", "add_many", 2).duplicate(2);
    assert_eq!(again["events"], first["events"]);
    assert_eq!(host.metrics.replays.get(), 0);
}

#[test]
fn commands_are_remembered_across_a_crash_by_the_events() {
    let world = World::new();
    world.snapshots.set_refusing(true);
    let host = world.host();
    let first = host.send_as("several", "c", "add_many", 2).ok(2);
    pass(&host, 3);
    host.stop();
    let host = world.host();
    let again = host.send_as("several", "c", "add_many", 2).duplicate(2);
    assert_eq!(again["events"], first["events"]);
    assert_eq!(host.metrics.replays.get(), 1);
}

#[test]
fn commands_between_snapshot_and_crash_are_remembered() {
    let world = World::new();
    let host = world.host();
    host.send_as("before", "c", "add", 1).ok(1);
    host.stop();
    world.snapshots.set_refusing(true);
    let host = world.host();
    host.send_as("after", "c", "add", 1).ok(2);
    host.stop();
    let host = world.host();
    host.send_as("before", "c", "add", 1).duplicate(1);
    host.send_as("after", "c", "add", 1).duplicate(2);
}

#[test]
fn a_refused_command_is_decided_again() {
    let world = World::new();
    let host = world.host();
    host.send_as("again", "c", "remove", 1).error("rejected");
    host.send("c", "add", 1).ok(1);
    host.send_as("again", "c", "remove", 1).ok(2);
}

#[test]
fn an_id_belongs_to_its_aggregate() {
    let world = World::new();
    let host = world.host();
    host.send_as("same", "c", "add", 1).ok(1);
    host.send_as("same", "d", "add", 1).ok(1);
    host.send_as("same", "d", "add", 1).duplicate(1);
}

#[test]
fn a_duplicate_whose_events_have_aged_is_still_one() {
    let world = World::new();
    let host = world.host();
    host.send_as("old", "c", "add", 1).ok(1);
    pass(&host, 1);
    world.events.remove_through(1);
    assert_eq!(host.send_as("old", "c", "add", 1).duplicate(1).events(), 0);
}
