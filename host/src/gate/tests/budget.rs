//! A gate takes what it is given and says what it left out.

use std::time::Duration;

use super::recorded::{Recorded, candidate, id, live};
use crate::gate::{Compared, Verdict};
use crate::testing::counter::Counter;

/// So many counters with two events each.
fn counters(count: usize) -> Recorded {
    let recorded = Recorded::new();
    for _ in 0..2 {
        for n in 0..count {
            recorded.added(&format!("c{n}"), 1);
        }
    }
    recorded
}

#[test]
fn aggregates_beyond_the_budget_are_counted_and_left_out() {
    let recorded = counters(5);
    let report = recorded.gate_with(candidate(), live(), |gate| gate.budget.aggregates = 3);
    let report = report.expect("the log answers");
    assert_eq!((report.verdict, report.compared.aggregates, report.compared.events), (Verdict::Same, 3, 6));
    assert_eq!(report.not_compared, ["2 aggregates: the gate takes 3"]);
}

#[test]
fn aged_aggregates_beyond_the_budget_are_counted_as_well() {
    let recorded = Recorded::new();
    for n in 0..5 {
        recorded.added(&format!("c{n}"), 7);
    }
    for _ in 0..2 {
        for n in 0..5 {
            recorded.added(&format!("c{n}"), 7);
            recorded.leave_snapshot(&format!("c{n}"), &Counter::new(), 14);
        }
    }
    recorded.events.remove_through(5);
    let report = recorded.gate_with(candidate(), live(), |gate| gate.budget.aggregates = 3);
    let report = report.expect("the log answers");
    assert_eq!(report.compared.aggregates, 3);
    assert_eq!(report.not_compared, ["2 aggregates: the gate takes 3"]);
}

#[test]
fn aggregates_of_which_only_snapshots_are_left_keep_the_budget_too() {
    let recorded = Recorded::new();
    recorded.events.set_age_max(Duration::from_secs(1));
    for n in 0..5 {
        recorded.added(&format!("c{n}"), 7);
        recorded.leave_snapshot(&format!("c{n}"), &Counter::new(), 7);
    }
    recorded.events.remove_through(5);
    let report = recorded.gate_with(candidate(), live(), |gate| gate.budget.aggregates = 3);
    let report = report.expect("the log answers");
    assert_eq!((report.verdict, report.compared.aggregates), (Verdict::Same, 3));
    assert_eq!(report.not_compared.len(), 1, "{report}");
    assert!(report.not_compared[0].contains("beyond the first 3 snapshots"), "{report}");
    assert_eq!(recorded.gate(candidate(), live()).not_compared, [""; 0]);
}

#[test]
fn positions_beyond_the_time_are_left_out() {
    let recorded = counters(5);
    let report = recorded.gate_with(candidate(), live(), |gate| gate.budget.time = Duration::ZERO);
    let report = report.expect("the log answers");
    assert_eq!((report.verdict, report.compared), (Verdict::Same, Compared::default()));
    assert_eq!(report.reads, [].into());
    assert_eq!(report.not_compared, ["the last 10 of 10 positions of the stream: the time for the gate (0 s) was up"]);
}

#[test]
fn in_a_long_log_the_aggregates_used_last_come_first_and_none_comes_twice() {
    let recorded = counters(3);
    // As in a stream that holds commands as well.
    recorded.events.pass(200_000);
    recorded.added("late", 7);
    recorded.added("c1", 1);
    let straying = || candidate().with(|quirks| quirks.miscounts = Some(7));
    let recent = vec![id("late"), id("c1"), id("unknown")];
    let report = recorded.gate_with(straying(), live(), |gate| {
        gate.recent = recent.clone();
        gate.budget.aggregates = 2;
    });
    let report = report.expect("the log answers");
    assert_eq!((report.verdict, report.differences[0].aggregate.clone()), (Verdict::Different, id("late")));
    assert_eq!(report.not_compared, ["2 aggregates: the gate takes 2"]);
    assert_eq!((report.compared.aggregates, report.compared.events), (1, 4), "c1 to its end, late to its difference");

    let report = recorded.gate_with(candidate(), live(), |gate| gate.recent = recent);
    let compared = report.expect("the log answers").compared;
    assert_eq!((compared.aggregates, compared.events, compared.views), (4, 8, 8));
}
