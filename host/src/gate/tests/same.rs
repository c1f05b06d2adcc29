//! Candidates that do the same, and histories that say nothing against any.

use std::sync::Mutex;

use super::recorded::{Recorded, candidate, id, live, live_digest};
use crate::gate::{Compared, Verdict};
use crate::testing::counter::Counter;

/// Three counters with four, two and one event, interwoven.
fn three_counters() -> Recorded {
    let recorded = Recorded::new();
    for counter in ["a", "b", "a", "c", "b", "a", "a"] {
        recorded.added(counter, 2);
    }
    recorded
}

#[test]
fn code_that_does_the_same_is_the_same() {
    let report = three_counters().gate(candidate(), live());
    assert_eq!(report.verdict, Verdict::Same);
    let compared = Compared {
        aggregates: 3,
        events: 7,
        views: 7,
        own_snapshots: 3,
        live_snapshots: 3,
        declined_snapshots: 0,
        commands: 0,
    };
    assert_eq!((report.compared, report.not_compared), (compared, vec![]));
    assert_eq!(report.reads, [live_digest()].into());
    assert_eq!((report.differing, report.failing, report.misread, report.parked), (0, 0, 0, 0));
    assert_eq!(report.live.map(|code| code.digest), Some(live_digest()));
}

#[test]
fn an_empty_log_is_the_same_and_proves_nothing() {
    let report = Recorded::new().gate(candidate(), live());
    assert_eq!((report.verdict, report.compared), (Verdict::Same, Compared::default()));
    assert_eq!(report.reads, [].into());
}

#[test]
fn without_live_code_histories_are_evolved_and_held_against_nothing() {
    let report = three_counters().gate(candidate(), None);
    assert_eq!((report.verdict, report.live), (Verdict::Same, None));
    let compared = Compared { aggregates: 3, events: 7, own_snapshots: 3, ..Compared::default() };
    assert_eq!((report.compared, report.reads), (compared, [].into()));
}

#[test]
fn an_event_that_neither_code_applies_is_no_fault_of_the_candidate() {
    let recorded = three_counters();
    let spoiled = recorded.happened("c", "spoiled", &serde_json::json!({}));
    recorded.added("c", 1);
    let report = recorded.gate(candidate(), live());
    assert_eq!((report.verdict, report.failing, report.parked), (Verdict::Same, 0, 1));
    assert_eq!(report.compared.aggregates, 2);
    assert!(report.not_compared[0].contains(&format!("c: it is parked, see sequence {spoiled} ")), "{report}");
}

#[test]
fn an_event_that_only_the_candidate_applies_is_told() {
    let recorded = three_counters();
    let spoiled = recorded.happened("c", "spoiled", &serde_json::json!({}));
    let report = recorded.gate(candidate().with(|quirks| quirks.knows_spoiled = true), live());
    assert_eq!((report.verdict, report.parked, report.compared.aggregates), (Verdict::Same, 0, 3));
    assert!(report.not_compared[0].contains(&format!("sequence {spoiled}, the candidate can")), "{report}");
}

#[test]
fn an_event_that_no_host_wrote_is_no_fault_of_the_candidate() {
    let recorded = three_counters();
    let forged = recorded.events.forge(&id("b"), "added", Err("it has no ce-id".into()));
    recorded.events.forge(&id("d"), "added", Err("it has no ce-id".into()));
    let report = recorded.gate(candidate(), live());
    assert_eq!((report.verdict, report.parked, report.compared.aggregates), (Verdict::Same, 2, 2));
    assert!(report.not_compared[0].contains(&format!("b: it is parked, see sequence {forged} ")), "{report}");
    assert!(report.not_compared[1].contains("2 aggregates are parked"), "{report}");
}

#[test]
fn live_code_that_traps_says_nothing_against_the_candidate() {
    let recorded = three_counters();
    let trapping = recorded.added("b", 7);
    recorded.added("a", 1);
    let live = Counter::new().with(|quirks| quirks.traps = Some(7));
    let report = recorded.gate(candidate(), Some(live));
    assert_eq!((report.verdict, report.compared.aggregates), (Verdict::Same, 3));
    assert!(report.not_compared[0].contains(&format!("sequence {trapping}, the candidate can")), "{report}");
    assert_eq!((report.compared.events, report.compared.views), (9, 8), "nothing is counted twice");
    assert_eq!(report.compared.live_snapshots, 2, "those that shared its instance are compared in another");
}

#[test]
fn progress_is_told() {
    let told = Mutex::new(Vec::new());
    let tell = |progress| told.lock().expect("no panic").push(progress);
    let recorded = three_counters();
    // Twice what is read at once.
    for _ in 0..500 {
        recorded.added("a", 1);
    }
    let gate = recorded.gate_with(candidate(), live(), |gate| gate.progress = &tell);
    gate.expect("the log answers");
    let told = told.into_inner().expect("no panic");
    let told: Vec<_> = told.iter().map(|p| (p.sequence, p.last_sequence, p.aggregates)).collect();
    assert_eq!(told, [(1, 507, 0), (201, 507, 3), (401, 507, 3)]);
}
