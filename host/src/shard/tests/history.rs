//! A history is read by pages, each as large as asked for and no larger than a reply may be.

use std::sync::Arc;

use serde_json::{Value, json};

use super::served::{Answer, Host, World};
use crate::message::Command;
use crate::testing::counter::Counter;

fn versions(page: &Answer) -> Vec<u64> {
    let events = page["events"].as_array().expect("events");
    events.iter().map(|event| event["version"].as_u64().expect("a version")).collect()
}

/// All pages from the start.
fn pages(host: &Host, limit: usize) -> Vec<Vec<u64>> {
    let (mut pages, mut after) = (Vec::new(), 0);
    loop {
        let page = host.history("c", after, limit);
        assert_eq!(page["status"], "ok", "{page:?}");
        pages.push(versions(&page));
        match page["next"].as_u64() {
            Some(next) => {
                assert!(next > after, "the pages do not end");
                after = next;
            }
            None => return pages,
        }
    }
}

fn padded(host: &Host, bytes: usize) -> Command {
    let payload = json!({ "n": 1, "padding": "x".repeat(bytes) }).to_string().into();
    Command { payload, ..host.command("c", "add", 1) }
}

#[test]
fn pages_follow_one_another_to_the_end() {
    let world = World::new();
    let host = world.host();
    for version in 1..=5 {
        host.send("c", "add", version).ok(version);
        host.send("between", "add", 1);
    }
    assert_eq!(pages(&host, 2), [vec![1, 2], vec![3, 4], vec![5]]);
    assert_eq!(pages(&host, 5), [[1, 2, 3, 4, 5]]);
    let event = host.history("c", 2, 1)["events"][0].clone();
    let expected = json!({
        "type": "added", "version": 3, "sequence": 5, "time": "1970-01-01T00:16:40.000Z", "data": { "n": 3 },
    });
    assert_eq!(event, expected);
}

#[test]
fn pages_are_found_from_anywhere() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add_many", 700).ok(700);
    for (after, first, last) in [(699, 700, 700), (300, 301, 310), (0, 1, 10), (255, 256, 265), (310, 311, 320)] {
        let page = versions(&host.history("c", after, 10));
        assert_eq!((page.first(), page.last()), (Some(&first), Some(&last)), "after {after}");
    }
}

#[test]
fn after_the_last_version_there_is_nothing() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    for after in [1, 2, u64::MAX] {
        let page = host.history("c", after, 10);
        assert_eq!((&page["status"], page.events(), &page["next"]), (&json!("ok"), 0, &Value::Null), "{page:?}");
    }
}

#[test]
fn a_page_ends_before_it_is_larger_than_a_reply() {
    const BYTES_MAX: usize = 8_000;
    let world = World::new();
    let host = world.host_with(Counter::new(), |service| service.reply_bytes_max = Arc::new(|| BYTES_MAX));
    for version in 1..=9 {
        host.ask(padded(&host, 1_500)).ok(version);
    }
    let pages = pages(&host, 100);
    assert_eq!(pages.concat(), (1..=9).collect::<Vec<_>>());
    assert!(pages.len() > 2, "{pages:?}");
    let page = host.history("c", 0, 100).0.to_string();
    assert!(page.len() <= BYTES_MAX && page.len() > BYTES_MAX / 2, "{} bytes", page.len());
}

#[test]
fn a_history_costs_no_aggregate_in_memory() {
    let world = World::new();
    world.host().send("c", "add_many", 10).ok(10);
    let host = world.host();
    assert_eq!(pages(&host, 3).concat().len(), 10);
    assert_eq!(host.live(), 0);
}
