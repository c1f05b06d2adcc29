//! Recorded commands that are decided again.

use serde_json::json;

use super::recorded::{Recorded, candidate, id, live};
use crate::gate::Verdict;

#[test]
fn commands_that_are_decided_the_same_are_counted() {
    let recorded = Recorded::new();
    for version in 1..=3 {
        recorded.asked("a", "add", version, Some(version));
        recorded.added("a", version);
    }
    recorded.asked("b", "add", 1, None);
    recorded.added("b", 1);
    let report = recorded.gate(candidate(), live());
    assert_eq!((report.verdict, report.compared.commands, report.deciding_otherwise), (Verdict::Same, 3, 0));
    let told = report.not_compared.join("\n");
    assert!(told.contains("recorded commands that were refused"), "{told}");
}

#[test]
fn a_command_that_is_decided_otherwise_is_shown_and_refuses_nothing() {
    let recorded = Recorded::new();
    recorded.asked("a", "add", 1, Some(1));
    recorded.added("a", 1);
    recorded.asked("a", "reach", 9, Some(2));
    // The code of that time stopped one short of it.
    let sequence = recorded.happened("a", "added", &json!({ "n": 7 }));
    recorded.asked("a", "remove", 100, Some(3));
    recorded.happened("a", "removed", &json!({ "n": 2 }));
    let report = recorded.gate(candidate(), live());
    assert_eq!((report.verdict, report.compared.commands, report.deciding_otherwise), (Verdict::Same, 3, 2));
    let found = &report.decisions[0];
    assert_eq!((&found.aggregate, found.version, &*found.event, found.sequence), (&id("a"), 1, "reach", sequence));
    let places: Vec<String> = found.places.iter().map(ToString::to_string).collect();
    assert_eq!(places, ["/events/0/data/n: 7 became 8"]);
    let shown = report.to_string();
    assert!(shown.contains("a decides otherwise on `remove` at version 2"), "{shown}");
    assert!(shown.contains("+ \"too_few\""), "{shown}");
}

#[test]
fn a_log_that_keeps_no_commands_is_said_to_keep_none() {
    let recorded = Recorded::new();
    recorded.added("a", 1);
    let report = recorded.gate(candidate(), live());
    assert_eq!(report.compared.commands, 0);
    assert!(report.to_string().contains("the stream keeps none that bear an id"), "{report}");
}
