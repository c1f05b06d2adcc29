//! Candidates that fail on what is recorded, and those that share an instance with it.

use serde_json::json;

use super::recorded::{Recorded, candidate, id, live};
use crate::gate::{Report, Verdict};
use crate::testing::counter::{Counter, Reads};

/// Asserts that exactly this counter fails, at this version, event and sequence; gives why.
#[track_caller]
fn only_failure(report: &Report, counter: &str, version: u64, event: &str, sequence: u64) -> String {
    assert_eq!((report.verdict, report.failing, report.failures.len()), (Verdict::Failed, 1, 1), "{report}");
    let failing = &report.failures[0];
    let found = (&failing.aggregate, failing.version, &*failing.event, failing.sequence);
    assert_eq!(found, (&id(counter), version, event, sequence));
    assert_eq!(report.reads, [].into(), "code that fails has proven nothing");
    failing.why.clone()
}

#[test]
fn an_event_that_cannot_be_applied_is_named() {
    let recorded = Recorded::new();
    recorded.added("a", 1);
    recorded.added("b", 1);
    let sequence = recorded.added("a", 7);
    recorded.added("a", 1);
    let report = recorded.gate(candidate().with(|quirks| quirks.refuses = Some(7)), live());
    assert_eq!(only_failure(&report, "a", 2, "added", sequence), "7 cannot be added");
    assert_eq!((report.compared.aggregates, report.differing), (1, 0));
}

#[test]
fn without_live_code_an_event_that_cannot_be_applied_is_the_candidates_fault() {
    let recorded = Recorded::new();
    let sequence = recorded.happened("a", "spoiled", &json!({}));
    let report = recorded.gate(candidate(), None);
    assert_eq!(only_failure(&report, "a", 1, "spoiled", sequence), "`spoiled` cannot be applied");
}

#[test]
fn a_trap_is_named_and_those_that_shared_its_instance_are_still_compared() {
    let recorded = Recorded::new();
    // One that has all its events before the trap, one that has some after it, one that begins there.
    recorded.added("before", 2);
    recorded.added("around", 2);
    recorded.added("traps", 2);
    let sequence = recorded.added("traps", 7);
    recorded.added("around", 2);
    recorded.added("after", 2);
    recorded.added("traps", 2);
    let report = recorded.gate(candidate().with(|quirks| quirks.traps = Some(7)), live());
    let why = only_failure(&report, "traps", 2, "added", sequence);
    assert!(why.contains("trapped"), "{why}");
    let compared = report.compared;
    assert_eq!((compared.aggregates, compared.own_snapshots, compared.live_snapshots), (3, 3, 3), "{report}");
    assert_eq!((compared.events, compared.views), (5, 5), "nothing is counted twice");
    assert_eq!(report.not_compared, [""; 0]);
}

#[test]
fn a_difference_beside_a_trap_is_found() {
    let recorded = Recorded::new();
    recorded.added("a", 1);
    recorded.added("traps", 7);
    recorded.added("a", 9);
    let straying = candidate().with(|quirks| (quirks.traps, quirks.miscounts) = (Some(7), Some(9)));
    let report = recorded.gate(straying, live());
    assert_eq!((report.verdict, report.failing, report.differing), (Verdict::Failed, 1, 1));
    assert_eq!((&report.differences[0].aggregate, report.differences[0].version), (&id("a"), 2));
}

#[test]
fn an_own_snapshot_that_is_not_read_back_fails() {
    for (reads, cause) in [
        (Reads::Not, "does not read its own snapshot"),
        (Reads::Wrongly, "shows another state"),
        (Reads::Trapping, "fails to read its own snapshot"),
    ] {
        let recorded = Recorded::new();
        recorded.added("a", 1);
        let sequence = recorded.added("a", 1);
        let report = recorded.gate(candidate().with(|quirks| quirks.own_states = reads), live());
        let why = only_failure(&report, "a", 2, "added", sequence);
        assert!(why.contains(cause), "{why}");
    }
}

#[test]
fn a_trap_over_a_snapshot_is_told_of_each_aggregate_by_its_own_doing() {
    let recorded = Recorded::new();
    for counter in ["a", "b", "c"] {
        recorded.added(counter, 1);
    }
    let report = recorded.gate(candidate().with(|quirks| quirks.own_states = Reads::Trapping), live());
    assert_eq!((report.verdict, report.failing), (Verdict::Failed, 3));
    assert!(report.failures.iter().all(|failing| failing.why.contains("by a state")), "{report}");
}

#[test]
fn a_trap_over_a_snapshot_of_the_live_code_fails() {
    let recorded = Recorded::new();
    let sequence = recorded.added("a", 1);
    let report = recorded.gate(candidate().with(|quirks| quirks.other_states = Reads::Trapping), live());
    let why = only_failure(&report, "a", 1, "added", sequence);
    assert!(why.contains("fails to read a snapshot of the live code"), "{why}");
}

#[test]
fn a_trap_of_both_codes_on_the_same_event_is_no_fault_of_the_candidate() {
    let recorded = Recorded::new();
    recorded.added("a", 1);
    recorded.added("traps", 7);
    recorded.added("a", 1);
    let live = Counter::new().with(|quirks| quirks.traps = Some(7));
    let report = recorded.gate(candidate().with(|quirks| quirks.traps = Some(7)), Some(live));
    assert_eq!((report.verdict, report.parked, report.compared.aggregates), (Verdict::Same, 1, 1));
}

#[test]
fn a_log_that_cannot_be_read_proves_nothing() {
    let recorded = Recorded::new();
    recorded.added("a", 1);
    recorded.events.set_down(true);
    let error = recorded.gate_with(candidate(), live(), |_| {}).expect_err("the log is down");
    assert!(error.0.contains("down"), "{error}");
}
