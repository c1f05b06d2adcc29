//! The counter's rules, and the promise that a whole domain fits on one screen. Sees the
//! domain from outside, through given / when / then.

use agent_guest::testing::given;
use plugin_counter::{Command, Counter, Event};
use serde_json::json;

/// What the SDK promises for a complete minimal domain.
const LINES_MAX: usize = 40;

#[test]
fn a_whole_domain_fits_in_forty_lines() {
    let lines = include_str!("../src/lib.rs")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count();
    assert!(lines <= LINES_MAX, "{lines} lines, at most {LINES_MAX}");
}

#[test]
fn increments_add_up() {
    let view = given::<Counter>("c1")
        .events([Event::Incremented { by: 2 }])
        .when_json("increment", r#"{"counter_id":"c1","by":3}"#)
        .then([Event::Incremented { by: 3 }])
        .view();
    assert_eq!(view, json!({ "count": 5 }));
}

#[test]
fn a_count_stops_at_its_limit() {
    given::<Counter>("c1")
        .events([Event::Incremented { by: u64::MAX }])
        .when(Command::Increment { by: 1 })
        .then([Event::Incremented { by: 1 }])
        .then_state(|counter| assert_eq!(counter.count, u64::MAX));
}

#[test]
fn a_reset_begins_anew() {
    given::<Counter>("c1")
        .events([Event::Incremented { by: 2 }])
        .when(Command::Reset)
        .then_json(&[("was_reset", json!({}))])
        .then_state(|counter| assert_eq!(counter.count, 0));
}

#[test]
fn a_missing_or_mistyped_field_is_named() {
    for payload in ["{}", r#"{"by":"2"}"#, r#"{"by":-1}"#] {
        given::<Counter>("c1").no_events().when_json("increment", payload).then_invalid("by");
    }
}
