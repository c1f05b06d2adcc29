//! Appends that do not go as hoped: another writer was first, the acknowledgement is lost,
//! JetStream refuses.

use serde_json::json;

use super::served::{World, id};
use crate::store::memory::events::Fault;
use crate::testing::counter::event;

fn other_writer_adds(n: u64) -> Fault {
    Fault::OtherWriterFirst(event("added", &json!({ "n": n })))
}

#[test]
fn the_loser_of_a_race_decides_again_on_the_new_state() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    world.events.fail_next(other_writer_adds(5));
    let answer = host.send("c", "reach", 4).ok(2);
    assert_eq!(answer.events(), 0, "the other writer has passed the goal");
    world.events.fail_next(other_writer_adds(1));
    host.send("c", "add", 3).ok(4);
    assert_eq!(host.state("c").ok(4).count(), 10);
    assert_eq!(host.metrics.conflicts.get(), 2);
}

#[test]
fn the_own_command_in_the_tail_is_a_duplicate() {
    let world = World::new();
    let (stale, other) = (world.host(), world.host());
    stale.send("c", "add", 1).ok(1);
    let first = other.send_as("same", "c", "add", 2).ok(2);
    other.send("c", "add", 3).ok(3);
    let again = stale.send_as("same", "c", "add", 2).duplicate(2);
    assert_eq!(again["events"], first["events"]);
    assert_eq!(world.events.of(&id("c")).len(), 3);
}

#[test]
fn the_own_command_is_looked_for_wherever_a_tail_was_read() {
    let world = World::new();
    let (stale, other) = (world.host(), world.host());
    stale.send("c", "add", 5).ok(1);
    other.send_as("same", "c", "remove", 4).ok(2);
    // To the stale copy it is a decision for events, to the fresh one a rejection; it is neither.
    stale.send_as("same", "c", "remove", 4).duplicate(2);
    stale.send("c", "remove", 4).error("rejected");
}

#[test]
fn writers_that_always_collide_are_told_to_come_again() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    let before = world.events.appends().len();
    world.events.fail_always(Some(other_writer_adds(1)));
    let answer = host.send_as("mine", "c", "add", 100);
    assert_eq!(answer["retryable"], true, "{answer:?}");
    answer.error("conflict");
    assert_eq!(world.events.appends().len() - before, 16, "the attempts are bounded");
    world.events.fail_always(None);
    host.send_as("mine", "c", "add", 100).ok(18);
    assert_eq!(host.state("c").count(), 117);
}

#[test]
fn a_lost_acknowledgement_is_a_timeout_and_the_same_id_finds_what_was_stored() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    for (command, verb, version, events) in [("one", "add", 2, 1), ("several", "add_many", 5, 3)] {
        world.events.fail_next(Fault::UnknownButStored);
        let answer = host.send_as(command, "c", verb, 3);
        assert_eq!(answer["retryable"], true);
        answer.error("timeout");
        assert_eq!(host.send_as(command, "c", verb, 3).duplicate(version).events(), events);
    }
    assert_eq!(host.state("c").ok(5).count(), 7);
}

#[test]
fn a_lost_message_is_a_timeout_and_the_same_id_is_decided_then() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    for (command, verb, version) in [("one", "add", 2), ("several", "add_many", 5)] {
        world.events.fail_next(Fault::UnknownNotStored);
        host.send_as(command, "c", verb, 3).error("timeout");
        assert_eq!(host.state("c").ok(if version == 2 { 1 } else { 2 })["status"], "ok");
        host.send_as(command, "c", verb, 3).ok(version);
    }
    assert_eq!(world.events.of(&id("c")).len(), 5);
}

#[test]
fn a_refused_append_is_unavailable_and_leaves_no_trace() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    world.events.fail_next(Fault::Unavailable);
    host.send_as("again", "c", "add", 2).error("unavailable");
    assert_eq!(world.events.of(&id("c")).len(), 1);
    assert_eq!(host.state("c").ok(1).count(), 1);
    host.send_as("again", "c", "add", 2).ok(2);
}

#[test]
fn a_refusal_is_the_last_word_only_with_something_newer_in_the_log() {
    let world = World::new();
    let (host, other) = (world.host(), world.host());
    host.send("c", "add", 1).ok(1);
    world.events.fail_always(Some(Fault::RefusedByOldLeader));
    host.send("c", "add", 2).error("timeout");
    world.events.fail_always(None);

    other.send("c", "add", 3).ok(2);
    world.events.fail_next(Fault::RefusedByOldLeader);
    host.send("c", "remove", 9).error("rejected");
    host.send("c", "add", 2).ok(3);
}

#[test]
fn events_that_went_elsewhere_are_a_timeout() {
    let world = World::new();
    let host = world.host();
    world.events.fail_next(Fault::Misplaced);
    // They are stored somewhere, so no code that promises the contrary would be true.
    host.send("c", "add", 1).error("timeout");
}

#[test]
fn a_replica_that_is_behind_costs_a_second_try_and_no_answer() {
    let world = World::new();
    world.snapshots.set_refusing(true);
    world.host().send("c", "add", 1).ok(1);
    world.host().send("c", "add", 2).ok(2);

    world.events.set_replica_behind(1);
    let host = world.host();
    host.send("c", "add", 3).ok(3);
    assert_eq!(host.metrics.conflicts.get(), 1, "the log refuses what was decided on an old state");

    // Answers that write nothing are held against the leader.
    world.events.set_replica_behind(3);
    world.host().send("c", "remove", 7).error("rejected");
    assert_eq!(world.host().state("c").ok(3).count(), 6);
}
