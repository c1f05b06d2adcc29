//! Replies by what was asked and what came of it. A client names verbs as it likes: what the
//! domain does not know counts as `other`, so that nobody can make the host count without bound.

use std::sync::OnceLock;

use super::Counter;
use crate::message::{Code, Reply, Request};
use crate::name::Name;

/// Verbs that are told apart, over all versions of the domain's plugin since the host started.
const VERBS_MAX: usize = 64;
/// What all other verbs count as.
const OTHER: &str = "other";
/// `ok` and the codes.
const OUTCOMES: usize = Code::ALL.len() + 1;

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    /// A command of this verb, known or not.
    Command(&'a str),
    /// A query.
    Query,
}

impl<'a> From<&'a Request> for Asked<'a> {
    fn from(request: &'a Request) -> Self {
        match request {
            Request::Command(command) => Self::Command(command.verb.as_str()),
            Request::Query(_) => Self::Query,
        }
    }
}

type Outcomes = [Counter; OUTCOMES];

#[derive(Debug)]
pub(super) struct Answers {
    /// Filled from the front by the one task that loads.
    verbs: [OnceLock<Name>; VERBS_MAX],
    /// One row for each verb, and one for the others.
    commands: [Outcomes; VERBS_MAX + 1],
    queries: Outcomes,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            verbs: std::array::from_fn(|_| OnceLock::new()),
            commands: std::array::from_fn(|_| Outcomes::default()),
            queries: Outcomes::default(),
        }
    }
}

impl Answers {
    pub(super) fn count(&self, asked: Asked<'_>, reply: &Reply) {
        let outcomes = match asked {
            Asked::Command(verb) => &self.commands[self.place(verb)],
            Asked::Query => &self.queries,
        };
        let code = match reply {
            Reply::Ok(_) => None,
            Reply::Error(failure) => Some(failure.code),
        };
        outcomes[outcome(code)].add(1);
    }

    pub(super) fn name_verbs<'a>(&self, verbs: impl IntoIterator<Item = &'a Name>) {
        for verb in verbs {
            // A verb of that very name is told together with the others.
            if verb.as_str() != OTHER
                && self.place(verb.as_str()) == VERBS_MAX
                && let Some(free) = self.verbs.iter().find(|place| place.get().is_none())
            {
                // Nobody else fills it.
                let _ = free.set(verb.clone());
            }
        }
    }

    fn place(&self, verb: &str) -> usize {
        self.names().position(|name| name == verb).unwrap_or(VERBS_MAX)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.verbs.iter().map_while(OnceLock::get).map(Name::as_str)
    }

    pub(super) fn of(&self, code: Option<Code>) -> u64 {
        self.commands.iter().chain([&self.queries]).map(|outcomes| outcomes[outcome(code)].get()).sum()
    }

    /// Every verb that was named has its `ok`; of all else, what has happened.
    pub(super) fn commands(&self) -> impl Iterator<Item = (&str, &'static str, u64)> {
        let rows = self.names().zip(&self.commands).chain([(OTHER, &self.commands[VERBS_MAX])]);
        let all = rows.flat_map(|(verb, row)| told(row).map(move |(outcome, count)| (verb, outcome, count)));
        all.filter(|(verb, outcome, count)| *count > 0 || *outcome == status(0) && *verb != OTHER)
    }

    pub(super) fn queries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        told(&self.queries)
    }
}

fn told(outcomes: &Outcomes) -> impl Iterator<Item = (&'static str, u64)> {
    outcomes.iter().enumerate().map(|(place, counter)| (status(place), counter.get()))
}

fn outcome(code: Option<Code>) -> usize {
    code.map_or(0, |code| code as usize + 1)
}

fn status(outcome: usize) -> &'static str {
    outcome.checked_sub(1).map_or("ok", |code| Code::ALL[code].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Failure;

    fn refused() -> Reply {
        Reply::Error(Failure::new(Code::Invalid, "no"))
    }

    #[test]
    fn verbs_that_nobody_named_count_together() {
        let answers = Answers::default();
        let deploy = Name::new("deploy").expect("a name");
        answers.name_verbs([&deploy]);
        for n in 0..1_000 {
            answers.count(Asked::Command(&format!("made_up_{n}")), &refused());
        }
        answers.count(Asked::Command("deploy"), &refused());
        answers.count(Asked::Query, &refused());

        let told: Vec<_> = answers.commands().collect();
        assert_eq!(told, [("deploy", "ok", 0), ("deploy", "invalid", 1), ("other", "invalid", 1_000)]);
        assert_eq!(answers.of(Some(Code::Invalid)), 1_002);
    }

    #[test]
    fn more_verbs_than_there_is_room_for_are_others() {
        let answers = Answers::default();
        let names: Vec<Name> = (0..VERBS_MAX + 5).map(|n| Name::new(&format!("v{n}")).expect("a name")).collect();
        answers.name_verbs(&names);
        answers.name_verbs(&names);
        answers.count(Asked::Command(names[VERBS_MAX].as_str()), &refused());
        answers.count(Asked::Command(names[VERBS_MAX - 1].as_str()), &refused());

        let told: Vec<_> = answers.commands().filter(|(_, outcome, _)| *outcome == "invalid").collect();
        assert_eq!(told, [("v63", "invalid", 1), ("other", "invalid", 1)]);
    }

    #[test]
    fn every_code_has_its_place() {
        for (place, code) in Code::ALL.iter().enumerate() {
            assert_eq!(status(outcome(Some(*code))), code.as_str(), "{place}");
        }
    }
}
