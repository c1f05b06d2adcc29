//! How a candidate fared beside the live code, over all hosts: for people, for programs, as an
//! exit code. Knows nothing of how hosts are asked.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::output::{ASIDE, BAD, GOOD, HEADING, NAME, harmless};
use crate::cli::plugin::hosts::{Differing, Host, Shadowed};
use crate::cli::plugin::short;
use crate::domain::Digest;
use crate::name::Name;

/// Differing commands that are shown; the others are counted.
const SHOWN_MAX: usize = 5;

/// A comparison on several hosts.
pub(super) struct Comparison {
    domain: Name,
    digest: Digest,
    hosts: Vec<Compared>,
}

struct Compared {
    host: String,
    label: String,
    state: State,
}

enum State {
    /// With what it has told last.
    Running(Option<Shadowed>),
    Done(Shadowed),
    /// It does not compare, for this reason.
    Failed(String),
}

impl Comparison {
    /// What hosts have answered to the wish to compare.
    pub(super) fn begun(domain: Name, digest: Digest, hosts: &[Host], answers: &[Value]) -> Self {
        let state = |host: &Host| match answers.iter().find(|answer| answer["host"] == host.host.as_str()) {
            Some(answer) if answer["status"] == "ok" => State::Running(None),
            Some(answer) => State::Failed(harmless(answer["message"].as_str().unwrap_or("it does not say why"))),
            None => State::Failed("it does not answer".to_owned()),
        };
        let hosts = hosts
            .iter()
            .map(|host| Compared { host: host.host.clone(), label: host.label(), state: state(host) })
            .collect();
        Self { domain, digest, hosts }
    }

    /// Whether any host still compares.
    pub(super) fn is_running(&self) -> bool {
        !self.running().is_empty()
    }

    /// The hosts that still compare.
    pub(super) fn running(&self) -> BTreeSet<String> {
        let running = self.hosts.iter().filter(|one| matches!(one.state, State::Running(_)));
        running.map(|one| one.host.clone()).collect()
    }

    /// Takes in what a host tells.
    pub(super) fn note(&mut self, host: &Host) {
        let Some(one) = self.hosts.iter_mut().find(|one| one.host == host.host) else { return };
        let shadow = host.served(&self.domain).and_then(|served| served.shadow.clone());
        let State::Running(last) = &one.state else { return };
        one.state = match shadow.filter(|shadow| shadow.digest == self.digest) {
            Some(shadow) if shadow.state == "running" => State::Running(Some(shadow)),
            Some(shadow) => State::Done(shadow),
            // Not told yet, or told before and gone.
            None if last.is_none() => return,
            None => State::Failed("it stopped comparing before the time was up: see its log".to_owned()),
        };
    }

    /// Whether the candidate was seen to decide as the live code does.
    pub(super) fn proves(&self) -> bool {
        self.exit() == Exit::Ok && self.told().any(|(_, shadow)| shadow.compared > 0)
    }

    /// What a script branches on.
    pub(super) fn exit(&self) -> Exit {
        let failed = self.hosts.iter().any(|one| matches!(one.state, State::Failed(_)));
        if failed || self.told().any(|(_, shadow)| shadow.differing > 0) {
            Exit::Invalid
        } else if self.is_running() {
            Exit::Timeout
        } else {
            Exit::Ok
        }
    }

    fn told(&self) -> impl Iterator<Item = (&Compared, &Shadowed)> {
        self.hosts.iter().filter_map(|one| match &one.state {
            State::Running(Some(shadow)) | State::Done(shadow) => Some((one, shadow)),
            State::Running(None) | State::Failed(_) => None,
        })
    }

    fn sum(&self, count: fn(&Shadowed) -> u64) -> u64 {
        self.told().map(|(_, shadow)| count(shadow)).fold(0, u64::saturating_add)
    }

