//! Histories whose oldest events have aged: a snapshot is what is left of them.

use std::time::Duration;

use super::recorded::{Recorded, candidate, id, live, live_digest, raised_candidate};
use crate::domain::Generation;
use crate::gate::Verdict;
use crate::testing::counter::{Counter, Reads};

/// A counter `c` with five events, a snapshot after the second, written by this code, and the
/// first three events aged.
fn aged_under(code: &Counter) -> Recorded {
    let recorded = Recorded::new();
    recorded.events.set_age_max(Duration::from_secs(1));
    recorded.added("c", 1);
    recorded.added("c", 2);
    recorded.added("c", 4);
    recorded.leave_snapshot("c", code, 7);
    recorded.added("c", 8);
    recorded.added("c", 16);
    recorded.events.remove_through(2);
    recorded
}

/// A counter `c` of which nothing is left but a snapshot by this code, and one that is complete.
fn aged_out_under(code: &Counter) -> Recorded {
    let recorded = Recorded::new();
    recorded.events.set_age_max(Duration::from_secs(1));
    recorded.added("c", 7);
    recorded.leave_snapshot("c", code, 7);
    recorded.events.remove_through(1);
    recorded.added("d", 1);
    recorded
}

#[test]
fn a_snapshot_that_both_codes_read_alike_is_proven() {
    let report = aged_under(&Counter::new()).gate(candidate(), live());
    assert_eq!((report.verdict, report.reads), (Verdict::Same, [live_digest()].into()), "{:?}", report.failures);
    assert_eq!((report.compared.aggregates, report.compared.events, report.compared.views), (1, 2, 3));
}

#[test]
fn a_snapshot_of_third_code_that_both_codes_read_alike_is_proven() {
    let third = Counter::of_code("third", 3);
    let recorded = aged_under(&third);
    let live = Counter::new().with(|quirks| quirks.other_schemas = true);
    let report = recorded.gate(raised_candidate(), Some(live));
    assert_eq!((report.verdict, report.failing), (Verdict::Same, 0), "{report}");
    assert_eq!(report.reads, [live_digest(), third.digest()].into());
}

#[test]
fn a_snapshot_that_is_all_there_is_and_is_declined_fails_once() {
    let declining = || candidate().with(|quirks| quirks.other_states = Reads::Not);
    for recorded in [aged_under(&Counter::new()), aged_out_under(&Counter::new())] {
        let snapshot = recorded.snapshots.of(&id("c")).expect("it stands");
        let report = recorded.gate(declining(), live());
        assert_eq!((report.verdict, report.failing), (Verdict::Failed, 1), "{report}");
        let failing = &report.failures[0];
        let found = (&failing.aggregate, failing.version, failing.sequence);
        assert_eq!(found, (&id("c"), snapshot.version, snapshot.last_sequence));
        assert!(failing.why.contains("declines the snapshot"), "{}", failing.why);
    }
}

#[test]
fn a_snapshot_that_is_all_there_is_and_traps_fails_once() {
    let trapping = || candidate().with(|quirks| quirks.other_states = Reads::Trapping);
    for recorded in [aged_under(&Counter::new()), aged_out_under(&Counter::new())] {
        let report = recorded.gate(trapping(), live());
        let of_c = report.failures.iter().filter(|failing| failing.aggregate == id("c"));
        assert_eq!((report.verdict, of_c.count()), (Verdict::Failed, 1), "{report}");
    }
}

#[test]
fn a_snapshot_that_is_taken_for_another_state_is_a_difference_and_proves_nothing() {
    let recorded = aged_under(&Counter::new());
    // Others before and after it read alike, which proves nothing for this one.
    for counter in ["b", "e"] {
        recorded.added(counter, 1);
        recorded.added(counter, 1);
        recorded.leave_snapshot(counter, &Counter::new(), 2);
    }
    let misreading = candidate().with(|quirks| quirks.other_states = Reads::Wrongly);
    let report = recorded.gate(misreading, live());
    assert_eq!((report.verdict, report.differing), (Verdict::Different, 1), "{report}");
    let found = &report.differences[0];
    assert_eq!((&found.aggregate, found.version, found.of), (&id("c"), 3, "snapshot"));
    let places: Vec<String> = found.places.iter().map(ToString::to_string).collect();
    assert_eq!(places, ["/count: 7 became 8"]);
    assert_eq!(report.reads, [].into());
}

