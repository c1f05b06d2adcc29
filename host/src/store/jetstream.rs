//! The stores in NATS JetStream: a stream of events and a bucket of snapshots per domain.
//! Everything that speaks JetStream's protocol is in here; nothing knows what is stored for.

mod ack;
mod acks;
mod answers;
mod append;
mod batch;
mod event_headers;
mod events;
mod group;
mod inbox;
pub mod look;
mod on_runtime;
mod oversize;
mod read;
mod scan;
mod server;
mod shared_batch;
mod sharing;
mod snapshots;
mod stream;
mod stream_audit;
mod transfer;
mod upgrade;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::RequestErrorKind;
use serde_json::Value;

pub use self::event_headers::read as event_origin;
pub use self::events::{Home, JetStreamEvents};
pub use self::group::OpenBatches;
pub use self::server::{ServerError, ServerFacts, check_server};
pub use self::snapshots::{BucketError, JetStreamSnapshots, audit_bucket};
pub use self::stream::{EventStream, StreamError, StreamLayout, StreamSettings};
pub use self::stream_audit::{Violation, audit};
pub use self::transfer::{
    StandingStream, TransferError, delete_stream, fetch_stream, restore_stream, standing_streams,
};
pub use self::upgrade::{Upgrade, upgrade};
use crate::nats::{Refusal, unless_refused};

/// One request to JetStream's API.
///
/// # Errors
/// [`ApiError`], by what the caller does with it.
async fn api(context: &Context, subject: String, request: &Value) -> Result<Value, ApiError> {
    let answer = unless_refused(&format!(".API.{subject}"), context.request(subject.clone(), request)).await?;
    let reply: Value = answer.map_err(|error| match error.kind() {
        RequestErrorKind::TimedOut => ApiError::Silent(error.to_string()),
        _ => ApiError::Unreachable(error.to_string()),
    })?;
    match reply.get("error") {
        None => Ok(reply),
        Some(error) => {
            let code = error.get("err_code").and_then(Value::as_u64).unwrap_or_default();
            let description = error.get("description").and_then(Value::as_str).unwrap_or("no description").to_owned();
            match code {
                code::CLUSTER_INCOMPLETE | code::NO_PEERS | code::CLUSTER_NOT_AVAILABLE | code::NOT_LEADER => {
                    Err(ApiError::Silent(format!("{description} ({code})")))
                }
                _ => Err(ApiError::Refused { code, description }),
            }
        }
    }
}

/// Why JetStream's API gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
enum ApiError {
    /// Nobody to answer.
    #[error("JetStream does not answer: {0}")]
    Unreachable(String),
    /// No answer in time, or none yet, as while a leader is missing.
    #[error("JetStream does not answer: {0}")]
    Silent(String),
    /// The server does not let our user ask.
    #[error(transparent)]
    NotPermitted(#[from] Refusal),
    /// An error for an answer.
    #[error("JetStream refuses: {description} ({code})")]
    Refused {
        /// JetStream's own error code.
        code: u64,
        /// In JetStream's words.
        description: String,
    },
}

impl ApiError {
    fn is(&self, wanted: u64) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted)
    }
}

/// JetStream's error codes that decide something here.
mod code {
    /// Not all servers of a cluster have answered.
    pub(super) const CLUSTER_INCOMPLETE: u64 = 10_004;
    /// Too few servers of a cluster are there.
    pub(super) const NO_PEERS: u64 = 10_005;
    /// The cluster has no leader.
    pub(super) const CLUSTER_NOT_AVAILABLE: u64 = 10_008;
    /// Another one leads.
    pub(super) const NOT_LEADER: u64 = 10_009;
    /// There is no such stream.
    pub(super) const STREAM_NOT_FOUND: u64 = 10_059;
    /// A stream of that name has another configuration.
    pub(super) const STREAM_NAME_IN_USE: u64 = 10_058;
    /// JetStream is not enabled on the server.
    pub(super) const JETSTREAM_NOT_ENABLED: u64 = 10_076;
    /// JetStream is not enabled for the account.
    pub(super) const JETSTREAM_NOT_ENABLED_FOR_ACCOUNT: u64 = 10_039;
    /// The expected last sequence does not hold.
    pub(super) const WRONG_LAST_SEQUENCE: u64 = 10_071;
    /// The expected last sequence does not hold, said by newer servers of single publishes.
    pub(super) const WRONG_LAST_SEQUENCE_CONSTANT: u64 = 10_164;
    /// A batch holds a message id that is stored already.
    pub(super) const BATCH_DUPLICATE_ID: u64 = 10_201;
    /// A message with the same id is being stored by the replicas at this moment.
    pub(super) const DUPLICATE_IN_PROCESS: u64 = 10_158;
    /// Batches are not allowed in this stream.
    pub(super) const BATCH_NOT_ALLOWED: u64 = 10_174;
    /// The message is larger than the stream takes.
    pub(super) const MESSAGE_TOO_LARGE: u64 = 10_054;
}
