//! Aggregates with a recorded event that the live code cannot apply: they are told which, cost nobody
//! else anything, and are free again once they can be. It must not test how such an event is kept out.

use std::sync::atomic::Ordering;

use super::served::{Host, World, id};
use crate::testing::counter::Counter;

fn trapping() -> Counter {
    Counter::new().with(|quirks| quirks.traps = Some(7))
}

/// The same that can apply it.
fn mended() -> Counter {
    Counter::of_code("counter 2", 1)
}

fn instances(host: &Host) -> usize {
    host.seen.instances.load(Ordering::SeqCst)
}

/// A host with a counter `c` at version 3, whose second event traps, and one beside it.
fn host_with_a_trap(world: &World) -> (Host, u64) {
    // Its events are all that is left of it.
    world.snapshots.set_refusing(true);
    let recorder = world.host();
    recorder.send("c", "add", 1).ok(1);
    let answer = recorder.send("c", "add", 7).ok(2);
    let sequence = answer["events"][0]["sequence"].as_u64().expect("a sequence");
    recorder.send("c", "add", 1).ok(3);
    drop(recorder);
    world.snapshots.set_refusing(false);
    let host = world.host_with(trapping(), |_| {});
    host.send("beside", "add", 1).ok(1);
    (host, sequence)
}

#[test]
fn the_event_is_named_though_it_traps_among_others() {
    let world = World::new();
    let (host, sequence) = host_with_a_trap(&world);
    for answer in [host.send("c", "add", 1), host.state("c")] {
        let message = answer.error("plugin_failed");
        assert!(message.contains(&format!("sequence {sequence} ")), "{message}");
        assert!(message.contains("by an event") && message.contains("parked"), "{message}");
    }
    assert_eq!(host.history("c", 0, 10).events(), 3, "what was recorded can still be read");
}

#[test]
fn nobody_runs_into_it_twice() {
    let world = World::new();
    let (host, _) = host_with_a_trap(&world);
    host.send("c", "add", 1).error("plugin_failed");
    host.send("beside", "add", 1).ok(2);
    let so_far = instances(&host);
    for version in 3..=12 {
        host.send("c", "add", 1).error("plugin_failed");
        host.send("beside", "add", 1).ok(version);
    }
    assert_eq!((instances(&host), host.metrics.parked.get()), (so_far, 10));
    assert_eq!(world.events.of(&id("c")).len(), 3);
}

#[test]
fn an_event_that_traps_once_it_is_stored_parks_its_aggregate_as_well() {
    let world = World::new();
    let host = world.host_with(trapping(), |_| {});
    host.send("c", "add", 1).ok(1);
    host.send("c", "add", 7).ok(2);
    host.send("c", "add", 1).error("plugin_failed");
    let so_far = instances(&host);
    let message = host.send("c", "add", 1).error("plugin_failed");
    assert!(message.contains("sequence 2 "), "{message}");
    assert_eq!(instances(&host), so_far);
}

#[test]
fn code_that_can_apply_it_sets_the_aggregate_free() {
    let world = World::new();
    let (host, _) = host_with_a_trap(&world);
    host.send("c", "add", 1).error("plugin_failed");
    host.activate(mended(), 2, &[]);
    host.send("c", "add", 1).ok(4);
    assert_eq!(host.state("c").ok(4).count(), 10);
    // And going back parks it again.
    host.activate(trapping(), 3, &[]);
    host.send("c", "add", 1).error("plugin_failed");
}

#[test]
fn so_does_the_removal_of_the_event() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    let spoilt = host.send("c", "spoil", 0).ok(2)["events"][0]["sequence"].as_u64().expect("a sequence");
    host.send("c", "add", 1).error("plugin_failed");
    world.events.remove(spoilt);
    host.send("c", "add", 1).ok(2);
}

#[test]
fn an_earlier_state_can_be_asked_for_until_the_event_and_costs_nobody_else() {
    let world = World::new();
    let host = world.host_with(trapping(), |_| {});
    for version in 1..=2 {
        host.send("beside", "add", 1).ok(version);
    }
    let recorder = world.host();
    recorder.send("c", "add", 7).ok(1);
    recorder.send("c", "add", 1).ok(2);
    drop(recorder);
    // Its state is known by a snapshot, its past is not to be had.
    assert_eq!(host.state("c").ok(2).count(), 8);
    let so_far = host.metrics.replays.get();
    host.state_at("c", 1).error("plugin_failed");
    host.send("c", "add", 1).ok(3);
    host.send("beside", "add", 1).ok(3);
    assert_eq!(host.metrics.replays.get(), so_far);
}
