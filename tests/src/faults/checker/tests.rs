//! A hand-made log for each rule, with something wrong in it that must be found, and a right one in
//! which nothing may be. It must not start anything.

use serde_json::json;

use super::{Rule, Violation, check, durable, gathered, refused_but_stored, states};
use crate::counter::Counter;
use crate::faults::answer::{Answer, Sent, Stated, Way};
use crate::faults::fold::Served;
use crate::faults::logged::Logged;

fn event(command_id: &str, version: u64) -> Logged {
    Logged {
        domain: "counter",
        aggregate: "one".into(),
        name: "incremented".into(),
        sequence: version + 10,
        version,
        command_id: command_id.into(),
        source: "/local/COUNTER_EVENTS".into(),
        time: format!("2026-01-01T00:00:{version:02}.000Z"),
        data: json!({"by": 2}),
    }
}

fn ok(version: u64) -> Answer {
    let event = Stated { name: "incremented".into(), version, sequence: version + 10 };
    Answer::Ok { version, events: vec![event] }
}

fn refused() -> Answer {
    Answer::Refused { code: "rejected".into(), retryable: false }
}

fn sent(command_id: &str, answers: &[Answer]) -> Sent {
    Sent {
        domain: "counter",
        aggregate: "one".into(),
        command_id: command_id.into(),
        message: Counter::named("one").increment(2),
        way: Way::Request,
        answers: answers.to_vec(),
        again: None,
    }
}

fn resolved(command_id: &str, answers: &[Answer], again: Answer) -> Sent {
    Sent { again: Some(again), ..sent(command_id, answers) }
}

fn accepted(command_id: &str, place: u64, answer: Answer) -> Sent {
    Sent { way: Way::Durable { accepted: Some(place) }, ..sent(command_id, &[answer]) }
}

/// An event as a leaf node stores it.
fn at_site(command_id: &str, version: u64) -> Logged {
    Logged { source: "/site-a/COUNTER_EVENTS".into(), ..event(command_id, version) }
}

#[track_caller]
fn finds(rule: Rule, violations: &[Violation]) {
    assert!(violations.iter().any(|violation| violation.rule == rule), "{rule:?} is not among {violations:?}");
}