#[test]
fn events_after_the_snapshot_are_compared_as_well() {
    let recorded = aged_under(&Counter::new());
    let report = recorded.gate(candidate().with(|quirks| quirks.miscounts = Some(16)), live());
    assert_eq!((report.verdict, report.differing), (Verdict::Different, 1));
    let found = &report.differences[0];
    assert_eq!((found.version, found.sequence, found.of), (5, 5, "view"));
}

#[test]
fn an_aged_history_without_snapshot_is_no_fault_of_the_candidate() {
    let recorded = Recorded::new();
    for _ in 0..3 {
        recorded.added("c", 1);
    }
    recorded.events.remove_through(1);
    recorded.added("d", 1);
    let report = recorded.gate(candidate(), live());
    assert_eq!((report.verdict, report.parked, report.compared.aggregates), (Verdict::Same, 1, 1), "{report}");
}

#[test]
fn a_snapshot_that_the_live_code_cannot_read_either_is_no_fault_of_the_candidate() {
    // Of the same state schema number without proof, declined by both, and a trap to both.
    let trapping =
        |counter: Counter| counter.with(|quirks| (quirks.other_schemas, quirks.other_states) = (true, Reads::Trapping));
    let cases = [
        (aged_under(&Counter::of_code("third", 1)), candidate(), Counter::new()),
        (aged_under(&Counter::of_code("third", 3)), candidate(), Counter::new()),
        (aged_out_under(&Counter::of_code("third", 1)), candidate(), Counter::new()),
        (aged_under(&Counter::of_code("third", 3)), trapping(candidate()), trapping(Counter::new())),
    ];
    for (recorded, candidate, live) in cases {
        let report = recorded.gate(candidate, Some(live));
        assert_eq!((report.verdict, report.failing, report.parked), (Verdict::Same, 0, 1), "{report}");
        assert!(report.not_compared[0].starts_with("c: it is parked, see sequence"), "{report}");
    }
}

#[test]
fn an_aggregate_of_which_nothing_but_a_snapshot_is_left_is_compared() {
    let report = aged_out_under(&Counter::new()).gate(candidate(), live());
    assert_eq!((report.verdict, report.compared.aggregates), (Verdict::Same, 2), "{report}");
    assert_eq!((report.compared.views, report.reads), (2, [live_digest()].into()));
}

#[test]
fn without_live_code_an_unproven_snapshot_that_is_all_there_is_fails() {
    let unproven = |recorded: Recorded| recorded.gate(candidate(), None);
    for report in [unproven(aged_under(&Counter::new())), unproven(aged_out_under(&Counter::new()))] {
        assert_eq!((report.verdict, report.failing), (Verdict::Failed, 1), "{report}");
        assert!(report.failures[0].why.contains("no live code is there"), "{report}");
    }
}

#[test]
fn without_live_code_a_snapshot_that_may_be_read_is_enough() {
    for code in [candidate(), Counter::of_code("older", 0)] {
        let recorded = aged_under(&code);
        let report = recorded.gate(candidate().with(|quirks| quirks.other_schemas = true), None);
        assert_eq!((report.verdict, report.compared.aggregates), (Verdict::Same, 1), "{report}");
    }
    let recorded = aged_under(&Counter::new());
    let proven = recorded.gate_with(candidate(), None, |gate| gate.candidate_reads = [live_digest()].into());
    assert_eq!(proven.expect("the log answers").verdict, Verdict::Same);
}
