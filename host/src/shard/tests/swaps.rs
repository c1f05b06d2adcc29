//! Other code goes live under a running shard: who decides from then on, what becomes of the
//! aggregates in memory, and when the code before is gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::executor::block_on;

use super::served::{Host, World, id};
use crate::domain::Generation;
use crate::message::Request;
use crate::testing::counter::{Counter, Reads, Seen};

/// The code that goes live after the first version: it does the same.
fn second() -> Counter {
    Counter::of_code("counter 2", 1)
}

/// The activations that the events of an aggregate name, which have versions without gap.
#[track_caller]
fn activations(world: &World, counter: &str) -> Vec<u64> {
    let events = world.events.of(&id(counter));
    let origins = events.iter().map(|event| event.origin.as_ref().expect("a host wrote it"));
    let (versions, activations): (Vec<u64>, Vec<u64>) =
        origins.map(|origin| (origin.version, origin.author.activation)).unzip();
    assert_eq!(versions, (1..=versions.len() as u64).collect::<Vec<_>>());
    activations
}

/// Waits until the shard has begun what it was given before.
fn let_begin(host: &Host, live: &str) {
    host.send(live, "add", 0).error("invalid");
}

/// Waits until what was on its way out of memory is gone.
fn let_leave(host: &Host) {
    host.state("unknown").error("not_found");
}

fn live_instances(seen: &Seen) -> usize {
    seen.live_instances.load(Ordering::SeqCst)
}

#[test]
fn every_command_after_a_swap_is_decided_by_the_new_code() {
    let world = World::new();
    let host = world.host();
    host.send("live", "add", 1).ok(1);
    host.activate(second(), 2, &[]);
    for (counter, version) in [("live", 2), ("new", 1), ("live", 3), ("new", 2)] {
        host.send(counter, "add", 1).ok(version);
    }
    assert_eq!((activations(&world, "live"), activations(&world, "new")), (vec![1, 2, 2], vec![2, 2]));
    let authors: Vec<_> = world.events.appends().into_iter().map(|append| append.author.plugin).collect();
    let digests = [Counter::new().digest(), second().digest()].map(|digest| format!("counter/1.0.0;sha256={digest}"));
    assert_eq!([&*authors[0], &*authors[1]], digests);
    assert_eq!(host.state("live").ok(3).count(), 3);
}

#[test]
fn a_command_in_flight_is_finished_by_the_code_that_began_it() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    host.send("other", "add", 1).ok(1);
    world.events.close();
    let begin = |n| host.begin(Request::Command(host.command("c", "add", n))).expect("the shard takes it");
    let begun = begin(2);
    let_begin(&host, "other");
    host.activate(second(), 2, &[Counter::new().digest()]);
    let waits = begin(4);
    world.events.open();
    begun.wait().ok(2);
    waits.wait().ok(3);
    assert_eq!(activations(&world, "c"), [1, 1, 2]);
    assert_eq!(host.state("c").ok(3).count(), 7);
}

#[test]
fn live_aggregates_carry_over_without_a_read_of_the_log_where_that_is_proven() {
    let world = World::new();
    let host = world.host();
    for n in 0..10 {
        host.send(&format!("c{n}"), "add", n + 1).ok(1);
    }
    host.send_as("again", "c0", "add", 5).ok(2);
    let next = second();
    let seen = Arc::clone(&next.seen);
    host.activate(next, 2, &[Counter::new().digest()]);
    world.events.set_down(true);
    world.snapshots.set_unreadable(true);
    for n in 0..10 {
        host.send(&format!("c{n}"), "add", 1).ok(if n == 0 { 3 } else { 2 });
        assert_eq!(host.live(), 9 - n as usize, "what carried over is let go by the code before");
    }
    world.events.set_down(false);
    assert_eq!(seen.restored.load(Ordering::SeqCst), 10);
    assert_eq!(host.metrics.replays.get(), 0);
    assert_eq!(host.state("c7").ok(2).count(), 9);
    host.send_as("again", "c0", "add", 5).duplicate(2);
}

#[test]
fn live_aggregates_are_replayed_where_nothing_is_proven() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 3).ok(1);
    // The new code gives a past event another meaning: what it did not see itself is not its state.
    let next = second().with(|quirks| quirks.miscounts = Some(3));
    let seen = Arc::clone(&next.seen);
    host.activate(next, 2, &[]);
    host.send("c", "add", 1).ok(2);
    assert_eq!(host.state("c").ok(2).count(), 5);
    assert_eq!((host.metrics.replays.get(), seen.restored.load(Ordering::SeqCst)), (1, 0));
    assert_eq!(host.live(), 0, "the old one is let go");
}

#[test]
fn a_carry_over_that_the_new_code_declines_or_fails_is_left_to_the_log() {
    for (reads, instances) in [(Reads::Not, 1), (Reads::Trapping, 2)] {
        let world = World::new();
        world.snapshots.set_refusing(true);
        let host = world.host();
        host.send("c", "add", 3).ok(1);
        let next = second().with(|quirks| quirks.other_states = reads);
        let seen = Arc::clone(&next.seen);
        host.activate(next, 2, &[Counter::new().digest()]);
        host.send("c", "add", 1).ok(2);
        assert_eq!(host.state("c").ok(2).count(), 4);
        assert_eq!(host.metrics.replays.get(), 1);
        assert_eq!(seen.instances.load(Ordering::SeqCst), instances, "one that trapped is replaced");
        assert_eq!(activations(&world, "c"), [1, 2]);
    }
}

