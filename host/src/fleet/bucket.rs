//! A bucket by its name: whether it stands, whether it keeps what is put into it, and what an
//! error of it means. Knows nothing of what is in it.

use std::fmt::Display;

use async_nats::connection::State;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{DiscardPolicy, Info, StorageType};

use super::FleetError;
use crate::nats::{JetStream, unless_refused};

/// A bucket.
#[derive(Clone)]
pub(super) struct Bucket {
    /// JetStream as the settings name it.
    pub(super) context: JetStream,
    /// Its name.
    pub(super) name: &'static str,
    /// The stream beneath.
    pub(super) stream: String,
}

impl Bucket {
    /// A bucket of components.
    pub(super) fn of_components(context: &JetStream, name: &'static str) -> Self {
        Self { context: context.clone(), name, stream: format!("OBJ_{name}") }
    }

    /// A bucket of entries.
    pub(super) fn of_entries(context: &JetStream, name: &'static str) -> Self {
        Self { context: context.clone(), name, stream: format!("KV_{name}") }
    }

    /// Says at once that NATS is away: a request would wait for it.
    pub(super) fn check_connection(&self) -> Result<(), FleetError> {
        match self.context.client().connection_state() {
            State::Connected => Ok(()),
            _ => Err(FleetError::Unavailable("NATS is not connected: is nats-server running?".into())),
        }
    }

    /// What JetStream says of it; `None` where there is no such bucket.
    pub(super) async fn info(&self) -> Result<Option<Info>, FleetError> {
        let name = self.name;
        self.check_connection()?;
        let asked = unless_refused(&self.stream, self.context.get_stream(&self.stream)).await;
        let error = match asked.map_err(|refusal| FleetError::Refused(format!("bucket {name}: {refusal}")))? {
            Ok(stream) => return Ok(Some(stream.cached_info().clone())),
            Err(error) => error,
        };
        match error.kind() {
            GetStreamErrorKind::JetStream(why) if why.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            GetStreamErrorKind::JetStream(why) => {
                Err(FleetError::Refused(format!("JetStream refuses to look at the bucket {name}: {why}")))
            }
            _ => Err(FleetError::Unavailable(format!(
                "JetStream does not tell of the bucket {name} ({error}): is it enabled, and may this user ask for the stream {}?",
                self.stream
            ))),
        }
    }

    /// What an error of this bucket means: it says the same whether the bucket is gone, NATS is
    /// away, or a permission is missing.
    pub(super) async fn explain(&self, what: &str, error: impl Display) -> FleetError {
        match self.info().await {
            Ok(Some(_)) => FleetError::Unavailable(format!(
                "{what} bucket {} failed ({error}): try again, and see that this user may use the bucket",
                self.name
            )),
            Ok(None) => FleetError::Gone { bucket: self.name },
            Err(error) => error,
        }
    }
}

/// Refuses a bucket that loses what is put into it.
pub(super) fn audit(bucket: &Bucket, info: &Info) -> Result<(), FleetError> {
    let config = &info.config;
    let broken = [
        (!config.max_age.is_zero(), "max_age is set, so that plugins would expire"),
        (config.storage == StorageType::Memory, "its storage is memory, so that plugins would not survive the server"),
        (
            config.max_bytes > 0 && config.discard == DiscardPolicy::Old,
            "max_bytes is set together with discard old, which would delete plugins",
        ),
    ];
    match broken.iter().find(|(is_broken, _)| *is_broken) {
        Some((_, why)) => Err(FleetError::Refused(format!(
            "the bucket {} cannot hold plugins: {why}; change its stream",
            bucket.name
        ))),
        None => Ok(()),
    }
}
