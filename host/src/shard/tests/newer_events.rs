//! Another host runs newer code already, and its events are in the log: old code never serves
//! what new code has written, unless every host has its own plugins and understands it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock};

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::served::{Answer, Host, World, id};
use crate::activation::Activation;
use crate::domain::Generation;
use crate::message::Request;
use crate::shard::{Orders, Succession};
use crate::testing::counter::Counter;

/// The newer code: it understands an event that the first version does not.
fn newer() -> Counter {
    Counter::of_code("counter 2", 1).with(|quirks| quirks.knows_spoiled = true)
}

/// The way of a host to the newer code.
#[derive(Default)]
struct Way {
    /// The activations that were asked for.
    asked: Mutex<Vec<u64>>,
    /// Where it leads, once it does.
    to: OnceLock<(Orders, Arc<Activation>)>,
}

impl Way {
    fn asked(&self) -> Vec<u64> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Succession for Way {
    fn follow(&self, activation: u64) -> BoxFuture<'static, bool> {
        self.asked.lock().expect("no panic").push(activation);
        let (followed, has_followed) = oneshot::channel();
        let to = self.to.get().cloned();
        std::thread::spawn(move || {
            if let Some((orders, next)) = to {
                block_on(orders.activate(&next));
                let _ = followed.send(());
            }
        });
        async { has_followed.await.is_ok() }.boxed()
    }
}

/// A host of the first version that knows a way to the newer one.
fn host_with_way(world: &World) -> (Host, Arc<Way>) {
    let way = Arc::new(Way::default());
    let host =
        world.host_with(Counter::new(), |service| service.succession = Some(Arc::clone(&way) as Arc<dyn Succession>));
    (host, way)
}

/// A host of the first version that can go on to the newer one, which has proven to read its state.
fn host_that_follows(world: &World) -> (Host, Arc<Way>) {
    host_that_follows_to(world, newer())
}

fn host_that_follows_to(world: &World, next: Counter) -> (Host, Arc<Way>) {
    let (host, way) = host_with_way(world);
    let next = Arc::new(Activation::new(Arc::new(next), 2, BTreeSet::from([Counter::new().digest()])));
    way.to.set((host.orders(), next)).unwrap_or_else(|_| panic!("it is set once"));
    (host, way)
}

/// Asserts that it is `unavailable` and may be asked again.
#[track_caller]
fn is_for_later(answer: Answer) -> String {
    assert_eq!(answer["retryable"], true, "{answer:?}");
    answer.error("unavailable")
}

fn last_activation(world: &World, counter: &str) -> Option<u64> {
    world.events.of(&id(counter)).pop()?.origin.ok().map(|origin| origin.author.activation)
}

#[test]
fn a_command_that_meets_newer_events_waits_and_is_answered_by_the_newer_code() {
    let world = World::new();
    let (behind, way) = host_that_follows(&world);
    let ahead = world.host_at(2, newer());
    behind.send("c", "add", 1).ok(1);
    ahead.send("c", "spoil", 0).ok(2);
    behind.send("c", "add", 4).ok(3);
    assert_eq!(last_activation(&world, "c"), Some(2));
    assert_eq!(behind.state("c").ok(3).count(), 5);
    assert_eq!(way.asked(), [2], "once is enough");
    behind.send("other", "add", 1).ok(1);
    assert_eq!(last_activation(&world, "other"), Some(2));
}

#[test]
fn a_query_that_meets_newer_events_waits_and_is_answered_by_the_newer_code() {
    let world = World::new();
    let ahead = world.host_at(2, newer());
    ahead.send("c", "add", 2).ok(1);
    ahead.send("c", "spoil", 0).ok(2);
    // One that has never seen it, with a snapshot of the newer code and without.
    for leaves_snapshot in [false, true] {
        world.snapshots.set_refusing(!leaves_snapshot);
        let (behind, way) = host_that_follows(&world);
        assert_eq!(behind.state("c").ok(2).count(), 2);
        assert_eq!(behind.state_at("c", 1).ok(1).count(), 2);
        assert_eq!(way.asked(), [2]);
    }
}

#[test]
fn newer_events_of_the_same_code_are_followed_as_well() {
    let world = World::new();
    let (behind, way) = host_that_follows_to(&world, Counter::new());
    let ahead = world.host_at(2, Counter::new());
    ahead.send("c", "add", 1).ok(1);
    behind.send("c", "add", 1).ok(2);
    assert_eq!((way.asked(), last_activation(&world, "c")), (vec![2], Some(2)));
}

