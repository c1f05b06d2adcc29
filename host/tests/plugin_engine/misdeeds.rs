//! What a plugin does wrong costs the call an error that says what it was, and the instance.

use std::time::Instant;

use agent_service::domain::{Decision, PluginError};
use serde_json::json;

use crate::loaded::{LIMITS, MISBEHAVE, One};

#[track_caller]
fn misdeed(mode: &str) -> PluginError {
    let mut plugin = One::of(&MISBEHAVE, "m1");
    let error = plugin.decide("run", &json!({ "mode": mode })).expect_err(mode);
    // The instance is spent; the next one knows nothing of it.
    plugin.decide("run", &json!({ "mode": "behave" })).expect_err("the instance is lost");
    One::of(&MISBEHAVE, "m1").execute("run", &json!({ "mode": "behave" }));
    error
}

#[test]
fn a_call_that_does_not_end_is_ended_at_its_deadline() {
    let mut plugin = One::of(&MISBEHAVE, "m1");
    let begun = Instant::now();
    let error = plugin.decide("run", &json!({ "mode": "spin" })).expect_err("it never answers");
    let took = begun.elapsed();
    assert_eq!(error, PluginError::DeadlineExceeded(300));
    assert!(took >= LIMITS.deadline, "it was ended after {took:?}");
    assert!(took < 4 * LIMITS.deadline, "it was ended only after {took:?}");
}

#[test]
fn every_call_has_a_deadline_of_its_own() {
    let mut plugin = One::of(&MISBEHAVE, "m1");
    let begun = Instant::now();
    // Together far longer than one deadline, each far shorter.
    while begun.elapsed() < 3 * LIMITS.deadline {
        plugin.events("run", &json!({ "mode": "slow", "n": 1_000 }));
    }
    let stuck = plugin.events("run", &json!({ "mode": "spin_in_evolve" }));
    let error = plugin.instance.evolve(plugin.aggregate, &stuck).expect_err("it never answers");
    assert_eq!(error, PluginError::DeadlineExceeded(300));
}

#[test]
fn more_memory_than_allowed_is_refused_by_name() {
    assert_eq!(misdeed("memory"), PluginError::MemoryExceeded(LIMITS.memory_bytes_max));
}

#[test]
fn memory_is_limited_over_the_life_of_an_instance() {
    let mut plugin = One::of(&MISBEHAVE, "m1");
    let ballast = plugin.events("run", &json!({ "mode": "ballast", "n": 1 << 20 }));
    let calls_max = LIMITS.memory_bytes_max >> 20;
    let ended = (0..calls_max).find_map(|_| plugin.instance.evolve(plugin.aggregate, &ballast).err());
    assert_eq!(ended, Some(PluginError::MemoryExceeded(LIMITS.memory_bytes_max)));
}

#[test]
fn endless_recursion_traps() {
    let error = misdeed("recursion");
    assert!(matches!(error, PluginError::Trapped(_)), "{error:?}");
}

#[test]
fn a_panic_and_an_exit_are_traps() {
    for mode in ["trap", "exit"] {
        let error = misdeed(mode);
        assert!(matches!(error, PluginError::Trapped(_)), "{mode}: {error:?}");
    }
}

#[test]
fn an_event_that_cannot_be_applied_costs_the_aggregate_not_the_instance() {
    let mut plugin = One::of(&MISBEHAVE, "m1");
    let good = plugin.events("run", &json!({ "mode": "behave" }));
    let soured = plugin.events("run", &json!({ "mode": "unevolvable_event" }));
    let both = [good, soured].concat();
    let error = plugin.instance.evolve(plugin.aggregate, &both).expect("no failure").expect_err("it is refused");
    assert_eq!((error.index, error.message.as_str()), (1, "asked to refuse the event"));
    plugin.instance.release(plugin.aggregate).expect("the instance stands");
}

#[test]
fn a_panic_while_applying_an_event_is_a_trap() {
    let mut plugin = One::of(&MISBEHAVE, "m1");
    let fused = plugin.events("run", &json!({ "mode": "trap_in_evolve" }));
    let error = plugin.instance.evolve(plugin.aggregate, &fused).expect_err("it panics");
    assert!(matches!(error, PluginError::Trapped(_)), "{error:?}");
}

#[test]
fn a_view_that_is_no_object_breaks_the_contract() {
    let mut plugin = One::of(&MISBEHAVE, "m1");
    plugin.execute("run", &json!({ "mode": "bad_view" }));
    let error = plugin.instance.view(plugin.aggregate).expect_err("it is a number");
    assert_eq!(error, PluginError::ContractBroken("its view is no JSON object".into()));
}

#[test]
fn a_reason_that_is_no_token_breaks_the_contract() {
    let mut plugin = One::of(&MISBEHAVE, "m1");
    let error = plugin.decide("run", &json!({ "mode": "bad_reason" })).expect_err("it is no token");
    assert_eq!(error, PluginError::ContractBroken("`No Token` is no reason of a rejection".into()));
}

#[test]
fn a_message_is_cut_to_what_a_reply_should_hold() {
    let mut plugin = One::of(&MISBEHAVE, "m1");
    let decision = plugin.decide("run", &json!({ "mode": "long_message", "n": 100_000 }));
    let Ok(Decision::Rejected { message, .. }) = decision else { panic!("no rejection") };
    assert_eq!(message.len(), 2_048);
}

#[test]
fn large_and_many_events_arrive_whole() {
    let mut plugin = One::of(&MISBEHAVE, "m1");
    let huge = plugin.events("run", &json!({ "mode": "huge_event", "n": 2 << 20 }));
    assert!(huge[0].payload.len() > 2 << 20);
    // How many a command may lead to is decided where they are stored.
    assert_eq!(plugin.events("run", &json!({ "mode": "many_events", "n": 1_001 })).len(), 1_001);
    assert!(plugin.events("run", &json!({ "mode": "nothing" })).is_empty());
}
