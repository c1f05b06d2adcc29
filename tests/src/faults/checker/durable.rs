//! The durable lane: what it has accepted against what is stored. It must not know who executes it.

use std::collections::{HashMap, HashSet};

use super::{Rule, Violation, by_command, key, named};
use crate::faults::answer::Sent;
use crate::faults::logged::Logged;

/// Before anything is sent again: what was accepted and cannot be refused is stored, and in the order it was
/// accepted in.
pub fn check(sent: &[Sent], log: &[Logged]) -> Vec<Violation> {
    let effects = by_command(log);
    let mut accepted: Vec<(u64, &Sent)> = sent.iter().filter_map(|sent| Some((sent.accepted()?, sent))).collect();
    accepted.sort_by_key(|(place, _)| *place);
    let (mut violations, mut places) = (Vec::new(), HashSet::new());
    let mut last: HashMap<(&str, &str), (u64, &Sent)> = HashMap::new();
    for (place, sent) in accepted {
        let Some(event) = effects.get(&key(sent)).and_then(|events| events.first()) else {
            if !may_be_refused(sent) {
                let what = format!("{} was accepted at {place} and stands nowhere", named(sent));
                violations.push(Violation { rule: Rule::AcceptedIsExecuted, what });
            }
            continue;
        };
        if !places.insert((sent.domain, place)) {
            let what = format!("{} was accepted at {place}, and so was another", named(sent));
            violations.push(Violation { rule: Rule::AcceptedIsExecuted, what });
        }
        let before = last.insert((sent.domain, &sent.aggregate), (event.version, sent));
        if let Some((version, before)) = before.filter(|(version, _)| *version > event.version) {
            let what = format!(
                "{} was accepted before {} and has version {version}, not below {}; answers {:?} and {:?}",
                named(before),
                named(sent),
                event.version,
                before.answers,
                sent.answers
            );
            violations.push(Violation { rule: Rule::AcceptedInOrder, what });
        }
    }
    violations
}

/// All but a right increment that expects no version: that a counter cannot refuse.
fn may_be_refused(sent: &Sent) -> bool {
    let payload: serde_json::Value = serde_json::from_slice(&sent.message.payload).unwrap_or_default();
    let sure = sent.message.subject == "counter.commands.increment" && payload["by"].is_u64();
    !sure || sent.message.headers.get("Agent-Expected-Version").is_some()
}
