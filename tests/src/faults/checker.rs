//! The judge: what clients were told against what is stored. It must not know what was broken, nor
//! talk to anyone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::answer::{Answer, Sent};
use super::fold::{Served, fold};
use super::logged::Logged;

/// Commands with events that an aggregate remembers by the contract: what lies further back may be
/// decided anew.
const REMEMBERED: u64 = 128;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// An `ok` is stored once, with the versions and at the places it named.
    OkIsStored,
    /// A command has one effect, however often it was sent.
    OneEffect,
    /// What a client was told is refused is not stored.
    RefusedIsNotStored,
    /// Versions run from 1 without gap or duplicate, in the order of the stream.
    NoGap,
    /// An aggregate's time does not run backwards.
    TimeGoesOn,
    /// Nothing is stored that nobody asked for.
    KnownCause,
    /// The state that is served is the fold of the events.
    StateIsFold,
    /// Sent again, a command has an outcome, and the same as before.
    Resolved,
    /// Answers have the contract's shape.
    WellFormed,
    /// What the durable lane has accepted is executed, and nothing of it is left or parked.
    AcceptedIsExecuted,
    /// Commands of one aggregate take effect in the order in which the durable lane has accepted them.
    AcceptedInOrder,
    /// A site serves while its link to the hub is cut.
    ServesAlone,
    /// The hub has every event of a site once, in order, with its origin.
    Gathered,
}

/// A rule that did not hold, and where.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// Before anything is sent again: what was refused at every attempt stands nowhere. What the durable lane has
/// accepted is decided anew where its host dies between the outcome and the acknowledgement.
pub fn refused_but_stored(sent: &[Sent], log: &[Logged]) -> Vec<Violation> {
    let effects = by_command(log);
    let once = sent.iter().filter(|sent| sent.accepted().is_none());
    let refused = once.filter(|sent| sent.answers.iter().all(|answer| matches!(answer, Answer::Refused { .. })));
    let stored = refused.filter_map(|sent| Some((sent, effects.get(&key(sent))?)));
    let violation = |(sent, events): (&Sent, &Vec<&Logged>)| Violation {
        rule: Rule::RefusedIsNotStored,
        what: format!("{} was refused ({:?}) and stands at {}", named(sent), sent.answers, places(events)),
    };
    stored.map(violation).collect()
}

/// At the end: every answer against the log, and the log in itself.
pub fn check(sent: &[Sent], log: &[Logged]) -> Vec<Violation> {
    let effects = by_command(log);
    let mut newest: HashMap<(&str, &str), u64> = HashMap::new();
    for event in log {
        let version = newest.entry((event.domain, &event.aggregate)).or_default();
        *version = event.version.max(*version);
    }
    let mut violations = histories(log);
    for sent in sent {
        let none = Vec::new();
        let events = effects.get(&key(sent)).unwrap_or(&none);
        let newest = newest.get(&(sent.domain, sent.aggregate.as_str())).copied().unwrap_or_default();
        violations.extend(judge(sent, events, newest).map(|(rule, what)| Violation {
            rule,
            what: format!("{}: {what}; answers {:?}, then {:?}", named(sent), sent.answers, sent.again),
        }));
    }
    let known: HashSet<_> = sent.iter().map(key).collect();
    let strangers = effects.iter().filter(|(cause, _)| !known.contains(*cause));
    violations.extend(strangers.map(|(cause, events)| Violation {
        rule: Rule::KnownCause,
        what: format!("events of the command {cause:?}, which nobody sent, stand at {}", places(events)),
    }));
    violations
}

/// What is served against what follows from the events.
pub fn states(log: &[Logged], served: &[Served]) -> Vec<Violation> {
    let mut histories: BTreeMap<(&str, &str), Vec<&Logged>> = BTreeMap::new();
    for event in log {
        histories.entry((event.domain, &event.aggregate)).or_default().push(event);
    }
    let differs = |served: &Served| {
        let events = histories.get(&(served.domain, served.aggregate.as_str())).map_or(&[][..], Vec::as_slice);
        let expected = fold(served.domain, events);
        let right = served.version == events.len() as u64 && expected == served.state;
        (!right).then(|| Violation {
            rule: Rule::StateIsFold,
            what: format!(
                "{} {} is served as version {} {}, its {} events make {expected}",
                served.domain,
                served.aggregate,
                served.version,
                served.state,
                events.len()
            ),
        })
    };
    served.iter().filter_map(differs).collect()
}

