//! Candidates that take what is recorded for another state, and where that is found.

use super::recorded::{Recorded, candidate, id, live};
use crate::gate::{Report, SHOWN_MAX, Verdict};
use crate::testing::counter::Counter;

/// Code that counts an `added` of 7 as 8.
fn miscounting() -> Counter {
    candidate().with(|quirks| quirks.miscounts = Some(7))
}

#[track_caller]
fn places(report: &Report, nth: usize) -> Vec<String> {
    report.differences[nth].places.iter().map(ToString::to_string).collect()
}

#[test]
fn an_event_that_is_taken_for_another_is_named() {
    let recorded = Recorded::new();
    recorded.added("a", 1);
    recorded.added("b", 1);
    let sequence = recorded.added("a", 7);
    recorded.added("a", 1);
    let report = recorded.gate(miscounting(), live());
    assert_eq!((report.verdict, report.differing, report.failing), (Verdict::Different, 1, 0));
    let found = &report.differences[0];
    assert_eq!((&found.aggregate, found.version, found.sequence), (&id("a"), 2, sequence));
    assert_eq!((&*found.event, found.of), ("added", "view"));
    assert_eq!(places(&report, 0), ["/count: 8 became 9"]);
    assert!(report.summary().contains("a at version 2 (event `added`, sequence 3): /count: 8 became 9"));
    assert_eq!(report.compared.aggregates, 1, "b is the same");
}

#[test]
fn code_that_differs_is_not_said_to_read_the_state_of_the_live_one() {
    let recorded = Recorded::new();
    recorded.added("a", 7);
    recorded.added("b", 1);
    let report = recorded.gate(miscounting(), live());
    assert_eq!(report.compared.live_snapshots, 1);
    assert_eq!(report.reads, [].into(), "of `a` it reads another state than its events give");
}

#[test]
fn a_difference_deep_in_a_history_is_found_at_its_very_version() {
    // Views are held against each other at every 64th version there, and at the end.
    for (version, versions) in [(65, 300), (191, 300), (192, 300), (193, 300), (299, 299), (70, 71)] {
        let recorded = Recorded::new();
        let mut sequence = 0;
        for v in 1..=versions {
            recorded.added("other", 1);
            let appended = recorded.added("a", if v == version { 7 } else { 1 });
            sequence = if v == version { appended } else { sequence };
        }
        let report = recorded.gate(miscounting(), live());
        assert_eq!((report.verdict, report.differing, report.differences.len()), (Verdict::Different, 1, 1));
        let found = &report.differences[0];
        assert_eq!((found.version, found.sequence), (version, sequence), "of {versions}");
        assert_eq!(places(&report, 0), [format!("/count: {} became {}", version + 6, version + 7)]);
        assert_eq!(report.compared.aggregates, 1);
        assert!(report.compared.events <= 2 * versions, "the search is not counted");
    }
}

#[test]
fn some_differences_are_shown_and_all_are_counted() {
    let recorded = Recorded::new();
    for n in 0..20 {
        recorded.added(&format!("c{n}"), 7);
    }
    let report = recorded.gate(miscounting(), live());
    assert_eq!((report.differing, report.differences.len()), (20, SHOWN_MAX));
    assert!(report.to_string().contains("and 15 more aggregates differ"), "{report}");
}