#[test]
fn code_is_gone_once_all_its_aggregates_were_used_again() {
    let world = World::new();
    let host = world.host();
    for n in 0..600 {
        host.send(&format!("c{n}"), "add", 1).ok(1);
    }
    assert_eq!(live_instances(&host.seen), 3);
    host.activate(second(), 2, &[Counter::new().digest()]);
    for n in 0..600 {
        assert_eq!(host.state(&format!("c{n}")).ok(1).count(), 1);
    }
    assert_eq!(live_instances(&host.seen), 0);
}

#[test]
fn an_aggregate_at_work_through_two_swaps_does_not_keep_the_first_code() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    host.send("other", "add", 1).ok(1);
    world.events.close();
    let begun = host.begin(Request::Command(host.command("c", "add", 2))).expect("the shard takes it");
    let_begin(&host, "other");
    host.activate(second(), 2, &[]);
    host.activate(Counter::of_code("counter 3", 1), 3, &[]);
    world.events.open();
    begun.wait().ok(2);
    let_leave(&host);
    assert_eq!(live_instances(&host.seen), 0, "nobody has used it since");
    assert_eq!(world.snapshots.of(&id("c")).map(|snapshot| snapshot.version), Some(2));
    assert_eq!(host.state("c").ok(2).count(), 3);
}

#[test]
fn twenty_swaps_back_and_forth_keep_two_generations_and_every_state() {
    const COUNTERS: usize = 300;
    const SWAPS: usize = 20;
    let world = World::new();
    let host = world.host();
    let codes = ["counter 1", "counter 2"];
    let both = codes.map(|code| Counter::of_code(code, 1).digest());
    let counters: Vec<String> = (0..COUNTERS).map(|n| format!("c{n}")).collect();
    let mut versions = [2; COUNTERS];
    for counter in &counters {
        host.send(counter, "add", 1).ok(1);
        host.send(counter, "add", 1).ok(2);
    }
    let mut generations = vec![Arc::clone(&host.seen)];
    for swap in 1..=SWAPS {
        let next = Counter::of_code(codes[swap % 2], 1);
        generations.push(Arc::clone(&next.seen));
        // Some come on their own, on either side of the swap.
        let coming = counters
            .iter()
            .step_by(3)
            .map(|counter| host.begin(Request::Command(host.command(counter, "add", 1))).expect("the shard takes it"));
        let coming: Vec<_> = coming.collect();
        host.activate(next, 1 + swap as u64, &both);
        for (reply, version) in coming.into_iter().zip(versions.iter_mut().step_by(3)) {
            *version += 1;
            reply.wait().ok(*version);
        }
        // Most are not used between one swap and the next.
        for n in (swap % 5..COUNTERS).step_by(5) {
            versions[n] += 1;
            host.send(&counters[n], "add", 1).ok(versions[n]);
        }
        let_leave(&host);
        let older = &generations[..swap - 1];
        assert!(older.iter().all(|seen| live_instances(seen) == 0), "older code is live after swap {swap}");
    }
    for (counter, version) in counters.iter().zip(versions) {
        assert_eq!(host.state(counter).ok(version).count(), version);
        assert!(activations(&world, counter).is_sorted(), "{counter}");
    }
    assert_eq!(host.metrics.replays.get(), 0, "either code reads the other's state");
}

#[test]
fn a_live_state_that_only_a_snapshot_can_save_is_saved_before_it_is_given_up() {
    let world = World::new();
    world.events.set_age_max(std::time::Duration::from_millis(1));
    let host = world.host();
    for version in 1..=3 {
        host.send("c", "add", 1).ok(version);
    }
    // The oldest event ages under the live aggregate, which has no snapshot yet.
    world.events.remove_through(1);
    host.activate(second(), 2, &[]);
    let message = host.state("c").error("unavailable");
    assert!(message.contains("written by other code"), "{message}");
    host.activate(Counter::new(), 3, &[]);
    assert_eq!(host.state("c").ok(3).count(), 3, "the code before still has it");
}

#[test]
fn the_aggregates_used_last_come_first() {
    let world = World::new();
    let host = world.host();
    for counter in ["a", "b", "c", "a"] {
        host.send(counter, "add", 1);
    }
    let recent = |limit| block_on(host.orders().recent(limit));
    assert_eq!(recent(10), ["a", "c", "b"].map(id));
    assert_eq!(recent(2), ["a", "c"].map(id));
    host.state("b").ok(1);
    assert_eq!(recent(1), [id("b")], "a query is a use");
}

#[test]
fn several_shards_together_keep_the_limit_of_the_aggregates_used_last() {
    const SHARDS: usize = 4;
    let world = World::new();
    let host = world.host_of_shards(SHARDS);
    for n in 0..40 {
        host.send(&format!("c{n}"), "add", 1).ok(1);
    }
    let recent = |limit| block_on(host.orders().recent(limit));
    assert_eq!(recent(5).len(), 5);
    assert!(recent(SHARDS).contains(&id("c39")), "the very last is the first of its shard");
    let mut all = recent(1_000);
    all.sort_by_key(|id| id.as_str().to_owned());
    all.dedup();
    assert_eq!(all.len(), 40);
}
