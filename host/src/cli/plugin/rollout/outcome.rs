//! What came of a rollout, host by host: for people, for programs, as an exit code. Knows nothing
//! of how hosts are asked.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::output::{ASIDE, BAD, GOOD, NAME, OutputFlags, harmless};
use crate::cli::plugin::hosts::{Host, Target};
use crate::cli::plugin::short;
use crate::cli::{CliError, Exit};
use crate::fleet::Wanted;
use crate::name::Name;

/// A rollout with what came of it.
pub(in crate::cli::plugin) struct Rollout {
    pub(super) domain: Name,
    /// What the fleet is to run, where it is asked.
    pub(super) wanted: Option<Wanted>,
    pub(super) outcomes: Vec<Outcome>,
    /// How long hosts were waited for.
    pub(super) wait: Duration,
}

/// What came of it on one host.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The host's id.
    pub(super) host: String,
    label: String,
    pub(super) what: What,
    /// The gate's report, where the host told it.
    report: Value,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Nothing yet.
    Waiting,
    /// It is live under this number.
    Live { activation: u64, digest: String },
    /// The host does not serve it, for this reason.
    Refused(String),
}

impl Outcome {
    /// A host of which nothing is known yet.
    pub(super) fn waiting(host: &Host) -> Self {
        Self { host: host.host.clone(), label: host.label(), what: What::Waiting, report: Value::Null }
    }

    /// A host's own answer.
    pub(super) fn answered(host: &Host, answer: &Value) -> Self {
        let text = |key: &str| harmless(answer[key].as_str().unwrap_or_default());
        let what = if answer["status"] == "ok" {
            What::Live { activation: answer["activation"].as_u64().unwrap_or_default(), digest: text("digest") }
        } else {
            What::Refused(text("message"))
        };
        Self { what, report: answer["report"].clone(), ..Self::waiting(host) }
    }
}

/// What a host has made of the target since it was looked at before.
pub(super) fn judge(before: &Host, now: &Host, domain: &Name, target: Target) -> What {
    let live = now.served(domain).and_then(|served| served.live.as_ref());
    if let Some(live) = live.filter(|live| live.activation >= target.activation) {
        let (activation, digest) = (live.activation, live.digest);
        return if digest == target.digest {
            What::Live { activation, digest: digest.to_string() }
        } else {
            What::Refused(format!("activation {activation} is live instead, sha256:{}", short(digest)))
        };
    }
    // A refusal of an earlier attempt says nothing of this one.
    let refused = now.refused.iter().find(|refused| {
        let known = before.refused.iter().any(|old| old.digest == refused.digest && old.at == refused.at);
        let ours = refused.domain.as_ref().is_none_or(|of| of == domain.as_str());
        refused.digest == Some(target.digest) && ours && !known
    });
    refused.map_or(What::Waiting, |refused| What::Refused(harmless(&refused.why)))
}

impl Rollout {
    /// Prints it where it is all that was asked for.
    pub(in crate::cli::plugin) fn print(&self, flags: OutputFlags) -> Result<Exit, CliError> {
        let output = flags.open();
        if output.is_json() {
            output.document(self.document().to_string().as_bytes())?;
        } else {
            output.text(&self.in_words())?;
        }
        Ok(self.exit())
    }

    /// What a script branches on.
    pub(in crate::cli::plugin) fn exit(&self) -> Exit {
        let any = |is: fn(&What) -> bool| self.outcomes.iter().any(|one| is(&one.what));
        if any(|what| matches!(what, What::Refused(_))) {
            Exit::Invalid
        } else if any(|what| *what == What::Waiting) {
            Exit::Timeout
        } else {
            Exit::Ok
        }
    }

    /// For programs.
    pub(in crate::cli::plugin) fn document(&self) -> Value {
        let host = |one: &Outcome| {
            let (outcome, activation, why) = match &one.what {
                What::Waiting => ("waiting", None, None),
                What::Live { activation, .. } => ("live", Some(activation), None),
                What::Refused(why) => ("refused", None, Some(why)),
            };
            json!({"host": one.host, "outcome": outcome, "activation": activation, "why": why, "report": one.report})
        };
        json!({
            "domain": self.domain.as_str(),
            "wanted": self.wanted,
            "hosts": self.outcomes.iter().map(host).collect::<Vec<_>>(),
        })
    }

