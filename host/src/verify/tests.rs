//! What only a log in memory can be made to do while it is walked: to age, and to cost one aggregate
//! the instance that it shares with another.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::testing::counter::Counter;
use crate::testing::recorded::{Recorded, id};

/// Verifies what is recorded with this code; `meanwhile` is called before each page is read.
fn verify(recorded: &Recorded, code: Counter, meanwhile: &dyn Fn()) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let verification = Verification {
        code: Arc::new(Activation::new(Arc::new(code), 1, BTreeSet::new())),
        events: Arc::new(recorded.events.clone()),
        snapshots: Arc::new(recorded.snapshots.clone()),
        aggregates_max: 100,
        runtime: runtime.handle().clone(),
        progress: &|_| meanwhile(),
    };
    verification.run().expect("memory answers")
}

#[test]
fn what_ages_while_the_log_is_walked_is_no_contradiction() {
    let recorded = Recorded::new();
    recorded.events.set_age_max(Duration::from_secs(1));
    recorded.added("c", 1);
    recorded.added("c", 2);
    recorded.leave_snapshot("c", &Counter::new(), 3);
    recorded.added("other", 1);

    let report = verify(&recorded, Counter::new(), &|| recorded.events.remove_through(2));

    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!((report.aggregates, report.events), (2, 1));
}

#[test]
fn what_leaves_meanwhile_from_a_log_that_keeps_everything_is_a_contradiction() {
    let recorded = Recorded::new();
    recorded.added("c", 1);
    recorded.leave_snapshot("c", &Counter::new(), 1);
    recorded.added("other", 1);

    let report = verify(&recorded, Counter::new(), &|| recorded.events.remove_through(1));

    assert_eq!(report.found, [(Kind::SnapshotContradicts, 1)].into(), "{:?}", report.findings);
}

#[test]
fn an_event_that_traps_is_the_fault_of_its_own_aggregate_alone() {
    let recorded = Recorded::new();
    let neighbours = ["a", "b", "c"];
    for neighbour in neighbours {
        recorded.added(neighbour, 1);
    }
    recorded.leave_snapshot("b", &Counter::new(), 1);
    // All live in one instance, which this one takes along after their last events.
    recorded.added("bad", 7);

    let report = verify(&recorded, Counter::new().with(|quirks| quirks.traps = Some(7)), &|| {});

    assert_eq!(report.found, [(Kind::Failing, 1)].into(), "{:?}", report.findings);
    assert_eq!(report.findings[0].aggregate, id("bad"));
    assert_eq!((report.aggregates, report.events, report.snapshots), (4, 4, 1));
}
