//! Whether a candidate reads the live code's snapshots: it may decline, and must not be wrong.

use super::recorded::{Recorded, candidate, id, live, live_digest, raised_candidate};
use crate::gate::Verdict;
use crate::testing::counter::{Counter, Reads};

fn two_counters() -> Recorded {
    let recorded = Recorded::new();
    for (counter, n) in [("a", 3), ("b", 5), ("a", 4)] {
        recorded.added(counter, n);
    }
    recorded
}

#[test]
fn snapshots_that_are_declined_are_no_fault_and_prove_nothing() {
    let of_itself = candidate().with(|quirks| quirks.other_states = Reads::Not);
    let by_their_schema = Counter::of_code("candidate", 2);
    for declining in [of_itself, by_their_schema] {
        let report = two_counters().gate(declining, live());
        assert_eq!((report.verdict, report.failing, report.misread), (Verdict::Same, 0, 0));
        assert_eq!((report.compared.live_snapshots, report.compared.declined_snapshots), (0, 2));
        assert_eq!(report.reads, [].into());
    }
}

#[test]
fn snapshots_of_an_older_state_schema_that_are_read_are_proven() {
    let report = two_counters().gate(raised_candidate(), live());
    assert_eq!((report.verdict, report.compared.live_snapshots), (Verdict::Same, 2));
    assert_eq!(report.reads, [live_digest()].into());
}

#[test]
fn snapshots_of_the_same_state_schema_that_are_misread_are_told_and_prove_nothing() {
    let report = two_counters().gate(candidate().with(|quirks| quirks.other_states = Reads::Wrongly), live());
    assert_eq!((report.verdict, report.failing, report.misread), (Verdict::Same, 0, 2));
    assert_eq!((report.compared.live_snapshots, report.reads.len()), (0, 0));
    assert_eq!(report.not_compared.len(), 1, "{report}");
    let told = &report.not_compared[0];
    assert!(told.starts_with("2 snapshots of the live code"), "{told}");
    assert!(told.contains("/count: 7 became 8") || told.contains("/count: 5 became 6"), "{told}");
}

#[test]
fn snapshots_of_an_older_state_schema_that_are_misread_fail() {
    let recorded = Recorded::new();
    recorded.added("a", 3);
    let sequence = recorded.added("a", 4);
    let report = recorded.gate(raised_candidate().with(|quirks| quirks.other_states = Reads::Wrongly), live());
    assert_eq!((report.verdict, report.failing, report.misread), (Verdict::Failed, 1, 1));
    let failing = &report.failures[0];
    assert_eq!((&failing.aggregate, failing.version, failing.sequence), (&id("a"), 2, sequence));
    assert!(failing.why.contains("state schema 1") && failing.why.contains("/count: 7 became 8"), "{}", failing.why);
    assert_eq!(report.reads, [].into());
}
