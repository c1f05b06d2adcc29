//! What plugins that behave can do: describe themselves, decide, evolve, and survive as a
//! snapshot; with the same answer wherever and however often they are asked.

use agent_service::domain::{Decision, Generation};
use agent_service::name::{AggregateId, IdFormat};
use serde_json::{Value, json};

use crate::loaded::{AGENT, COUNTER, MISBEHAVE, One, component};

const AGENT_ID: &str = "0190a5d2-7c1e-7b8a-9f00-1234567890ab";

fn deployment() -> Value {
    json!({
        "agent_id": AGENT_ID,
        "agent_type": "AI",
        "metadata": {
            "name": "scribe", "description": "writes", "version": "1.0.0",
            "owner_id": "0190a5d2-7c1e-7b8a-9f00-000000000001", "tags": ["b", "a"],
        },
        "initial_configuration": { "settings": { "z": 1, "a": { "deep": [1.5, null] } } },
    })
}

#[test]
fn plugins_describe_themselves() {
    let agent = AGENT.description();
    assert_eq!((agent.domain.as_str(), agent.id_field.as_str()), ("agent", "agent_id"));
    assert_eq!((agent.id_format, agent.commands.len(), agent.events.len()), (IdFormat::Uuid, 11, 11));
    let counter = COUNTER.description();
    assert_eq!((counter.domain.as_str(), counter.id_format), ("counter", IdFormat::Token));
    assert!(counter.verb("increment").is_some() && counter.verb("incremented").is_none());
    assert!(counter.event("incremented").is_some() && counter.event("increment").is_none());
    for kind in agent.commands.iter().chain(&agent.events) {
        assert!(kind.schema.is_object() && !kind.description.is_empty(), "{kind:?}");
    }
}

#[test]
fn a_plugin_tells_what_it_is_made_of() {
    assert_eq!(AGENT.interface(), "agent-service:domain/aggregates@1.0.0");
    assert_eq!(AGENT.size(), component("agent").len());
    assert!(AGENT.imports().iter().any(|import| import.starts_with("wasi:cli/")), "{:?}", AGENT.imports());
    assert_ne!(AGENT.digest(), COUNTER.digest());
}

#[test]
fn an_aggregate_survives_as_a_snapshot() {
    let mut agent = One::of(&AGENT, AGENT_ID);
    agent.execute("deploy", &deployment());
    agent.execute("activate", &json!({ "agent_id": AGENT_ID }));
    let view = agent.view();
    assert_eq!((&view["status"], &view["configuration"]["settings"]["z"]), (&json!("Active"), &json!(1)));

    let snapshot = agent.instance.snapshot(agent.aggregate).expect("a snapshot");
    let schema = AGENT.description().state_schema;
    let id = AggregateId::new(AGENT_ID).expect("an id");
    let mut other = AGENT.instantiate().expect("an instance");
    let restored = other.restore(&id, schema, &snapshot).expect("no failure").expect("its own snapshot");
    let shown: Value = serde_json::from_slice(&other.view(restored).expect("a view")).expect("JSON");
    assert_eq!(shown, view);
    assert_eq!(other.snapshot(restored).expect("a snapshot"), snapshot, "the same bytes");

    for (schema, state) in [(schema + 1, &snapshot[..]), (schema, &snapshot[1..]), (schema, b"")] {
        other.restore(&id, schema, state).expect("no failure").expect_err("a snapshot that is none of its own");
    }
    other.view(restored).expect("a refusal costs the others nothing");
}

#[test]
fn refusals_are_answers() {
    let mut agent = One::of(&AGENT, AGENT_ID);
    let Ok(Decision::Rejected { reason, .. }) = agent.decide("activate", &json!({})) else { panic!("no rejection") };
    assert_eq!(reason, "agent_not_found");
    let invalid = agent.decide("deploy", &json!({ "agent_type": "Plant" }));
    let Ok(Decision::Invalid { field, .. }) = invalid else { panic!("not invalid: {invalid:?}") };
    assert_eq!(field, "agent_type");
    agent.execute("deploy", &deployment());
}

#[test]
fn deciding_changes_nothing() {
    let mut agent = One::of(&AGENT, AGENT_ID);
    agent.execute("deploy", &deployment());
    let before = agent.instance.snapshot(agent.aggregate).expect("a snapshot");
    agent.events("activate", &json!({}));
    assert_eq!(agent.instance.snapshot(agent.aggregate).expect("a snapshot"), before);
}

#[test]
fn the_same_command_gives_the_same_bytes_in_every_instance() {
    let decide = || {
        let mut agent = One::of(&AGENT, AGENT_ID);
        let mut look = One::of(&MISBEHAVE, "m1");
        let deployed = agent.events("deploy", &deployment());
        (deployed, look.events("run", &json!({ "mode": "look_around", "n": 200 })))
    };
    let (first, second) = (decide(), decide());
    assert_eq!(first, second);
    assert_eq!(first.0.len(), 2);
}

#[test]
fn a_plugin_sees_nothing_of_the_machine() {
    let mut look = One::of(&MISBEHAVE, "m1");
    let events = look.events("run", &json!({ "mode": "look_around" }));
    let seen: Value = serde_json::from_slice(&events[0].payload).expect("JSON");
    assert_eq!(seen["seen"], json!([]));
}

#[test]
fn aggregates_of_one_instance_are_apart() {
    let mut first = One::of(&COUNTER, "c1");
    let second = first.instance.create(&AggregateId::new("c2").expect("an id")).expect("an aggregate");
    first.execute("increment", &json!({ "by": 3 }));
    assert_eq!(first.instance.view(second).expect("a view"), br#"{"count":0}"#);
    assert_eq!(first.view(), json!({ "count": 3 }));

    first.instance.release(second).expect("released");
    first.instance.view(second).expect_err("it was released");
    first.instance.release(second).expect_err("it was released");
    assert_eq!(first.view(), json!({ "count": 3 }));
    let third = first.instance.create(&AggregateId::new("c3").expect("an id")).expect("an aggregate");
    assert_eq!(first.instance.view(third).expect("a view"), br#"{"count":0}"#, "its place was taken over clean");
}

#[test]
fn instances_can_be_had_and_let_go_for_ever() {
    // More than can live at once.
    for _ in 0..1_500 {
        let mut counter = One::of(&COUNTER, "c1");
        assert_eq!(counter.view(), json!({ "count": 0 }));
    }
}
