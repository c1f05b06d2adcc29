//! The counter's successors are what tests of replacing a plugin take them for. What a host
//! does about them is not known here.

use std::collections::BTreeSet;

use agent_service::domain::{Decision, DomainEvent, EvolveError, Generation, PluginError};
use agent_service::name::AggregateId;
use agent_service::plugin::{LoadError, Plugin};
use serde_json::{Value, json};

use crate::loaded::{COUNTER, ENGINE, LIMITS, One, component};

fn successor(name: &str) -> Result<Plugin, LoadError> {
    Plugin::load(&ENGINE, &component(&format!("successors/counter-{name}")))
}

fn loaded(name: &str) -> Plugin {
    successor(name).expect(name)
}

/// What the first version records when it counts so, `None` being a reset.
fn recorded(steps: &[Option<u64>]) -> Vec<DomainEvent> {
    let mut counter = One::of(&COUNTER, "c1");
    let events = steps.iter().flat_map(|step| match step {
        Some(by) => counter.events("increment", &json!({ "by": by })),
        None => counter.events("reset", &json!({})),
    });
    events.collect()
}

fn evolve(plugin: &Plugin, steps: &[Option<u64>]) -> Result<Result<One, EvolveError>, PluginError> {
    let mut one = One::of(plugin, "c1");
    let applied = one.instance.evolve(one.aggregate, &recorded(steps))?;
    Ok(applied.map(|()| one))
}

/// What is shown after what the first version recorded.
fn view(plugin: &Plugin, steps: &[Option<u64>]) -> Value {
    evolve(plugin, steps).expect("no failure").expect("events that apply").view()
}

fn snapshot(plugin: &Plugin, steps: &[Option<u64>]) -> Vec<u8> {
    let mut one = evolve(plugin, steps).expect("no failure").expect("events that apply");
    one.instance.snapshot(one.aggregate).expect("a snapshot")
}

/// What is shown of a state that another version left, or why it is not read.
fn restored(plugin: &Plugin, schema: u32, snapshot: &[u8]) -> Result<Value, String> {
    let mut instance = plugin.instantiate().expect("an instance");
    let id = AggregateId::new("c1").expect("an id");
    let aggregate = instance.restore(&id, schema, snapshot).expect("no failure")?;
    Ok(serde_json::from_slice(&instance.view(aggregate).expect("a view")).expect("JSON"))
}

#[test]
fn each_is_a_counter_of_a_version_of_its_own() {
    let names = "refactored drifting forgetful trapping migrating declining doubling stumbling spinning amnesiac greedy deciding-otherwise wider";
    let mut versions = BTreeSet::from([COUNTER.description().version.clone()]);
    for name in names.split(' ') {
        let plugin = loaded(name);
        let description = plugin.description();
        assert_eq!((description.domain.as_str(), description.id_field.as_str()), ("counter", "counter_id"), "{name}");
        let other_schema = ["migrating", "declining", "doubling"].contains(&name);
        assert_eq!(description.state_schema, 1 + u32::from(other_schema), "{name}");
        assert!(versions.insert(description.version.clone()), "{name} has the version of another");
    }
    assert!(matches!(successor("speechless"), Err(LoadError::NotDescribed(PluginError::Trapped(_)))));
}

#[test]
fn those_that_show_the_same_do() {
    let histories: [&[Option<u64>]; 4] =
        [&[], &[Some(2), Some(3)], &[Some(2), None, Some(7), None, Some(1)], &[Some(u64::MAX), Some(1)]];
    let same =
        ["refactored", "migrating", "declining", "stumbling", "amnesiac", "deciding-otherwise", "wider", "trapping"];
    for name in same {
        let plugin = loaded(name);
        for history in histories {
            assert_eq!(view(&plugin, history), view(&COUNTER, history), "{name}: {history:?}");
        }
    }
    let history = [Some(2), Some(3)];
    assert_eq!(snapshot(&loaded("refactored"), &history), snapshot(&COUNTER, &history));
}

#[test]
fn those_that_show_something_else_do() {
    assert_eq!(view(&loaded("drifting"), &[Some(2), None, Some(2), Some(3)]), json!({ "count": 7 }));
    assert_eq!(view(&loaded("doubling"), &[Some(2), Some(3)]), json!({ "count": 5, "doubled": 10 }));
}

#[test]
fn those_that_fail_at_old_events_do() {
    let forgetful = loaded("forgetful");
    assert_eq!(view(&forgetful, &[Some(2)]), json!({ "count": 2 }));
    let Ok(Err(error)) = evolve(&forgetful, &[Some(2), None]) else { panic!("it remembers") };
    assert_eq!(error.index, 1);

    let trapping = loaded("trapping");
    assert!(matches!(evolve(&trapping, &[Some(13)]), Err(PluginError::Trapped(_))));
    assert!(matches!(evolve(&loaded("spinning"), &[Some(1)]), Err(PluginError::DeadlineExceeded(_))));
    let greedy = evolve(&loaded("greedy"), &[Some(1)]).err();
    assert_eq!(greedy, Some(PluginError::MemoryExceeded(LIMITS.memory_bytes_max)));
}

#[test]
fn those_that_read_old_snapshots_do_and_the_others_decline() {
    let history = [Some(2), None, Some(3)];
    let old = snapshot(&COUNTER, &history);
    for name in ["refactored", "drifting", "migrating", "wider"] {
        assert_eq!(restored(&loaded(name), 1, &old), Ok(json!({ "count": 3 })), "{name}");
    }
    for name in ["declining", "doubling", "amnesiac"] {
        assert!(restored(&loaded(name), 1, &old).is_err(), "{name}");
    }
    for name in ["migrating", "declining", "doubling"] {
        let plugin = loaded(name);
        let own = restored(&plugin, 2, &snapshot(&plugin, &history));
        assert_eq!(own.map(|view| view["count"].clone()), Ok(json!(3)), "{name}");
        assert!(restored(&COUNTER, 2, &snapshot(&plugin, &history)).is_err(), "{name}");
    }
}

#[test]
fn those_that_decide_otherwise_do() {
    let mut otherwise = One::of(&loaded("deciding-otherwise"), "c1");
    assert_eq!(&otherwise.events("increment", &json!({ "by": 2 }))[0].payload[..], br#"{"by":3}"#);

    let mut wider = One::of(&loaded("wider"), "c1");
    wider.execute("increment", &json!({ "by": 5 }));
    wider.execute("decrement", &json!({ "by": 2 }));
    assert_eq!(wider.view(), json!({ "count": 3 }));
    assert!(COUNTER.description().verb("decrement").is_none());

    let mut stumbling = One::of(&loaded("stumbling"), "c1");
    for _ in 0..9 {
        assert!(matches!(stumbling.decide("reset", &json!({})), Ok(Decision::Events(_))));
    }
    assert!(matches!(stumbling.decide("reset", &json!({})), Err(PluginError::Trapped(_))));
}
