//! Several events all or none: JetStream's atomic batches (ADR-50), which are three headers.

use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use uuid::Uuid;

const BATCH_ID: &str = "Nats-Batch-Id";
const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
const BATCH_COMMIT: &str = "Nats-Batch-Commit";

/// One message of a batch.
pub(super) struct Part {
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

/// Sends all parts but the last, which commits the batch: it comes back, to be sent as a request.
///
/// # Errors
/// Where the connection is closed for good: nothing was committed.
pub(super) async fn begin(client: &Client, mut parts: Vec<Part>) -> Result<Option<Part>, async_nats::PublishError> {
    let batch = Uuid::now_v7().simple().to_string();
    for (part, sequence) in parts.iter_mut().zip(1_u64..) {
        part.headers.insert(BATCH_ID, batch.as_str());
        part.headers.insert(BATCH_SEQUENCE, sequence.to_string());
    }
    let Some(mut commit) = parts.pop() else { return Ok(None) };
    commit.headers.insert(BATCH_COMMIT, "1");
    for part in parts {
        client.publish_with_headers(part.subject, part.headers, part.payload).await?;
    }
    Ok(Some(commit))
}
