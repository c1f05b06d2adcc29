//! What writes nothing is answered only after the log's leader was asked: a host whose copy
//! is stale neither refuses nor shows what is no longer so.

use super::served::World;
use crate::message::Command;

#[test]
fn an_ok_without_events_is_confirmed() {
    let world = World::new();
    let (stale, other) = (world.host(), world.host());
    stale.send("c", "add", 5).ok(1);
    other.send("c", "remove", 3).ok(2);
    let answer = stale.send("c", "reach", 4).ok(3);
    assert_eq!(answer.events(), 1, "there are 2 by now, so 2 are to be added");
    assert_eq!(other.state("c").count(), 4);
}

#[test]
fn an_ok_without_events_that_holds_says_so() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 5).ok(1);
    assert_eq!(host.send("c", "reach", 4).ok(1).events(), 0);
}

#[test]
fn a_rejection_is_confirmed() {
    let world = World::new();
    let (stale, other) = (world.host(), world.host());
    stale.send("c", "add", 1).ok(1);
    other.send("c", "add", 5).ok(2);
    stale.send("c", "remove", 6).ok(3);
    let refused = stale.send("c", "remove", 1);
    assert_eq!((&refused["reason"], &refused["version"]), (&"too_few".into(), &3.into()));
    refused.error("rejected");
}

#[test]
fn a_conflict_is_confirmed() {
    let world = World::new();
    let (stale, other) = (world.host(), world.host());
    stale.send("c", "add", 1).ok(1);
    other.send("c", "add", 1).ok(2);
    let expecting = |expected| Command { expected_version: Some(expected), ..stale.command("c", "add", 1) };
    stale.ask(expecting(2)).ok(3);
    let refused = stale.ask(expecting(2));
    assert_eq!((&refused["retryable"], &refused["version"]), (&false.into(), &3.into()));
    refused.error("conflict");
}

#[test]
fn an_expected_version_that_another_writer_passed_is_a_conflict() {
    let world = World::new();
    let (stale, other) = (world.host(), world.host());
    stale.send("c", "add", 1).ok(1);
    other.send("c", "add", 1).ok(2);
    let refused = stale.ask(Command { expected_version: Some(1), ..stale.command("c", "add", 1) });
    assert_eq!(refused["version"], 2);
    refused.error("conflict");
    assert_eq!(world.events.of(&super::served::id("c")).len(), 2);
}

#[test]
fn a_not_found_is_confirmed() {
    let world = World::new();
    let (stale, other) = (world.host(), world.host());
    stale.state("c").error("not_found");
    stale.history("c", 0, 10).error("not_found");
    stale.send("c", "remove", 1).error("rejected");
    other.send("c", "add", 1).ok(1);
    assert_eq!(stale.state("c").ok(1).count(), 1);
    assert_eq!(stale.history("c", 0, 10).events(), 1);
}

#[test]
fn a_query_is_confirmed() {
    let world = World::new();
    let (stale, other) = (world.host(), world.host());
    stale.send("c", "add", 1).ok(1);
    other.send("c", "add", 5).ok(2);
    assert_eq!(stale.state("c").ok(2).count(), 6);
    assert_eq!(stale.state_at("c", 1).ok(1).count(), 1);
}

#[test]
fn what_cannot_be_confirmed_is_unavailable() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    world.events.set_down(true);
    host.send("c", "remove", 5).error("unavailable");
    host.send("c", "reach", 1).error("unavailable");
    host.state("c").error("unavailable");
    host.history("c", 0, 10).error("unavailable");
    world.events.set_down(false);
    host.send("c", "remove", 5).error("rejected");
    assert_eq!(host.state("c").ok(1).count(), 1);
}
