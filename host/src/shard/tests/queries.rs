//! The state now and at a version, and what asking for it leaves behind.

use std::sync::Arc;

use super::served::World;
use crate::testing::counter::Counter;

#[test]
fn an_aggregate_without_events_leaves_nothing_in_memory() {
    let world = World::new();
    let host = world.host();
    for n in 0..20 {
        host.state(&format!("c{n}")).error("not_found");
        host.history(&format!("c{n}"), 0, 10).error("not_found");
        host.send(&format!("c{n}"), "remove", 1).error("rejected");
    }
    assert_eq!(host.live(), 0);
    host.stop();
    assert!(world.snapshots.of(&super::served::id("c0")).is_none());
}

#[test]
fn the_state_at_a_version_is_what_it_was() {
    let world = World::new();
    let host = world.host();
    // More than one read of the log.
    for n in 1..=600 {
        host.send("c", "add", n).ok(n);
    }
    for version in [1, 2, 255, 256, 257, 512, 599, 600] {
        assert_eq!(host.state_at("c", version).ok(version).count(), version * (version + 1) / 2);
    }
    assert_eq!(host.live(), 1, "the copies are let go");
    let answer = host.state_at("c", 601);
    assert_eq!(answer["field"], "at_version");
    answer.error("invalid");
}

#[test]
fn a_state_that_no_reply_can_carry_is_said_to_be_too_large() {
    let world = World::new();
    let host = world.host_with(Counter::new(), |service| service.reply_bytes_max = Arc::new(|| 1_024));
    host.send("c", "add", 1).ok(1);
    let message = host.state("c").error("plugin_failed");
    assert!(message.contains("max_payload"), "{message}");
    host.send("c", "add", 1).ok(2);
}
