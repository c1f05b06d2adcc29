//! Queues have bounds, what is beyond them is told so at once, and a stop answers everything.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use super::served::{Host, Pending, World, id};
use crate::message::Request;
use crate::shard::{BUSY_MAX, MAILBOX_MAX, WAITING_PER_AGGREGATE_MAX};

fn add(host: &Host, counter: &str) -> Request {
    Request::Command(host.command(counter, "add", 1))
}

/// The replies by code.
fn outcomes(replies: impl IntoIterator<Item = Pending>) -> HashMap<String, usize> {
    let mut outcomes = HashMap::new();
    for reply in replies {
        let answer = reply.wait();
        let outcome = if answer["status"] == "ok" { &answer["status"] } else { &answer["code"] };
        *outcomes.entry(outcome.as_str().expect("text").to_owned()).or_default() += 1;
    }
    outcomes
}

#[test]
fn too_many_on_one_aggregate_are_told_so_while_others_go_on() {
    const BEYOND: usize = 50;
    let world = World::new();
    let host = world.host();
    world.events.close();
    // One is at work, the others wait for it.
    let sent = 1 + WAITING_PER_AGGREGATE_MAX + BEYOND;
    let mut replies: Vec<Pending> = (0..sent).map(|_| host.begin(add(&host, "c")).expect("room")).collect();
    for refused in replies.split_off(sent - BEYOND) {
        let answer = refused.wait();
        assert_eq!(answer["retryable"], true, "{answer:?}");
        answer.error("overloaded");
    }
    let other = host.begin(add(&host, "other")).expect("room");
    world.events.open();
    other.wait().ok(1);
    assert_eq!(outcomes(replies).get("ok"), Some(&(sent - BEYOND)));
    assert_eq!(world.events.of(&id("c")).len(), sent - BEYOND);
}

#[test]
fn a_full_mailbox_refuses_and_loses_nothing_it_took() {
    let world = World::new();
    let host = world.host();
    world.events.close();
    let mut taken = Vec::new();
    let refused = loop {
        assert!(taken.len() <= BUSY_MAX + MAILBOX_MAX, "the mailbox has no bound");
        match host.begin(add(&host, &format!("c{}", taken.len()))) {
            Ok(pending) => taken.push(pending),
            Err(failure) => break failure,
        }
    };
    assert!(taken.len() >= MAILBOX_MAX, "only {} were taken", taken.len());
    assert_eq!((refused.code.as_str(), refused.retryable), ("overloaded", true));
    assert_eq!(refused.id, Some(id(&format!("c{}", taken.len()))));
    world.events.open();
    let sent = taken.len();
    assert_eq!(outcomes(taken).get("ok"), Some(&sent));
    host.send("later", "add", 1).ok(1);
}

#[test]
fn a_stop_answers_everything_that_was_taken() {
    let world = World::new();
    let host = world.host();
    world.events.close();
    // More than a shard works on at once, so that some are still in its mailbox, and several
    // on one aggregate, so that some wait for it.
    let replies: Vec<Pending> = (0..BUSY_MAX + 200)
        .map(|n| {
            let counter = format!("c{}", n % (BUSY_MAX + 50));
            loop {
                // The shard takes from its full mailbox as fast as it can.
                match host.begin(add(&host, &counter)) {
                    Ok(pending) => break pending,
                    Err(_) => thread::yield_now(),
                }
            }
        })
        .collect();
    let metrics = Arc::clone(&host.metrics);
    let stopping = thread::spawn(move || host.stop());
    world.events.open();
    stopping.join().expect("it stops");
    let sent = replies.len();
    assert_eq!(outcomes(replies).get("ok"), Some(&sent));
    assert_eq!(metrics.ok(), sent as u64);
    assert_eq!(world.snapshots.of(&id("c0")).map(|snapshot| snapshot.version), Some(2));
}
