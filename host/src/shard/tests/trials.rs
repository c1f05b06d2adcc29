//! Events are tried out before they are stored: when, and what becomes of those that fail. It must not
//! test what happens to events that are stored.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::served::{Host, World, id};
use crate::activation::{Activation, Probation};
use crate::testing::counter::{Counter, Reads};

/// A host on whose probation all that it decides is tried out.
fn host_trying(world: &World, counter: fn() -> Counter, time: Duration) -> (Host, Arc<Activation>) {
    let (until, failed) = (Instant::now() + time, Arc::new(Notify::new()));
    let probation = Probation { until, failures_max: 100, failed, trying: true };
    let activation = Arc::new(Activation::new(Arc::new(counter()), 1, BTreeSet::new()).on_probation(probation));
    let host = world.host_with(counter(), |service| service.activation = Arc::clone(&activation));
    (host, activation)
}

/// A host that tries out so many commands in a hundred.
fn host_sampling(world: &World, percent: u8) -> Host {
    world.host_with(Counter::new(), |service| service.trial_percent = percent)
}

const LONG: Duration = Duration::from_secs(3_600);

fn trapping() -> Counter {
    Counter::new().with(|quirks| quirks.traps = Some(7))
}

#[test]
fn what_new_code_decides_and_cannot_apply_is_not_stored() {
    let world = World::new();
    let (host, activation) = host_trying(&world, Counter::new, LONG);
    for (counter, version) in [("fresh", 1), ("used", 1)] {
        if counter == "used" {
            host.send(counter, "add", 1).ok(version);
        }
        let message = host.send(counter, "spoil", 0).error("plugin_failed");
        assert!(message.contains("`spoiled`") && message.contains("nothing is stored"), "{message}");
        assert!(world.events.of(&id(counter)).iter().all(|event| event.name == "added"));
        // It goes on as if nothing had been asked.
        host.send(counter, "add", 1).ok(if counter == "used" { 2 } else { 1 });
    }
    assert_eq!((host.metrics.trials_failed.get(), activation.failures()), (2, 2));
    assert_eq!((host.metrics.trials.get(), host.metrics.replays.get()), (5, 0));
}

#[test]
fn a_trap_in_a_trial_costs_nobody_a_refill() {
    let world = World::new();
    let (host, activation) = host_trying(&world, trapping, LONG);
    for counter in ["a", "b"] {
        host.send(counter, "add", 1).ok(1);
    }
    for _ in 0..3 {
        let message = host.send("a", "add", 7).error("plugin_failed");
        assert!(message.contains("by an event"), "{message}");
    }
    for counter in ["a", "b"] {
        host.send(counter, "add", 1).ok(2);
    }
    assert_eq!((activation.failures(), host.metrics.replays.get()), (3, 0));
    assert_eq!(host.state("b").ok(2).count(), 2);
}

#[test]
fn several_events_are_tried_in_their_order() {
    let world = World::new();
    let (host, _) = host_trying(&world, Counter::new, LONG);
    assert_eq!(host.send("c", "add_many", 5).ok(5).events(), 5);
    assert_eq!(host.state("c").ok(5).count(), 5);
    assert_eq!(host.metrics.trials.get(), 1, "a trial for a command, not for an event");
}

#[test]
fn code_that_gives_no_copy_of_a_state_is_blamed_and_serves() {
    let world = World::new();
    let forgetful = || Counter::new().with(|quirks| quirks.own_states = Reads::Not);
    let (host, activation) = host_trying(&world, forgetful, LONG);
    host.send("c", "add", 1).ok(1);
    host.send("c", "add", 1).ok(2);
    assert_eq!((activation.failures(), host.metrics.trials_failed.get()), (1, 0));
}

#[test]
fn after_the_probation_a_share_is_tried() {
    let world = World::new();
    let (host, _) = host_trying(&world, Counter::new, Duration::ZERO);
    host.send("c", "spoil", 0).ok(1);
    assert_eq!(host.metrics.trials.get(), 0);
    for (percent, tried) in [(0, 0), (1, 2), (30, 60), (100, 200)] {
        let host = host_sampling(&world, percent);
        for version in 1..=200 {
            host.send(&format!("d{percent}"), "add", 1).ok(version);
        }
        assert_eq!(host.metrics.trials.get(), tried, "{percent} %");
    }
}

#[test]
fn the_share_is_of_the_code_that_is_live() {
    let world = World::new();
    let host = host_sampling(&world, 100);
    host.send("c", "add", 1).ok(1);
    let knowing = Counter::of_code("counter 2", 1).with(|quirks| quirks.knows_spoiled = true);
    host.send("c", "spoil", 0).error("plugin_failed");
    host.activate(knowing, 2, &[]);
    host.send("c", "spoil", 0).ok(2);
    assert_eq!((host.metrics.trials.get(), host.metrics.trials_failed.get()), (3, 1));
}
