//! Time never goes back within an aggregate, whatever the machine's clock does.

use super::served::{START_MS, World, id};

/// The times that the events of `c` bear, and those that the domain was told.
fn times(world: &World) -> Vec<(u64, u64)> {
    let told = |payload: &[u8]| {
        let payload: serde_json::Value = serde_json::from_slice(payload).expect("JSON");
        payload["time"].as_u64().expect("a time")
    };
    let events = world.events.of(&id("c"));
    events.iter().map(|event| (event.origin.as_ref().expect("an origin").time.0, told(&event.payload))).collect()
}

#[test]
fn a_clock_that_is_turned_back_is_not_followed() {
    let world = World::new();
    let host = world.host();
    host.send("c", "stamp", 0).ok(1);
    world.set_clock(START_MS - 500);
    host.send("c", "stamp", 0).ok(2);
    world.set_clock(START_MS + 500);
    host.send("c", "stamp", 0).ok(3);
    assert_eq!(times(&world), [(START_MS, START_MS), (START_MS, START_MS), (START_MS + 500, START_MS + 500)]);
}

#[test]
fn a_host_whose_clock_is_behind_follows_the_events() {
    for with_snapshot in [true, false] {
        let world = World::new();
        world.snapshots.set_refusing(!with_snapshot);
        let host = world.host();
        host.send("c", "stamp", 0).ok(1);
        host.stop();
        world.set_clock(START_MS - 500);
        let host = world.host();
        host.send("c", "stamp", 0).ok(2);
        assert_eq!(times(&world), [(START_MS, START_MS); 2], "with a snapshot: {with_snapshot}");
    }
}
