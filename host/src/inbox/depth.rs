//! How much a durable lane holds: commands that wait, and commands that were parked.

use serde_json::{Value, json};

use super::streams::{STREAM_NOT_FOUND, api};
use crate::name::{Name, dead_stream_of, inbox_stream_of};
use crate::nats::JetStream;

/// Messages in the streams of a durable lane, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Commands that are not yet done.
    pub inbox: Option<u64>,
    /// Commands that were given up on.
    pub dead: Option<u64>,
}

/// Looks at both streams. One that nobody has made yet holds nothing.
pub async fn depth(context: &JetStream, domain: &Name) -> Depth {
    let (inbox, dead) = (inbox_stream_of(domain), dead_stream_of(domain));
    let (inbox, dead) = futures::join!(messages(context, &inbox), messages(context, &dead));
    Depth { inbox, dead }
}

async fn messages(context: &JetStream, stream: &str) -> Option<u64> {
    match api(context, format!("STREAM.INFO.{stream}"), &json!({})).await {
        Ok(info) => info.pointer("/state/messages").and_then(Value::as_u64),
        Err(error) if error.code == STREAM_NOT_FOUND => Some(0),
        Err(_) => None,
    }
}
