//! A reply as it is shown: its document for programs, words for people, an exit code for
//! scripts. Knows the contract's replies, not how they come.

use std::fmt::Write;

use bytes::Bytes;
use serde_json::Value;

use super::output::{ASIDE, BAD, GOOD, HEADING, NAME, Output, harmless};
use super::{CliError, Exit};
use crate::message::{self, Code, Failure};
use crate::name::printable;

/// A reply's document.
#[derive(Debug)]
pub(super) struct Reply {
    bytes: Bytes,
    document: Value,
}

impl Reply {
    /// Reads a host's reply.
    pub(super) fn read(bytes: Bytes) -> Result<Self, CliError> {
        match serde_json::from_slice(&bytes) {
            Ok(document @ Value::Object(_)) => Ok(Self { bytes, document }),
            _ => {
                let shown = printable(&String::from_utf8_lossy(&bytes));
                Err(CliError::Failed(format!("the answer is no reply of a host: `{shown}`")))
            }
        }
    }

    /// The reply's document as it came.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What a script branches on.
    pub(super) fn exit(&self) -> Exit {
        if self.text_at("status") == "ok" {
            return Exit::Ok;
        }
        let code = self.text_at("code");
        Code::ALL.into_iter().find(|known| known.as_str() == code).map_or(Exit::Failed, Exit::from)
    }

    /// Prints it, and the exit code; `in_words` says an `ok`.
    pub(super) fn print(&self, output: Output, in_words: impl FnOnce(&Self) -> String) -> Result<Exit, CliError> {
        let printed = if output.is_json() {
            output.document(&self.bytes)
        } else if self.exit() == Exit::Ok {
            output.text(&in_words(self))
        } else {
            output.text(&self.failure_in_words())
        };
        match printed {
            // What came of it stands, whether anybody reads of it or not.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(self.exit()),
        }
    }

    /// `ok` to a command.
    pub(super) fn accepted_in_words(&self) -> String {
        let mut text = format!("{GOOD}ok{GOOD:#}  {}  version {}", self.text_at("id"), self.number_at("version"));
        if self.document["duplicate"] == true {
            let _ = write!(text, "  {ASIDE}done before, nothing was done again{ASIDE:#}");
        }
        for event in self.document["events"].as_array().into_iter().flatten() {
            let name = harmless(event["type"].as_str().unwrap_or_default());
            let (version, sequence) = (&event["version"], &event["sequence"]);
            let _ = write!(text, "\n    {NAME}{name}{NAME:#}  version {version}  {ASIDE}sequence {sequence}{ASIDE:#}");
        }
        text
    }

    /// A state.
    pub(super) fn state_in_words(&self) -> String {
        let heading = format!("{}  version {}", self.text_at("id"), self.number_at("version"));
        let state = serde_json::to_string_pretty(&self.document["state"]).unwrap_or_default();
        format!("{HEADING}{heading}{HEADING:#}\n{}", harmless(&state))
    }

    fn failure_in_words(&self) -> String {
        let mut text = format!("{BAD}{}{BAD:#}", self.text_at("code"));
        let reason = self.text_at("reason");
        if !reason.is_empty() {
            let _ = write!(text, "  {NAME}{reason}{NAME:#}");
        }
        // The message names the field at fault, where there is one.
        let _ = write!(text, "  {}", self.text_at("message"));
        let id = self.text_at("id");
        if !id.is_empty() {
            let _ = write!(text, "\n    {ASIDE}{id}");
            if let Some(version) = self.document["version"].as_u64() {
                let _ = write!(text, "  version {version}");
            }
            let _ = write!(text, "{ASIDE:#}");
        }
        let again = if self.is_retryable() { "the same may succeed later" } else { "the same again would not help" };
        let _ = write!(text, "\n    {ASIDE}{again}{ASIDE:#}");
        text
    }

    /// Whether the same may succeed later.
    pub(super) fn is_retryable(&self) -> bool {
        self.document["retryable"] == true
    }

    fn text_at(&self, field: &str) -> String {
        harmless(self.document[field].as_str().unwrap_or_default())
    }

    fn number_at(&self, field: &str) -> u64 {
        self.document[field].as_u64().unwrap_or_default()
    }
}

/// What the client itself finds out is told in the service's own form.
impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        let reply = message::Reply::Error(failure);
        let document = serde_json::to_value(&reply).unwrap_or_default();
        Self { bytes: reply.to_bytes(), document }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(json: &'static str) -> Reply {
        Reply::read(Bytes::from_static(json.as_bytes())).expect("a reply")
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn an_acceptance_lists_its_events() {
        let reply = reply(
            r#"{"status":"ok","id":"a1","version":2,"duplicate":true,"events":[{"type":"activated","version":2,"sequence":41}]}"#,
        );
        assert_eq!(reply.exit(), Exit::Ok);
        insta::assert_snapshot!(plain(&reply.accepted_in_words()), @r"
        ok  a1  version 2  done before, nothing was done again
            activated  version 2  sequence 41
        ");
    }

    #[test]
    fn a_refusal_says_why_and_what_next() {
        let reply = reply(
            r#"{"status":"error","code":"rejected","reason":"already_deployed","message":"agent is there","retryable":false,"id":"a1","version":5}"#,
        );
        assert_eq!(reply.exit(), Exit::Rejected);
        insta::assert_snapshot!(plain(&reply.failure_in_words()), @r"
        rejected  already_deployed  agent is there
            a1  version 5
            the same again would not help
        ");
    }

    #[test]
    fn a_field_at_fault_is_named() {
        let reply = Reply::from(Failure::invalid("metadata.name", "is empty"));
        assert_eq!(reply.exit(), Exit::Invalid);
        insta::assert_snapshot!(plain(&reply.failure_in_words()), @r"
        invalid  `metadata.name`: is empty
            the same again would not help
        ");
    }

    #[test]
    fn a_state_is_laid_out() {
        let reply = reply(r#"{"status":"ok","id":"a1","version":3,"state":{"status":"Active","tags":[]}}"#);
        insta::assert_snapshot!(plain(&reply.state_in_words()), @r#"
        a1  version 3
        {
          "status": "Active",
          "tags": []
        }
        "#);
    }

    #[test]
    fn what_is_no_reply_is_said_to_be_none() {
        for bad in [&b"+OK"[..], b"[1]", b""] {
            assert!(Reply::read(Bytes::from_static(bad)).is_err());
        }
        assert_eq!(reply(r#"{"status":"error","code":"teapot"}"#).exit(), Exit::Failed);
    }
}
