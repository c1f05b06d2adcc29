//! Several messages all or none: JetStream's atomic batches (ADR-50), which are three headers.

use async_nats::{Client, HeaderMap, HeaderName};
use bytes::Bytes;
use uuid::Uuid;

use super::sharing::Demand;

const BATCH_ID: HeaderName = HeaderName::from_static("Nats-Batch-Id");
const BATCH_SEQUENCE: HeaderName = HeaderName::from_static("Nats-Batch-Sequence");
const BATCH_COMMIT: HeaderName = HeaderName::from_static("Nats-Batch-Commit");
/// The server refuses a batch that begins with a higher level than its own, and stores the header not.
const REQUIRED_LEVEL: HeaderName = HeaderName::from_static("Nats-Required-Api-Level");

/// One message of a batch.
pub(super) struct Part {
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

/// Sends all parts but the last, which commits the batch: it comes back, to be sent as a request.
/// Nothing is stored before that, so nothing else needs an answer. One part alone is no batch.
///
/// # Errors
/// Where the connection is closed for good: nothing was committed.
pub(super) async fn begin(
    client: &Client,
    mut parts: Vec<Part>,
    demand: Demand,
) -> Result<Option<Part>, async_nats::PublishError> {
    if parts.len() > 1 {
        let batch = Uuid::now_v7().simple().to_string();
        for (part, sequence) in parts.iter_mut().zip(1_u64..) {
            part.headers.insert(BATCH_ID, batch.as_str());
            part.headers.insert(BATCH_SEQUENCE, sequence.to_string());
        }
    }
    if let (Demand::Level(level), Some(first)) = (demand, parts.first_mut()) {
        first.headers.insert(REQUIRED_LEVEL, level);
    }
    let Some(mut commit) = parts.pop() else { return Ok(None) };
    if !parts.is_empty() {
        commit.headers.insert(BATCH_COMMIT, "1");
    }
    for part in parts {
        client.publish_with_headers(part.subject, part.headers, part.payload).await?;
    }
    Ok(Some(commit))
}
