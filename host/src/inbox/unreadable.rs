//! Messages that the client library cannot read: it ends the connection that brings them, so the
//! consumer could deliver nothing behind them. They are looked at where the server shows their
//! bytes as text, and removed. Knows nothing of commands.

use std::str::FromStr;

use async_nats::{HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::streams::{ApiError, InboxError, Standing, UNACKNOWLEDGED_MAX, api};
use crate::nats::JetStream;

/// How a block of headers begins.
const VERSION: &str = "NATS/1.0";
/// How it ends, and where the server puts in its own.
const END: &[u8] = b"\r\n\r\n";
/// JetStream's error code for a message that is not there.
const NO_MESSAGE: u64 = 10_037;

/// A message that was removed.
pub(super) struct Removed {
    pub(super) sequence: u64,
    pub(super) subject: String,
    pub(super) why: &'static str,
}

/// Removes what cannot be read among all that the consumer may have delivered.
///
/// # Errors
/// [`InboxError`] where the server does not show or remove a message.
pub(super) async fn remove(context: &JetStream, standing: &Standing) -> Result<Vec<Removed>, InboxError> {
    let inbox = &standing.inbox;
    let refused = |error: ApiError| InboxError::new(inbox, format!("a message cannot be looked at: {error}"));
    let mut removed = Vec::new();
    let mut from = 1;
    for _ in 0..UNACKNOWLEDGED_MAX {
        let request = json!({"seq": from, "next_by_subj": ">"});
        let mut shown = match api(context, format!("STREAM.MSG.GET.{inbox}"), &request).await {
            Err(error) if error.code == NO_MESSAGE => break,
            shown => shown.map_err(refused)?,
        };
        let message = Shown::deserialize(shown["message"].take())
            .map_err(|error| InboxError::new(inbox, format!("the server shows a message in another shape: {error}")))?;
        from = message.seq + 1;
        if let Some(why) = message.unreadable() {
            match api(context, format!("STREAM.MSG.DELETE.{inbox}"), &json!({"seq": message.seq})).await {
                // Another host was first.
                Err(error) if error.code == NO_MESSAGE => continue,
                done => done.map_err(refused)?,
            };
            removed.push(Removed { sequence: message.seq, subject: message.subject, why });
        }
    }
    Ok(removed)
}

/// A message as the server shows it.
#[derive(Deserialize)]
struct Shown {
    seq: u64,
    subject: String,
    #[serde(default)]
    hdrs: String,
}

impl Shown {
    fn unreadable(&self) -> Option<&'static str> {
        // What is not UTF-8 is shown as U+FFFD. The client library parts the line at any of these.
        if self.subject.contains(|c: char| c.is_whitespace() || c == char::REPLACEMENT_CHARACTER) {
            return Some("its subject has blanks, or is not UTF-8");
        }
        if self.hdrs.is_empty() {
            return None;
        }
        STANDARD.decode(&self.hdrs).map_or(Some("its headers are not shown in base64"), |block| unreadable(&block))
    }
}

/// What keeps the client library from reading a block of headers as those of a message.
fn unreadable(block: &[u8]) -> Option<&'static str> {
    if !block.ends_with(END) {
        return Some("its headers do not end with an empty line");
    }
    let Ok(text) = std::str::from_utf8(block) else { return Some("its headers are not UTF-8") };
    let mut lines = text.lines().peekable();
    match lines.next().and_then(|line| line.strip_prefix(VERSION)) {
        Some(status) if status.trim().is_empty() => {}
        _ => return Some("its headers do not begin with NATS/1.0 alone"),
    }
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let Some((name, value)) = line.split_once(':') else { return Some("a header has no colon") };
        let mut value = value.trim_start().to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(more);
        }
        if HeaderName::from_str(name).is_err() {
            return Some("a header's name has forbidden characters");
        }
        if HeaderValue::from_str(value.trim_end()).is_err() {
            return Some("a header's value has a lone carriage return");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_writes_is_readable() {
        for headers in
            ["", "Agent-Actor: alice\r\n", "A: b\r\nA:c\r\n", "Long: one\r\n two\r\n", "Empty:\r\n", "A: ü\r\n"]
        {
            let block = format!("NATS/1.0\r\n{headers}\r\n");
            assert_eq!(unreadable(block.as_bytes()), None, "{headers:?}");
        }
    }

    #[test]
    fn what_ends_a_connection_is_not() {
        let blocks: [&[u8]; 9] = [
            b"NATS/1.0\r\nA:\r\n\rfoo\r\n\r\n",
            b"NATS/1.0\r\nAgent-Actor: a\rb\r\n\r\n",
            b"NATS/1.0\r\nAgent-Actor: \xff\xfe\r\n\r\n",
            b"NATS/1.0\r\nno colon\r\n\r\n",
            b"NATS/1.0\r\nbad name: x\r\n\r\n",
            b"NATS/1.0 503\r\n\r\n",
            b"HTTP/1.1\r\n\r\n",
            b"NATS/1.0\r\nA: b",
            b"NATS/1.0\r\nA: b\r\n",
        ];
        for block in blocks {
            assert!(unreadable(block).is_some(), "{}", block.escape_ascii());
        }
    }
}
