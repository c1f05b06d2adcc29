//! `doctor`: looks at everything that a good colleague would look at, and says what to do. Knows how
//! findings are shown, not how they come about.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde_json::json;

use super::output::{ASIDE, BAD, GOOD, NAME, OutputFlags, harmless};
use super::{CliError, Exit};
use crate::config::{Connection, Service};
use crate::doctor::{Finding, Grade, Scope, examine};
use crate::name::Name;

/// What will surprise somebody.
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// `doctor`
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// A domain to look at; may be given several times [default: those of plugins and of running hosts]
    #[arg(long, value_name = "DOMAIN")]
    domain: Vec<String>,
    /// Monitoring port of the NATS server, for example http://127.0.0.1:8222
    #[arg(long, value_name = "URL")]
    monitor: Option<String>,
    /// Send a message to events that no stream stores, to see how many streams would
    ///
    /// Whoever listens to events sees it.
    #[arg(long)]
    probe: bool,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) async fn run(asked: Doctor, connection: &Connection, service: &Service) -> Result<Exit, CliError> {
    let domains: Result<Vec<Name>, _> = asked.domain.iter().map(|domain| Name::new(domain)).collect();
    let scope = Scope { domains: domains.map_err(CliError::failed)?, monitor: asked.monitor, probe: asked.probe };
    let findings = examine(connection, service, &scope).await;
    let worst = findings.iter().map(|finding| finding.grade).max().unwrap_or(Grade::Ok);
    let output = asked.output.open();
    if output.is_json() {
        output.document(document(worst, &findings).as_bytes())?;
    } else {
        output.text(&in_words(&findings))?;
    }
    Ok(match worst {
        Grade::Ok | Grade::Skipped => Exit::Ok,
        Grade::Warning => Exit::Doubtful,
        Grade::Failure => Exit::Unsound,
    })
}

fn document(worst: Grade, findings: &[Finding]) -> String {
    json!({"worst": worst, "findings": findings}).to_string()
}

/// One line each: the grade, the check, what it is about, what was seen, and the remedy.
fn in_words(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let mut text = String::new();
    for finding in findings {
        let style = match finding.grade {
            Grade::Ok => GOOD,
            Grade::Skipped => ASIDE,
            Grade::Warning => WARNING,
            Grade::Failure => BAD,
        };
        let (grade, check) = (finding.grade.word(), finding.check);
        let _ = write!(text, "{style}{grade:<7}{style:#}  {NAME}{check:<width$}{NAME:#}  ");
        if let Some(about) = &finding.about {
            let _ = write!(text, "{}: ", one_line(about));
        }
        text.push_str(&one_line(&finding.seen));
        if let Some(remedy) = &finding.remedy {
            let _ = write!(text, ". {ASIDE}To do:{ASIDE:#} {}", one_line(remedy));
        }
        text.push('\n');
    }
    text
}

fn one_line(text: &str) -> String {
    harmless(text).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> [Finding; 3] {
        let finding = |check, grade, about: Option<&str>, remedy: Option<&str>| Finding {
            check,
            grade,
            about: about.map(str::to_owned),
            seen: "it is\nso".into(),
            remedy: remedy.map(str::to_owned),
        };
        [
            finding("nats", Grade::Ok, None, None),
            finding("max_age", Grade::Warning, Some("AGENT_EVENTS"), Some("raise it")),
            finding("homes", Grade::Skipped, None, None),
        ]
    }

    #[test]
    fn a_finding_is_a_line() {
        insta::assert_snapshot!(anstream::adapter::strip_str(&in_words(&findings())), @r"
        ok       nats     it is so
        warning  max_age  AGENT_EVENTS: it is so. To do: raise it
        skipped  homes    it is so
        ");
    }

    #[test]
    fn all_findings_are_one_document() {
        insta::assert_snapshot!(
            document(Grade::Warning, &findings()),
            @r#"{"findings":[{"check":"nats","grade":"ok","seen":"it is\nso"},{"about":"AGENT_EVENTS","check":"max_age","grade":"warning","remedy":"raise it","seen":"it is\nso"},{"check":"homes","grade":"skipped","seen":"it is\nso"}],"worst":"warning"}"#
        );
    }
}
