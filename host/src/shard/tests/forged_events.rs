//! Events that no host wrote park their aggregate, and no other.

use uuid::Uuid;

use super::served::{Host, World, id};
use crate::clock::Timestamp;
use crate::domain::Author;
use crate::event::Origin;

fn origin(version: u64) -> Origin {
    Origin {
        event_id: Uuid::from_u128(9),
        version,
        time: Timestamp(1),
        command_id: "forged".into(),
        correlation_id: "forged".into(),
        actor: None,
        author: Author { plugin: "nobody".into(), activation: 0 },
    }
}

/// Whatever is asked of `c` names the sequence; another aggregate goes on.
#[track_caller]
fn is_parked(host: &Host, world: &World, sequence: u64) {
    let stored = world.events.of(&id("c")).len();
    let named = format!("sequence {sequence} ");
    for answer in [host.send("c", "add", 1), host.state("c"), host.history("c", 0, 10), host.send("c", "remove", 99)] {
        let message = answer.error("plugin_failed");
        assert!(message.contains(&named), "{message}");
    }
    assert_eq!(world.events.of(&id("c")).len(), stored, "nothing is stored behind it");
    let other = host.send("other", "add", 1);
    assert_eq!(other["status"], "ok", "{other:?}");
}

#[test]
fn an_event_without_headers_parks_its_aggregate_until_it_is_removed() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    let forged = world.events.forge(&id("c"), "added", Err("it has no ce-id".into()));
    is_parked(&host, &world, forged);
    is_parked(&world.host(), &world, forged);
    world.events.remove(forged);
    assert_eq!(host.state("c").ok(1).count(), 1, "it was never applied");
    host.send("c", "add", 1).ok(2);
}

#[test]
fn an_event_with_a_version_out_of_turn_parks_its_aggregate() {
    for version in [1, 3, u64::MAX] {
        let world = World::new();
        let host = world.host();
        host.send("c", "add", 1).ok(1);
        let forged = world.events.forge(&id("c"), "added", Ok(origin(version)));
        is_parked(&host, &world, forged);
        is_parked(&world.host(), &world, forged);
    }
}

#[test]
fn an_event_of_a_name_that_is_none_parks_its_aggregate() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    let forged = world.events.forge(&id("c"), "Added", Ok(origin(2)));
    is_parked(&host, &world, forged);
}

#[test]
fn a_forged_first_event_is_not_the_beginning_of_an_aggregate() {
    let world = World::new();
    let forged = world.events.forge(&id("c"), "added", Err("it has no ce-id".into()));
    is_parked(&world.host(), &world, forged);
}

#[test]
fn a_forged_event_is_not_passed_by_a_snapshot_before_it() {
    let world = World::new();
    let host = world.host();
    host.send("c", "add", 1).ok(1);
    host.stop();
    let forged = world.events.forge(&id("c"), "added", Err("it has no ce-id".into()));
    is_parked(&world.host(), &world, forged);
}