/// One command against its events.
fn judge(sent: &Sent, events: &[&Logged], newest: u64) -> impl Iterator<Item = (Rule, String)> {
    let mut found = Vec::new();
    let mut first: Option<&Answer> = None;
    for answer in sent.answers.iter().chain(&sent.again) {
        match answer {
            Answer::Ok { version, events: stated } => {
                let right = stated.len() == events.len()
                    && stated.iter().zip(events).all(|(stated, event)| {
                        stated.name == event.name
                            && stated.version == event.version
                            && stated.sequence == event.sequence
                    })
                    && stated.last().is_none_or(|last| last.version == *version);
                if !right {
                    found.push((Rule::OkIsStored, format!("answered ok, but it stands at {}", places(events))));
                }
                if first.is_some_and(|first| first != answer) {
                    found.push((Rule::Resolved, "two answers that differ".to_owned()));
                }
                first = first.or(Some(answer));
            }
            Answer::Malformed(why) => found.push((Rule::WellFormed, why.clone())),
            Answer::Refused { .. } | Answer::Unknown => {}
        }
    }
    // No command of these runs leads to two events of one name.
    let names: HashSet<&str> = events.iter().map(|event| event.name.as_str()).collect();
    let one_after_the_other = events.windows(2).all(|pair| pair[1].version == pair[0].version + 1);
    if names.len() < events.len() || !one_after_the_other {
        found.push((Rule::OneEffect, format!("stored more than once: {}", places(events))));
    }
    match &sent.again {
        Some(Answer::Unknown | Answer::Refused { retryable: true, .. }) => {
            found.push((Rule::Resolved, "no outcome, though everything is well again".to_owned()));
        }
        Some(Answer::Refused { .. }) => {
            let remembered = events.last().is_some_and(|event| newest - event.version < REMEMBERED);
            if remembered {
                found.push((Rule::OneEffect, format!("refused when sent again, but it stands at {}", places(events))));
            }
        }
        _ => {}
    }
    found.into_iter()
}

/// Every aggregate's events in themselves.
fn histories(log: &[Logged]) -> Vec<Violation> {
    let mut last: HashMap<(&str, &str), (u64, &str)> = HashMap::new();
    let mut violations = Vec::new();
    for event in log {
        let (version, time) = last.entry((event.domain, &event.aggregate)).or_insert((0, ""));
        let place = format!("{} {} at sequence {}", event.domain, event.aggregate, event.sequence);
        if event.version != *version + 1 {
            let what = format!("{place}: version {} after {version}", event.version);
            violations.push(Violation { rule: Rule::NoGap, what });
        }
        if event.time.as_str() < *time {
            violations
                .push(Violation { rule: Rule::TimeGoesOn, what: format!("{place}: {} after {time}", event.time) });
        }
        (*version, *time) = (event.version, &event.time);
    }
    violations
}

type Cause<'a> = (&'a str, &'a str, &'a str);

fn key(sent: &Sent) -> Cause<'_> {
    (sent.domain, &sent.aggregate, &sent.command_id)
}

fn by_command(log: &[Logged]) -> HashMap<Cause<'_>, Vec<&Logged>> {
    let mut effects: HashMap<Cause<'_>, Vec<&Logged>> = HashMap::new();
    for event in log {
        effects.entry((event.domain, &event.aggregate, &event.command_id)).or_default().push(event);
    }
    effects
}

fn named(sent: &Sent) -> String {
    format!("{} {} {}", sent.message.subject, sent.aggregate, sent.command_id)
}

fn places(events: &[&Logged]) -> String {
    let one = |event: &&Logged| format!("{} version {} sequence {}", event.name, event.version, event.sequence);
    if events.is_empty() { "no place".to_owned() } else { events.iter().map(one).collect::<Vec<_>>().join(", ") }
}

pub mod durable;
pub mod gathered;
#[cfg(test)]
mod tests;
