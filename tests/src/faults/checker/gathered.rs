//! The hub's copies against the site's own events. It must not know how they came there.

use super::{Rule, Violation};
use crate::faults::ground::SITE;
use crate::faults::logged::{DOMAINS, Logged, stream};

/// Each event once, in order, unchanged, with its origin.
pub fn check(log: &[Logged], copies: &[Logged]) -> Vec<Violation> {
    DOMAINS.iter().filter_map(|domain| differs(domain, log, copies)).collect()
}

/// The first difference: what comes after it is most likely the same one.
fn differs(domain: &str, log: &[Logged], copies: &[Logged]) -> Option<Violation> {
    let of_domain = |all: &'_ [Logged]| all.iter().filter(|event| event.domain == domain).cloned().collect::<Vec<_>>();
    let (events, copies) = (of_domain(log), of_domain(copies));
    let origin = format!("/{SITE}/{}", stream(domain));
    let place = events.iter().zip(&copies).position(|(event, copy)| !is_copy(event, copy) || copy.source != origin);
    let what = match place {
        Some(place) => format!("{:?} is no copy of {:?} from {origin}", copies[place], events[place]),
        None if events.len() != copies.len() => format!("{} copies of {} events", copies.len(), events.len()),
        None => return None,
    };
    Some(Violation { rule: Rule::Gathered, what: format!("{domain}: {what}") })
}

/// The same but for its place in the stream.
fn is_copy(event: &Logged, copy: &Logged) -> bool {
    Logged { sequence: copy.sequence, ..event.clone() } == *copy
}