    /// For programs.
    pub(super) fn document(&self) -> Value {
        let host = |one: &Compared| {
            let (state, shadow, why) = match &one.state {
                State::Running(shadow) => ("running", shadow.as_ref(), None),
                State::Done(shadow) => ("done", Some(shadow), None),
                State::Failed(why) => ("failed", None, Some(why)),
            };
            json!({
                "host": one.host, "state": state, "why": why,
                "compared": shadow.map(|shadow| shadow.compared),
                "differing": shadow.map(|shadow| shadow.differing),
                "not_compared": shadow.map(|shadow| shadow.not_compared),
                "differences": shadow.map(|shadow| shadow.differences.iter().map(difference).collect::<Vec<_>>()),
            })
        };
        json!({
            "domain": self.domain.as_str(),
            "digest": format!("sha256:{}", self.digest),
            "compared": self.sum(|shadow| shadow.compared),
            "differing": self.sum(|shadow| shadow.differing),
            "not_compared": self.sum(|shadow| shadow.not_compared),
            "hosts": self.hosts.iter().map(host).collect::<Vec<_>>(),
        })
    }

    /// For people.
    pub(super) fn in_words(&self) -> String {
        let (style, verdict) = match self.exit() {
            Exit::Ok if self.proves() => (GOOD, "same"),
            Exit::Ok => (BAD, "nothing compared"),
            Exit::Timeout => (BAD, "not at its end"),
            _ if self.sum(|shadow| shadow.differing) > 0 => (BAD, "different"),
            _ => (BAD, "failed"),
        };
        let mut text = format!(
            "{style}{verdict}{style:#}  {NAME}{}{NAME:#} sha256:{}: {} compared, {} differing, {} not compared\n",
            self.domain,
            short(self.digest),
            self.sum(|shadow| shadow.compared),
            self.sum(|shadow| shadow.differing),
            self.sum(|shadow| shadow.not_compared)
        );
        for one in &self.hosts {
            let state = match &one.state {
                State::Running(_) => "still compares: `agent-service plugin list` tells how far it is".to_owned(),
                State::Done(shadow) => format!("{} compared, {} differing", shadow.compared, shadow.differing),
                State::Failed(why) => format!("{BAD}failed{BAD:#}: {why}"),
            };
            let _ = writeln!(text, "    {}  {state}", one.label);
        }
        let differing: Vec<&Differing> = self.told().flat_map(|(_, shadow)| &shadow.differences).collect();
        for one in differing.iter().take(SHOWN_MAX) {
            let (aggregate, verb, id) = (harmless(&one.aggregate), harmless(&one.verb), harmless(&one.command_id));
            let _ = writeln!(
                text,
                "\n  {HEADING}{verb}{HEADING:#} of {aggregate} at version {}  {ASIDE}{id}{ASIDE:#}",
                one.version
            );
            let _ = writeln!(text, "    live       {}", harmless(&one.live));
            let _ = writeln!(text, "    candidate  {}", harmless(&one.candidate));
            for place in &one.places {
                let _ = writeln!(text, "    {}", harmless(if place.path.is_empty() { "/" } else { &place.path }));
                for (sign, value) in [("-", &place.live), ("+", &place.candidate)] {
                    if let Some(value) = value {
                        let _ = writeln!(text, "    {sign} {}", harmless(value));
                    }
                }
            }
        }
        let more = self.sum(|shadow| shadow.differing).saturating_sub(differing.len().min(SHOWN_MAX) as u64);
        if more > 0 {
            let _ = writeln!(text, "\n  and {more} more");
        }
        text
    }
}