#[test]
fn events_of_earlier_activations_need_no_newer_code() {
    let world = World::new();
    world.host().send("c", "add", 1).ok(1);
    let way = Arc::new(Way::default());
    let host = world.host_with(Counter::new(), |service| {
        service.activation = Arc::new(Activation::new(Arc::new(newer()), 2, BTreeSet::new()));
        service.succession = Some(Arc::clone(&way) as Arc<dyn Succession>);
    });
    assert_eq!(host.state("c").ok(1).count(), 1);
    assert_eq!(way.asked(), [0; 0]);
}

#[test]
fn what_cannot_be_followed_is_unavailable_until_newer_code_is_live() {
    let world = World::new();
    let (behind, way) = host_with_way(&world);
    let ahead = world.host_at(2, newer());
    behind.send("c", "add", 1).ok(1);
    ahead.send("c", "add", 2).ok(2);
    for answer in [behind.send("c", "add", 4), behind.state("c"), behind.send("c", "remove", 99)] {
        let message = is_for_later(answer);
        assert!(message.contains("activation 2") && message.contains("activation 1"), "{message}");
    }
    assert_eq!(way.asked(), [2, 2, 2]);
    assert_eq!(world.events.of(&id("c")).len(), 2, "nothing is stored behind them");
    behind.send("other", "add", 1).ok(1);
    behind.activate(newer(), 2, &[Counter::new().digest()]);
    assert_eq!(behind.state("c").ok(2).count(), 3);
    behind.send("c", "add", 4).ok(3);
    assert_eq!(behind.metrics.replays.get(), 0, "what was live stayed so, and nothing of the tail was applied");
}

#[test]
fn where_every_host_has_its_own_plugins_newer_events_are_served_as_far_as_they_are_understood() {
    let world = World::new();
    let (behind, ahead) = (world.host(), world.host_at(2, newer()));
    behind.send("c", "add", 1).ok(1);
    ahead.send("c", "add", 2).ok(2);
    behind.send("c", "add", 4).ok(3);
    assert_eq!(last_activation(&world, "c"), Some(1));
    assert_eq!((behind.state("c").ok(3).count(), ahead.state("c").ok(3).count()), (7, 7));

    // One that is understood, and one that is not behind it.
    ahead.send("c", "add", 2).ok(4);
    ahead.send("c", "spoil", 0).ok(5);
    for answer in [behind.send("c", "add", 1), behind.state("c")] {
        let message = is_for_later(answer);
        assert!(message.contains("`spoiled` cannot be applied"), "{message}");
        assert!(message.contains(&newer().digest().to_string()), "{message}");
    }
    is_for_later(world.host().state("c"));
    assert_eq!(world.events.of(&id("c")).len(), 5, "nothing is stored behind them");
    behind.send("other", "add", 1).ok(1);
    behind.activate(newer(), 2, &[Counter::new().digest()]);
    assert_eq!(behind.state("c").ok(5).count(), 9, "what was applied in part is not carried over");
}

#[test]
fn a_trap_on_newer_events_is_no_fault_of_theirs() {
    let world = World::new();
    let behind = world.host_with(Counter::new().with(|quirks| quirks.traps = Some(7)), |_| {});
    let ahead = world.host_at(2, newer());
    behind.send("c", "add", 1).ok(1);
    behind.send("neighbour", "add", 1).ok(1);
    ahead.send("c", "add", 7).ok(2);
    let message = is_for_later(behind.send("c", "add", 1));
    assert!(message.contains("trapped"), "{message}");
    behind.send("neighbour", "add", 1).ok(2);
}

#[test]
fn own_events_that_cannot_be_applied_are_no_matter_of_newer_code() {
    let world = World::new();
    let (host, way) = host_that_follows(&world);
    host.send("c", "spoil", 0).ok(1);
    host.state("c").error("plugin_failed");
    assert_eq!(way.asked(), [0; 0]);
}

#[test]
fn newer_events_that_meet_a_lost_instance_are_read_again_in_another() {
    let world = World::new();
    let (behind, ahead) = (world.host(), world.host_at(2, newer()));
    behind.send("c", "add", 1).ok(1);
    behind.send("traps", "add", 1).ok(1);
    ahead.send("c", "add", 2).ok(2);
    world.events.close();
    let begun = behind.begin(Request::Command(behind.command("c", "add", 4))).expect("the shard takes it");
    // It shares its instance with the one that waits for the log.
    behind.send("traps", "trap", 0).error("plugin_failed");
    world.events.open();
    begun.wait().ok(3);
    assert_eq!(behind.state("c").ok(3).count(), 7);
}
