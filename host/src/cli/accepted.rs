//! What is published into the durable lane: JetStream's acknowledgement, and how it is shown.
//! Knows nothing of what is published.

use async_nats::HeaderMap;
use bytes::Bytes;
use serde::Serialize;

use super::client::Client;
use super::output::{ASIDE, GOOD, Output, harmless};
use super::{CliError, Exit};
use crate::nats::unless_refused;

/// The acknowledgement.
#[derive(Debug, Serialize)]
pub(super) struct Accepted {
    status: &'static str,
    stream: String,
    sequence: u64,
    /// Whether JetStream took it for one that it has just accepted.
    duplicate: bool,
}

impl Accepted {
    /// Publishes a message and waits until JetStream has accepted it.
    pub(super) async fn publish(
        client: &Client,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<Self, CliError> {
        let refused = |error: &dyn std::fmt::Display| {
            CliError::Unavailable(format!(
                "no stream has accepted it ({error}): does the domain have an inbox? A host makes it when it first serves the domain"
            ))
        };
        let part = subject.clone();
        let publish = async {
            let sent = client.jetstream.publish_with_headers(subject, headers, payload).await;
            sent.map_err(|error| refused(&error))?.await.map_err(|error| refused(&error))
        };
        let stored = unless_refused(&part, publish).await.map_err(CliError::failed)??;
        Ok(Self { status: "accepted", stream: stored.stream, sequence: stored.sequence, duplicate: stored.duplicate })
    }

    pub(super) fn print(&self, output: Output) -> Result<Exit, CliError> {
        if output.is_json() {
            output.document(&serde_json::to_vec(self).map_err(CliError::failed)?)?;
        } else {
            output.text(&self.in_words())?;
        }
        Ok(Exit::Ok)
    }

    fn in_words(&self) -> String {
        let (stream, sequence) = (harmless(&self.stream), self.sequence);
        let again = if self.duplicate { "  accepted before, not again" } else { "" };
        format!("{GOOD}accepted{GOOD:#}  {ASIDE}{stream} sequence {sequence}{again}{ASIDE:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acceptance_says_where_it_is() {
        let accepted = Accepted { status: "accepted", stream: "AGENT_INBOX".into(), sequence: 7, duplicate: true };
        let words = accepted.in_words();
        let plain = anstream::adapter::strip_str(&words).to_string();
        assert_eq!(plain, "accepted  AGENT_INBOX sequence 7  accepted before, not again");
        let json = serde_json::to_string(&accepted).expect("json");
        assert_eq!(json, r#"{"status":"accepted","stream":"AGENT_INBOX","sequence":7,"duplicate":true}"#);
    }
}