    /// For people.
    pub(in crate::cli::plugin) fn in_words(&self) -> String {
        let mut text = String::new();
        if let Some(wanted) = &self.wanted {
            let (digest, activation, domain) = (short(wanted.digest), wanted.activation, &self.domain);
            let _ = writeln!(text, "{NAME}{domain}{NAME:#}  sha256:{digest} is wanted as activation {activation}");
            if self.outcomes.is_empty() {
                let _ = writeln!(text, "    {ASIDE}no host runs yet; those that start will serve it{ASIDE:#}");
            }
        }
        for Outcome { label, what, .. } in &self.outcomes {
            let _ = match what {
                What::Live { activation, digest } => writeln!(
                    text,
                    "{GOOD}live{GOOD:#}     {label}  activation {activation}  {ASIDE}sha256:{}{ASIDE:#}",
                    short(digest)
                ),
                What::Refused(why) => writeln!(text, "{BAD}refused{BAD:#}  {label}\n    {why}"),
                What::Waiting => writeln!(
                    text,
                    "{BAD}waiting{BAD:#}  {label}\n    neither live nor refused after {}: see its log, and `agent-service plugin list` later",
                    humantime::format_duration(self.wait)
                ),
            };
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Digest;

    const OLD: Digest = Digest([0xaa; 32]);
    const NEW: Digest = Digest([0xbb; 32]);
    const TARGET: Target = Target { digest: NEW, activation: 4 };

    fn host(activation: u64, digest: Digest, refused: &[(Digest, &str)]) -> Host {
        let refused: Vec<Value> = refused
            .iter()
            .map(|(digest, at)| json!({"origin": "fleet", "digest": digest, "why": "it differs", "at": at}))
            .collect();
        let live = json!({"version": "1.0.0", "digest": digest, "activation": activation});
        let document = json!({
            "host": "H1", "name": "one", "source": "nats", "refused": refused,
            "domains": [{"domain": "agent", "live": live}],
        });
        Host::read(&document).expect("a host")
    }

    fn agent() -> Name {
        Name::new("agent").expect("a name")
    }

    #[test]
    fn a_host_is_live_once_it_tells_the_number_and_the_digest() {
        let before = host(3, OLD, &[]);
        let judged = |now: &Host| judge(&before, now, &agent(), TARGET);
        assert_eq!(judged(&before), What::Waiting);
        assert_eq!(judged(&host(3, NEW, &[])), What::Waiting, "the number of another activation");
        assert_eq!(judged(&host(4, NEW, &[])), What::Live { activation: 4, digest: NEW.to_string() });
        assert!(matches!(judged(&host(5, OLD, &[])), What::Refused(why) if why.contains("activation 5")));
    }

    #[test]
    fn only_a_new_refusal_counts() {
        let before = host(3, OLD, &[(NEW, "yesterday")]);
        let judged = |refused: &[(Digest, &str)]| judge(&before, &host(3, OLD, refused), &agent(), TARGET);
        assert_eq!(judged(&[(NEW, "yesterday")]), What::Waiting);
        assert_eq!(judged(&[(OLD, "now")]), What::Waiting);
        assert_eq!(judged(&[(NEW, "yesterday"), (NEW, "now")]), What::Refused("it differs".into()));
    }

    #[test]
    fn the_exit_code_tells_the_worst() {
        let rollout = |whats: Vec<What>| {
            let outcomes = whats.into_iter().map(|what| Outcome { what, ..Outcome::waiting(&host(1, OLD, &[])) });
            let outcomes = outcomes.collect();
            Rollout { domain: agent(), wanted: None, outcomes, wait: Duration::from_secs(30) }
        };
        let live = || What::Live { activation: 4, digest: NEW.to_string() };
        assert_eq!(rollout(vec![live()]).exit(), Exit::Ok);
        assert_eq!(rollout(vec![live(), What::Waiting]).exit(), Exit::Timeout);
        let worst = rollout(vec![live(), What::Waiting, What::Refused("it differs".into())]);
        assert_eq!(worst.exit(), Exit::Invalid);
        insta::assert_snapshot!(anstream::adapter::strip_str(&worst.in_words()), @r#"
        live     one (H1)  activation 4  sha256:bbbbbbbbbbbb
        waiting  one (H1)
            neither live nor refused after 30s: see its log, and `agent-service plugin list` later
        refused  one (H1)
            it differs
        "#);
        insta::assert_snapshot!(worst.document(), @r#"{"domain":"agent","hosts":[{"activation":4,"host":"H1","outcome":"live","report":null,"why":null},{"activation":null,"host":"H1","outcome":"waiting","report":null,"why":null},{"activation":null,"host":"H1","outcome":"refused","report":null,"why":"it differs"}],"wanted":null}"#);
    }

    #[test]
    fn a_hosts_own_answer_tells_what_came_of_it() {
        let host = host(3, OLD, &[]);
        let ok = json!({"host": "H1", "status": "ok", "activation": 4, "digest": NEW, "report": {"verdict": "same"}});
        let outcome = Outcome::answered(&host, &ok);
        assert_eq!(outcome.what, What::Live { activation: 4, digest: NEW.to_string() });
        assert_eq!(outcome.report, json!({"verdict": "same"}));
        let error = json!({"host": "H1", "status": "error", "message": "no such \u{1b}[2Jcomponent"});
        let what = Outcome::answered(&host, &error).what;
        assert_eq!(what, What::Refused("no such \u{fffd}[2Jcomponent".into()));
    }
}
