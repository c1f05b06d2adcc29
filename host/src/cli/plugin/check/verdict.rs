//! What came of a check, for people and for programs. Knows nothing of how it was found.

use std::path::Path;

use serde_json::json;

use super::partner::Partner;
use crate::cli::output::{ASIDE, BAD, GOOD, Output, harmless};
use crate::cli::{CliError, Exit};
use crate::gate::{Report, Verdict};
use crate::store::Denied;

/// What came of a check.
pub(super) struct Checked {
    file: String,
    /// `None` where nothing is recorded.
    report: Option<Report>,
    against: String,
    /// Why a host would refuse it; `None` where it would let it go live.
    refusal: Option<Refusal>,
    /// What is to be said where it would go live.
    remark: &'static str,
}

/// Why a host would refuse it.
struct Refusal {
    /// For who has not seen the report.
    cause: Option<String>,
    remedy: String,
}

impl Checked {
    /// There is nothing that it could misread.
    pub(super) fn nothing_recorded(file: &Path) -> Self {
        Self {
            file: file.display().to_string(),
            report: None,
            against: "nothing: there is no stream of this domain, so nothing is recorded".into(),
            refusal: None,
            remark: ": nothing is recorded that it could misread",
        }
    }

    pub(super) fn new(
        file: &Path,
        report: Report,
        partner: &Partner,
        denied: Option<Denied>,
        accept_drift: bool,
    ) -> Self {
        let remark = match (report.verdict, report.passes(false)) {
            (Verdict::Different, true) => ": that it differs is wanted, its state schema number is a higher one",
            (Verdict::Different, false) => ": that it differs is accepted here, and would have to be there",
            (Verdict::Same | Verdict::Failed, _) => "",
        };
        Self {
            file: file.display().to_string(),
            refusal: refusal(&report, denied, accept_drift),
            report: Some(report),
            against: partner.what.clone(),
            remark,
        }
    }

    pub(super) fn print(&self, output: Output) -> Result<Exit, CliError> {
        if output.is_json() {
            output.document(&self.document())?;
        } else {
            output.text(&self.in_words())?;
        }
        // The refusal is the answer, so it is no trouble of the tool.
        Ok(if self.refusal.is_none() { Exit::Ok } else { Exit::Invalid })
    }

    fn document(&self) -> Vec<u8> {
        let document = json!({
            "file": self.file,
            "accepted": self.refusal.is_none(),
            "reason": self.refusal.as_ref().map(Refusal::whole),
            "against": self.against,
            "report": self.report,
        });
        document.to_string().into_bytes()
    }

    fn in_words(&self) -> String {
        // Versions, reasons and states in it are the plugins' own words.
        let report =
            self.report.as_ref().map_or_else(String::new, |report| format!("{}\n", harmless(&report.to_string())));
        let against = format!("{ASIDE}held against {}{ASIDE:#}", self.against);
        let file = &self.file;
        match &self.refusal {
            None => format!("{report}{against}\n{GOOD}ok{GOOD:#}  {file} would go live{}", self.remark),
            Some(Refusal { remedy, .. }) => {
                format!("{report}{against}\n{BAD}refused{BAD:#}  {file} would not go live. {}", harmless(remedy))
            }
        }
    }
}

impl Refusal {
    fn whole(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{cause}. {}", self.remedy),
            None => self.remedy.clone(),
        }
    }
}

fn refusal(report: &Report, denied: Option<Denied>, accept_drift: bool) -> Option<Refusal> {
    if report.passes(accept_drift) {
        let Denied { why, .. } = denied?;
        let (domain, digest) = (&report.domain, report.candidate.digest);
        let remedy = format!(
            "A host put it back before ({why}), and it is not tried again until somebody says so: `agent-service plugin activate {domain} {digest}`"
        );
        return Some(Refusal { cause: None, remedy });
    }
    let remedy = match report.verdict {
        Verdict::Different => "If that is wanted, raise the plugin's state schema number, or accept it: --accept-drift",
        Verdict::Same | Verdict::Failed => "Events are facts: the plugin must stay able to read them",
    };
    Some(Refusal { cause: Some(report.summary()), remedy: remedy.to_owned() })
}