#[test]
fn a_right_log_has_no_violations() {
    let log = [event("a", 1), event("b", 2), event("d", 3)];
    let sent = [
        sent("a", &[ok(1)]),
        resolved("b", &[Answer::Unknown, Answer::Unknown], ok(2)),
        sent("c", &[refused()]),
        resolved("d", &[ok(3)], ok(3)),
        resolved("e", &[Answer::Unknown], refused()),
    ];
    assert!(refused_but_stored(&sent, &log).is_empty());
    assert_eq!(check(&sent, &log).iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    let served = Served { domain: "counter", aggregate: "one".into(), version: 3, state: json!({"count": 6}) };
    assert!(states(&log, &[served]).is_empty());
}

#[test]
fn an_ok_that_is_not_stored_is_found() {
    finds(Rule::OkIsStored, &check(&[sent("a", &[ok(1)])], &[]));
}

#[test]
fn an_ok_that_stands_at_another_version_is_found() {
    let log = [event("b", 1), event("a", 2)];
    finds(Rule::OkIsStored, &check(&[sent("a", &[ok(1)]), sent("b", &[Answer::Unknown])], &log));
}

#[test]
fn an_ok_that_stands_at_another_place_is_found() {
    let moved = Logged { sequence: 99, ..event("a", 1) };
    finds(Rule::OkIsStored, &check(&[sent("a", &[ok(1)])], &[moved]));
}

#[test]
fn an_ok_that_is_stored_twice_is_found() {
    finds(Rule::OkIsStored, &check(&[sent("a", &[ok(1)])], &[event("a", 1), event("a", 2)]));
}

#[test]
fn a_command_of_unknown_outcome_with_two_effects_is_found() {
    finds(Rule::OneEffect, &check(&[sent("a", &[Answer::Unknown])], &[event("a", 1), event("a", 2)]));
    let apart = [event("a", 1), event("b", 2), Logged { name: "was_reset".into(), ..event("a", 3) }];
    finds(Rule::OneEffect, &check(&[sent("a", &[Answer::Unknown]), sent("b", &[ok(2)])], &apart));
}

#[test]
fn a_refused_command_that_is_stored_is_found() {
    finds(Rule::RefusedIsNotStored, &refused_but_stored(&[sent("a", &[refused()])], &[event("a", 1)]));
}

#[test]
fn a_command_that_is_refused_when_sent_again_though_it_is_stored_is_found() {
    finds(Rule::OneEffect, &check(&[resolved("a", &[Answer::Unknown], refused())], &[event("a", 1)]));
}

#[test]
fn what_lies_further_back_than_is_remembered_may_be_decided_anew() {
    let mut log = vec![event("a", 1)];
    log.extend((2..=129).map(|version| Logged { time: "2027".into(), ..event(&format!("x{version}"), version) }));
    let mut all: Vec<Sent> = (2..=129).map(|version| sent(&format!("x{version}"), &[ok(version)])).collect();
    all.push(resolved("a", &[Answer::Unknown], refused()));
    assert!(check(&all, &log).is_empty());
    // One fewer, and it would be remembered.
    log.pop();
    all.remove(127);
    finds(Rule::OneEffect, &check(&all, &log));
}

#[test]
fn two_answers_that_differ_are_found() {
    let differing = resolved("a", &[ok(1)], ok(2));
    finds(Rule::Resolved, &check(&[differing], &[event("a", 1)]));
}

#[test]
fn a_command_that_stays_without_an_outcome_is_found() {
    finds(Rule::Resolved, &check(&[resolved("a", &[Answer::Unknown], Answer::Unknown)], &[]));
    let unavailable = Answer::Refused { code: "unavailable".into(), retryable: true };
    finds(Rule::Resolved, &check(&[resolved("a", &[Answer::Unknown], unavailable)], &[]));
}

#[test]
fn a_gap_and_a_version_that_stands_twice_are_found() {
    let sent = [sent("a", &[Answer::Unknown]), sent("b", &[Answer::Unknown])];
    finds(Rule::NoGap, &check(&sent, &[event("a", 1), event("b", 3)]));
    let twice = Logged { sequence: 12, ..event("b", 1) };
    finds(Rule::NoGap, &check(&sent, &[event("a", 1), twice]));
}

#[test]
fn a_time_that_runs_backwards_is_found() {
    let early = Logged { time: "2025-12-31T23:00:00.000Z".into(), ..event("b", 2) };
    finds(Rule::TimeGoesOn, &check(&[sent("a", &[ok(1)]), sent("b", &[ok(2)])], &[event("a", 1), early]));
}

#[test]
fn an_event_that_nobody_asked_for_is_found() {
    finds(Rule::KnownCause, &check(&[], &[event("a", 1)]));
}

#[test]
fn a_state_that_is_not_the_fold_is_found() {
    let served =
        |version, count| Served { domain: "counter", aggregate: "one".into(), version, state: json!({"count": count}) };
    let log = [event("a", 1), event("b", 2)];
    finds(Rule::StateIsFold, &states(&log, &[served(2, 3)]));
    finds(Rule::StateIsFold, &states(&log, &[served(1, 2)]));
}

#[test]
fn an_answer_out_of_shape_is_found() {
    finds(Rule::WellFormed, &check(&[sent("a", &[Answer::Malformed("no version".into())])], &[]));
}

#[test]
fn a_right_lane_has_no_violations() {
    let log = [event("a", 1), event("x", 2), event("c", 3)];
    let expecting =
        Sent { message: Counter::named("one").increment(2).expected_version("7"), ..accepted("b", 2, refused()) };
    let all = [accepted("a", 1, Answer::Unknown), expecting, sent("x", &[ok(2)]), accepted("c", 3, ok(3))];
    assert!(durable::check(&all, &log).is_empty());
    // It was decided anew after its host had died.
    assert!(refused_but_stored(&[accepted("a", 1, refused())], &log).is_empty());
}

#[test]
fn an_accepted_command_that_is_not_executed_is_found() {
    finds(Rule::AcceptedIsExecuted, &durable::check(&[accepted("a", 1, Answer::Unknown)], &[]));
}

#[test]
fn two_commands_that_were_accepted_at_one_place_are_found() {
    let all = [accepted("a", 1, ok(1)), accepted("b", 1, ok(2))];
    finds(Rule::AcceptedIsExecuted, &durable::check(&all, &[event("a", 1), event("b", 2)]));
}

#[test]
fn accepted_commands_that_overtake_one_another_are_found() {
    let all = [accepted("a", 1, Answer::Unknown), accepted("b", 2, Answer::Unknown)];
    finds(Rule::AcceptedInOrder, &durable::check(&all, &[event("b", 1), event("a", 2)]));
}

#[test]
fn what_a_hub_has_gathered_is_compared_with_what_the_site_has() {
    let log = [at_site("a", 1), at_site("b", 2)];
    let moved = |event: &Logged, sequence| Logged { sequence, ..event.clone() };
    let copies = [moved(&log[0], 1), moved(&log[1], 2)];
    assert!(gathered::check(&log, &copies).is_empty());

    let elsewhere = Logged { source: "/site-b/COUNTER_EVENTS".into(), ..copies[1].clone() };
    let changed = Logged { data: json!({"by": 3}), ..copies[1].clone() };
    for wrong in [
        vec![copies[0].clone()],
        vec![copies[1].clone(), copies[0].clone()],
        vec![copies[0].clone(), copies[0].clone(), copies[1].clone()],
        vec![copies[0].clone(), elsewhere],
        vec![copies[0].clone(), changed],
    ] {
        finds(Rule::Gathered, &gathered::check(&log, &wrong));
    }
}