fn difference(one: &Differing) -> Value {
    let place = |place: &crate::cli::plugin::hosts::Place| json!({"path": place.path, "live": place.live, "candidate": place.candidate});
    json!({
        "aggregate": one.aggregate, "version": one.version, "verb": one.verb, "command_id": one.command_id,
        "live": one.live, "candidate": one.candidate, "places": one.places.iter().map(place).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANDIDATE: Digest = Digest([0xcc; 32]);

    fn host(id: &str, shadow: Value) -> Host {
        let domains = json!([{"domain": "agent", "shadow": shadow}]);
        let document = json!({"host": id, "name": format!("edge-{id}"), "source": "nats", "domains": domains});
        Host::read(&document).expect("a host")
    }

    fn shadow(state: &str, compared: u64, differing: u64) -> Value {
        let differences: Vec<Value> = (0..differing.min(1))
            .map(|_| {
                json!({
                    "aggregate": "a1", "version": 3, "verb": "activate", "command_id": "0190",
                    "live": "1 event: activated", "candidate": "rejected: agent_offline",
                    "places": [{"path": "/events/0", "live": "{\"type\":\"activated\"}", "candidate": null}],
                })
            })
            .collect();
        json!({
            "digest": CANDIDATE, "version": "1.3.0", "state": state, "compared": compared,
            "differing": differing, "not_compared": 2, "differences": differences,
        })
    }

    fn begun(answers: &[Value]) -> Comparison {
        let hosts: Vec<Host> = ["1", "2"].map(|id| host(id, Value::Null)).into();
        Comparison::begun(Name::new("agent").expect("a name"), CANDIDATE, &hosts, answers)
    }

    fn both() -> Comparison {
        begun(&[json!({"host": "1", "status": "ok"}), json!({"host": "2", "status": "ok"})])
    }

    #[test]
    fn it_runs_until_no_host_does() {
        let mut comparison = both();
        comparison.note(&host("1", Value::Null));
        comparison.note(&host("2", shadow("running", 3, 0)));
        assert_eq!(comparison.running().len(), 2);
        assert_eq!((comparison.exit(), comparison.proves()), (Exit::Timeout, false));
        comparison.note(&host("1", shadow("done", 0, 0)));
        comparison.note(&host("2", shadow("done", 4, 0)));
        assert_eq!((comparison.is_running(), comparison.exit(), comparison.proves()), (false, Exit::Ok, true));
    }

    #[test]
    fn nothing_compared_proves_nothing() {
        let mut comparison = both();
        comparison.note(&host("1", shadow("done", 0, 0)));
        comparison.note(&host("2", shadow("done", 0, 0)));
        assert_eq!((comparison.exit(), comparison.proves()), (Exit::Ok, false));
        assert!(comparison.in_words().contains("nothing compared"));
    }

    #[test]
    fn differences_are_shown_with_both_outcomes() {
        let mut comparison = both();
        comparison.note(&host("1", shadow("done", 9, 2)));
        comparison.note(&host("2", shadow("done", 4, 0)));
        assert_eq!((comparison.exit(), comparison.proves()), (Exit::Invalid, false));
        insta::assert_snapshot!(anstream::adapter::strip_str(&comparison.in_words()), @r#"
        different  agent sha256:cccccccccccc: 13 compared, 2 differing, 4 not compared
            edge-1 (1)  9 compared, 2 differing
            edge-2 (2)  4 compared, 0 differing

          activate of a1 at version 3  0190
            live       1 event: activated
            candidate  rejected: agent_offline
            /events/0
            - {"type":"activated"}

          and 1 more
        "#);
        insta::assert_snapshot!(comparison.document(), @r#"{"compared":13,"differing":2,"digest":"sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","domain":"agent","hosts":[{"compared":9,"differences":[{"aggregate":"a1","candidate":"rejected: agent_offline","command_id":"0190","live":"1 event: activated","places":[{"candidate":null,"live":"{\"type\":\"activated\"}","path":"/events/0"}],"verb":"activate","version":3}],"differing":2,"host":"1","not_compared":2,"state":"done","why":null},{"compared":4,"differences":[],"differing":0,"host":"2","not_compared":2,"state":"done","why":null}],"not_compared":4}"#);
    }

    #[test]
    fn a_host_that_cannot_compare_is_told() {
        let mut comparison = begun(&[json!({"host": "1", "status": "error", "message": "it serves no agent"})]);
        assert!(!comparison.is_running());
        assert_eq!(comparison.exit(), Exit::Invalid);
        let text = comparison.in_words();
        assert!(text.contains("it serves no agent") && text.contains("it does not answer"), "{text}");

        comparison = both();
        comparison.note(&host("1", shadow("running", 1, 0)));
        comparison.note(&host("1", Value::Null));
        assert_eq!(comparison.exit(), Exit::Invalid, "its shadow is gone");
    }
}
