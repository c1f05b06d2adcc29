//! Sees that no host runs while streams are replaced under it: what it has in memory would go on
//! where the old log ended. Knows nothing of backups.

use std::time::Duration;

use async_nats::StatusCode;
use futures::StreamExt;

use crate::cli::CliError;
use crate::cli::client::Client;
use crate::name::control;

/// How long a host has for an answer; one that is well takes some milliseconds.
const ANSWER_MAX: Duration = Duration::from_secs(2);

pub(super) async fn ensure_none_runs(client: &Client) -> Result<(), CliError> {
    let lost = |error: &dyn std::fmt::Display| CliError::Unavailable(format!("NATS: {error}"));
    let inbox = client.nats().new_inbox();
    let mut answers = client.nats().subscribe(inbox.clone()).await.map_err(|error| lost(&error))?;
    let asked = client.nats().publish_with_reply(control::LIST, inbox, "".into()).await;
    asked.map_err(|error| lost(&error))?;
    match tokio::time::timeout(ANSWER_MAX, answers.next()).await {
        Ok(Some(answer)) if answer.status == Some(StatusCode::NO_RESPONDERS) => Ok(()),
        // Somebody listens, whether in time or not.
        Ok(Some(_)) | Err(_) => Err(CliError::Conflict(
            "nothing was restored: a host is running, and would go on from what is in its memory. Stop all hosts first"
                .into(),
        )),
        Ok(None) => Err(lost(&"the connection was closed")),
    }
}
