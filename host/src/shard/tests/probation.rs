//! Code that has just gone live is watched: how its failures count.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::sync::Notify;

use super::served::{Host, World};
use crate::activation::{Activation, Probation};
use crate::domain::PluginError;
use crate::testing::counter::Counter;

/// A host whose code may fail so often within this time, and who is told of more.
fn host_on_probation(world: &World, failures_max: u64, time: Duration) -> (Host, Arc<Activation>, Arc<Notify>) {
    let failed = Arc::new(Notify::new());
    let probation =
        Probation { until: Instant::now() + time, failures_max, failed: Arc::clone(&failed), trying: false };
    let activation = Activation::new(Arc::new(Counter::new()), 1, BTreeSet::new()).on_probation(probation);
    let activation = Arc::new(activation);
    let host = world.host_with(Counter::new(), |service| service.activation = Arc::clone(&activation));
    (host, activation, failed)
}

/// Whether there was word of too many failures, taken once.
fn is_told(failed: &Notify) -> bool {
    failed.notified().now_or_never().is_some()
}

#[test]
fn failures_beyond_the_number_are_told_once_until_somebody_listens() {
    let world = World::new();
    let (host, activation, failed) = host_on_probation(&world, 2, Duration::from_secs(3_600));
    for n in 1..=2 {
        host.send("c", "trap", 0).error("plugin_failed");
        assert_eq!((activation.failures(), is_told(&failed)), (n, false));
    }
    for _ in 0..3 {
        host.send("c", "trap", 0).error("plugin_failed");
    }
    assert_eq!((activation.failures(), is_told(&failed), is_told(&failed)), (5, true, false));
    host.send("c", "trap", 0).error("plugin_failed");
    assert!(is_told(&failed), "who could not put it back hears of it again");
}

#[test]
fn a_lost_instance_is_one_failure_however_many_aggregates_were_in_it() {
    let world = World::new();
    let (host, activation, failed) = host_on_probation(&world, 1, Duration::from_secs(3_600));
    for n in 0..10 {
        host.send(&format!("c{n}"), "add", 1).ok(1);
    }
    host.send("c0", "trap", 0).error("plugin_failed");
    for n in 0..10 {
        host.send(&format!("c{n}"), "add", 1).ok(2);
    }
    assert_eq!((activation.failures(), is_told(&failed)), (1, false));
    activation.failed(&PluginError::InstanceLost);
    assert_eq!(activation.failures(), 1);
}

#[test]
fn what_the_domain_refuses_is_no_failure() {
    let world = World::new();
    let (host, activation, _) = host_on_probation(&world, 0, Duration::from_secs(3_600));
    host.send("c", "remove", 1).error("rejected");
    host.send("c", "add", 0).error("invalid");
    assert_eq!(activation.failures(), 0);
}

#[test]
fn failures_after_the_probation_are_counted_and_not_told() {
    let world = World::new();
    let (host, activation, failed) = host_on_probation(&world, 0, Duration::ZERO);
    host.send("c", "trap", 0).error("plugin_failed");
    assert_eq!((activation.failures(), is_told(&failed)), (1, false));
    assert_eq!(activation.probation_left(), Duration::ZERO);
}
