//! The stream of a domain's events: made with the defaults where there is none, else adopted
//! as it stands after an audit. Nothing here ever changes or deletes a stream.

use std::time::Duration;

use async_nats::jetstream::Context;
use serde_json::{Value, json};

use super::sharing::Sharing;
use super::stream_audit::{Violation, audit};
use super::{ApiError, api, code};
use crate::name::{Name, Subjects, snapshot_bucket_of};

/// JetStream's own default for remembering message ids.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Which subjects a stream that the host makes has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamLayout {
    /// Events only.
    #[default]
    Split,
    /// Commands and events. JetStream then answers every command with an acknowledgement
    /// of its own before the host does.
    Combined,
}

impl StreamLayout {
    /// The subjects of a domain's stream.
    pub fn subjects(self, domain: &Name) -> Vec<String> {
        let subjects = Subjects::new(domain);
        match self {
            Self::Split => vec![subjects.events()],
            Self::Combined => vec![subjects.commands(), subjects.events()],
        }
    }
}

/// How a stream is made where there is none.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// Its name.
    pub name: String,
    /// Its subjects.
    pub layout: StreamLayout,
    /// How many servers keep it.
    pub replicas: usize,
    /// After what time events leave it, `None` for never.
    pub age_max: Option<Duration>,
}

/// A stream that holds what is promised of it.
#[derive(Debug, Clone)]
pub struct EventStream {
    /// Its name.
    pub name: String,
    /// Whether several events can be stored all or none.
    pub atomic: bool,
    /// Whether several commands of several events may share the cost of that.
    pub(super) sharing: Sharing,
    /// Whether reads may be served without the leader.
    pub direct: bool,
    /// Whether it captures commands as well.
    pub captures_commands: bool,
    /// After what time events leave it.
    pub age_max: Option<Duration>,
}

impl EventStream {
    /// Finds the stream, or makes it.
    ///
    /// # Errors
    /// [`StreamError`] where its settings break a promise, where snapshots outlived it, or
    /// where JetStream refuses.
    pub async fn open(context: &Context, domain: &Name, settings: &StreamSettings) -> Result<Self, StreamError> {
        if let Some(stands) = Self::find(context, domain, &settings.name).await? {
            return Ok(stands);
        }
        match api(context, format!("STREAM.CREATE.{}", settings.name), &definition(domain, settings)).await {
            Ok(made) => {
                tracing::info!(stream = settings.name, %domain, "stream made");
                Self::adopt(domain, made.get("config").unwrap_or(&Value::Null))
            }
            // Another host was faster, with other settings: what stands is adopted.
            Err(error) if error.is(code::STREAM_NAME_IN_USE) => match find(context, &settings.name).await? {
                Some(config) => Self::adopt(domain, &config),
                None => Err(StreamError::Refused(settings.name.clone(), error.to_string())),
            },
            Err(error) => Err(StreamError::of(&settings.name, error)),
        }
    }

    /// Finds the stream, and makes nothing where there is none.
    ///
    /// # Errors
    /// [`StreamError`] where its settings break a promise, where snapshots outlived it, or
    /// where JetStream refuses.
    pub async fn find(context: &Context, domain: &Name, name: &str) -> Result<Option<Self>, StreamError> {
        if let Some(config) = find(context, name).await? {
            return Self::adopt(domain, &config).map(Some);
        }
        if count(context, &format!("KV_{}", snapshot_bucket_of(domain))).await? > 0 {
            return Err(StreamError::Lost { stream: name.to_owned(), bucket: snapshot_bucket_of(domain) });
        }
        Ok(None)
    }

    /// Whether commands of several events may share batches, by the server that leads the stream.
    pub fn shares_batches(&self) -> bool {
        self.sharing != Sharing::Never
    }

    /// Reads the settings of a stream that stands.
    pub(super) fn adopt(domain: &Name, config: &Value) -> Result<Self, StreamError> {
        let name = config.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let violations = audit(domain, config);
        if !violations.is_empty() {
            return Err(StreamError::BrokenPromise { stream: name, violations });
        }
        let flag = |name: &str| config.get(name).and_then(Value::as_bool).unwrap_or(false);
        let commands = Subjects::new(domain).commands();
        Ok(Self {
            atomic: flag("allow_atomic"),
            sharing: Sharing::of(config),
            direct: flag("allow_direct"),
            captures_commands: subjects(config).any(|subject| subject == commands),
            age_max: match config.get("max_age").and_then(Value::as_u64) {
                None | Some(0) => None,
                Some(nanos) => Some(Duration::from_nanos(nanos)),
            },
            name,
        })
    }
}

/// The subjects in a stream's configuration.
pub(super) fn subjects(config: &Value) -> impl Iterator<Item = &str> {
    config.get("subjects").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The configuration of a stream, where it stands.
pub(super) async fn find(context: &Context, name: &str) -> Result<Option<Value>, StreamError> {
    match api(context, format!("STREAM.INFO.{name}"), &json!({})).await {
        Ok(mut info) => Ok(info.get_mut("config").map(Value::take)),
        Err(error) if error.is(code::STREAM_NOT_FOUND) => Ok(None),
        Err(error) => Err(StreamError::of(name, error)),
    }
}

/// How many messages a stream holds, 0 where there is none.
async fn count(context: &Context, name: &str) -> Result<u64, StreamError> {
    match api(context, format!("STREAM.INFO.{name}"), &json!({})).await {
        Ok(info) => Ok(info.pointer("/state/messages").and_then(Value::as_u64).unwrap_or_default()),
        Err(error) if error.is(code::STREAM_NOT_FOUND) => Ok(0),
        Err(error @ (ApiError::Unreachable(_) | ApiError::Silent(_))) => Err(StreamError::of(name, error)),
        // Without the permission to look there is nothing to conclude.
        Err(_) => Ok(0),
    }
}

fn definition(domain: &Name, settings: &StreamSettings) -> Value {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    json!({
        "name": settings.name,
        "description": format!("events of the domain {domain}"),
        "subjects": settings.layout.subjects(domain),
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_consumers": -1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": settings.age_max.map_or(0, nanos),
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "num_replicas": settings.replicas,
        "duplicate_window": nanos(settings.age_max.map_or(DUPLICATE_WINDOW, |age| age.min(DUPLICATE_WINDOW))),
        "allow_direct": true,
        "allow_atomic": true,
    })
}

/// Why there is no stream to serve from.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StreamError {
    /// Its settings break promises of the service.
    #[error("stream {stream} cannot hold events: {}", violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    BrokenPromise {
        /// The stream.
        stream: String,
        /// What is wrong with it.
        violations: Vec<Violation>,
    },
    /// There are snapshots, but no stream.
    #[error(
        "bucket {bucket} holds snapshots, but their stream {stream} is gone: restore the stream from a backup, or delete the bucket to begin anew"
    )]
    Lost {
        /// The stream.
        stream: String,
        /// The bucket.
        bucket: String,
    },
    /// JetStream refuses.
    #[error("stream {0}: {1}")]
    Refused(String, String),
    /// JetStream does not answer in time.
    #[error("stream {0}: {1}: has it lost its leader, and may this user use it?")]
    Silent(String, String),
}

impl StreamError {
    fn of(name: &str, error: ApiError) -> Self {
        match error {
            ApiError::Silent(_) => Self::Silent(name.to_owned(), error.to_string()),
            _ => Self::Refused(name.to_owned(), error.to_string()),
        }
    }
}
