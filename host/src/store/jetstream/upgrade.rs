//! Brings a stream that stands to what the service makes today. The one thing that changes
//! a stream, and only when asked.

use async_nats::jetstream::Context;
use serde_json::{Value, json};

use super::api;
use super::stream::{EventStream, StreamError, StreamLayout, find};
use crate::name::Name;

/// What an upgrade changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// The stream.
    pub stream: String,
    /// Setting, value before, value after.
    pub changes: Vec<(String, Value, Value)>,
}

/// Allows atomic batches and direct reads, and sets the subjects of `layout`.
///
/// # Errors
/// [`StreamError`] where there is no such stream, where it breaks promises that an upgrade
/// does not touch, or where JetStream refuses.
pub async fn upgrade(
    context: &Context,
    domain: &Name,
    name: &str,
    layout: StreamLayout,
) -> Result<Upgrade, StreamError> {
    let Some(mut config) = find(context, name).await? else {
        return Err(StreamError::Refused(
            name.to_owned(),
            "there is no such stream: the service makes it at its first start".into(),
        ));
    };
    let wanted =
        [("subjects", json!(layout.subjects(domain))), ("allow_atomic", json!(true)), ("allow_direct", json!(true))];
    let mut changes = Vec::new();
    for (setting, after) in wanted {
        let before = config.get(setting).cloned().unwrap_or(Value::Bool(false));
        if !same(&before, &after) {
            config[setting] = after.clone();
            changes.push((setting.to_owned(), before, after));
        }
    }
    EventStream::adopt(domain, &config)?;
    if !changes.is_empty() {
        api(context, format!("STREAM.UPDATE.{name}"), &config)
            .await
            .map_err(|error| StreamError::Refused(name.to_owned(), error.to_string()))?;
    }
    Ok(Upgrade { stream: name.to_owned(), changes })
}

/// Whether two values are the same, whatever the order of a list.
fn same(one: &Value, other: &Value) -> bool {
    match (one.as_array(), other.as_array()) {
        (Some(one), Some(other)) => one.len() == other.len() && one.iter().all(|item| other.contains(item)),
        _ => one == other,
    }
}
