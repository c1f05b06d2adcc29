//! What JetStream tells of itself and of its streams, as it tells it. Judges nothing and changes
//! nothing.

use async_nats::jetstream::Context;
use serde_json::{Value, json};

use super::{ApiError, api, code};

/// Why JetStream tells nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// There is none, for the server or for the account.
    #[error("{0}")]
    None(String),
    /// It does not answer, or refuses to.
    #[error("{0}")]
    Silent(String),
}

/// The account: what it has, and what it may have.
///
/// # Errors
/// [`LookError`] where there is no answer.
pub async fn account(context: &Context) -> Result<Value, LookError> {
    api(context, "INFO".into(), &json!({})).await.map_err(LookError::from)
}

/// A stream: its settings, its state, its cluster. `None` where there is none.
///
/// # Errors
/// [`LookError`] where there is no answer.
pub async fn stream(context: &Context, name: &str) -> Result<Option<Value>, LookError> {
    match api(context, format!("STREAM.INFO.{name}"), &json!({})).await {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.is(code::STREAM_NOT_FOUND) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The names of the streams that capture a subject, or a part of it.
///
/// # Errors
/// [`LookError`] where there is no answer.
pub async fn capturing(context: &Context, subject: &str) -> Result<Vec<String>, LookError> {
    let answer = api(context, "STREAM.NAMES".into(), &json!({"subject": subject})).await?;
    let names = answer.get("streams").and_then(Value::as_array).into_iter().flatten();
    Ok(names.filter_map(Value::as_str).map(str::to_owned).collect())
}

impl From<ApiError> for LookError {
    fn from(error: ApiError) -> Self {
        let none = error.is(code::JETSTREAM_NOT_ENABLED)
            || error.is(code::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT)
            || matches!(error, ApiError::Unreachable(_));
        if none { Self::None(error.to_string()) } else { Self::Silent(error.to_string()) }
    }
}
