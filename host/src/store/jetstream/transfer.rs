//! A stream as a whole, out of the server and into it, through JetStream's own snapshots of
//! streams. Passes bytes on as they come and does not look into them.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::{Client, Message, Request, RequestError, RequestErrorKind};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};

use super::{ApiError, api, code};

/// Bytes of one piece; a server's least sensible `max_payload` lets it through.
const CHUNK_BYTES: usize = 128 << 10;
/// Bytes that the server sends ahead of our acknowledgements: far below what the connection buffers.
const WINDOW_BYTES: usize = 4 << 20;
/// How long the next piece, or the server's word that it took one, may take.
const NEXT_MAX: Duration = Duration::from_secs(30);
/// How long the server that takes a stream may be unknown to ours: in a cluster the two tell one another after
/// the answer that names where it takes it.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);
/// Between two tries until then.
const KNOWN_PAUSE: Duration = Duration::from_millis(50);
/// How long the server may take to make a stream of what it has got.
const RESTORE_MAX: Duration = Duration::from_secs(3_600);
/// Pages of streams that are looked at, of 256 or so each.
const PAGES_MAX: usize = 1_000;

/// A stream as the server describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct StandingStream {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub config: Value,
    /// Its state.
    pub state: Value,
}

/// Why a stream did not pass.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// JetStream cannot be reached, or stopped answering.
    #[error("stream {stream}: {why}")]
    Unavailable {
        /// The stream.
        stream: String,
        /// In words.
        why: String,
    },
    /// JetStream refuses.
    #[error("stream {stream}: {why}")]
    Refused {
        /// The stream.
        stream: String,
        /// In JetStream's words.
        why: String,
    },
    /// JetStream refuses to begin a restore, or finds at its end that the stream stands: what stands is
    /// somebody else's.
    #[error("stream {stream}: {why}")]
    NotMade {
        /// The stream.
        stream: String,
        /// In JetStream's words.
        why: String,
    },
    /// The file at our end.
    #[error("stream {stream}: its file cannot be read or written: {source}")]
    File {
        /// The stream.
        stream: String,
        /// Why.
        source: std::io::Error,
    },
}

/// JetStream's code for a restore whose stream stands.
const STREAM_STANDS: u64 = 10_130;

/// All streams that stand, in the order of their names.
///
/// # Errors
/// [`TransferError`] where JetStream does not tell.
pub async fn standing_streams(context: &Context) -> Result<Vec<StandingStream>, TransferError> {
    let mut standing: Vec<StandingStream> = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = api(context, "STREAM.LIST".into(), &json!({"offset": standing.len()})).await;
        let page = page.map_err(|error| failed("", &error))?;
        let streams = page.get("streams").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for info in streams {
            let config = info.get("config").cloned().unwrap_or_default();
            let name = config.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            standing.push(StandingStream { name, config, state: info.get("state").cloned().unwrap_or_default() });
        }
        if let Some(name) = page.get("missing").and_then(Value::as_array).and_then(|missing| missing.first()) {
            return Err(unavailable(
                name.as_str().unwrap_or_default(),
                &"it does not tell of itself: has it a leader?",
            ));
        }
        let total = page.get("total").and_then(Value::as_u64).unwrap_or_default();
        if streams.is_empty() || standing.len() as u64 >= total {
            break;
        }
    }
    standing.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(standing)
}

/// Copies a stream as it is at this moment, with its consumers, into `sink`; gives its configuration
/// and state. `progress` hears how many bytes have come.
///
/// # Errors
/// [`TransferError`]; what is in `sink` then is of no use.
pub async fn fetch_stream(
    client: &Client,
    context: &Context,
    stream: &str,
    sink: &mut impl Write,
    progress: &dyn Fn(u64),
) -> Result<(Value, Value), TransferError> {
    let inbox = client.new_inbox();
    let mut pieces = client.subscribe(inbox.clone()).await.map_err(|error| unavailable(stream, &error))?;
    let asked = json!({"deliver_subject": inbox, "chunk_size": CHUNK_BYTES, "window_size": WINDOW_BYTES});
    let answer = api(context, format!("STREAM.SNAPSHOT.{stream}"), &asked).await;
    let mut answer = answer.map_err(|error| failed(stream, &error))?;
    let mut received = 0;
    loop {
        let piece = tokio::time::timeout(NEXT_MAX, pieces.next()).await;
        let Ok(Some(piece)) = piece else { return Err(unavailable(stream, &"the server stopped sending")) };
        if piece.payload.is_empty() {
            if let Some(status) = piece.status.filter(|status| status.as_u16() != 204) {
                let why = piece.description.map_or_else(String::new, |why| why.to_string());
                return Err(TransferError::Refused { stream: stream.to_owned(), why: format!("{status} {why}") });
            }
            break;
        }
        let written = sink.write_all(&piece.payload);
        written.map_err(|source| TransferError::File { stream: stream.to_owned(), source })?;
        received += piece.payload.len() as u64;
        progress(received);
        if let Some(reply) = piece.reply {
            client.publish(reply, Bytes::new()).await.map_err(|error| unavailable(stream, &error))?;
        }
    }
    let mut take = |name: &str| answer.get_mut(name).map(Value::take).unwrap_or_default();
    Ok((take("config"), take("state")))
}

/// Makes a stream of what [`fetch_stream`] gave; gives its state. The stream must not stand.
/// `progress` hears how many bytes have gone.
///
/// # Errors
/// [`TransferError`]; a part of the stream may stand then.
pub async fn restore_stream(
    client: &Client,
    context: &Context,
    stream: &str,
    described: (&Value, &Value),
    source: &mut impl Read,
    progress: &dyn Fn(u64),
) -> Result<Value, TransferError> {
    let (config, state) = described;
    let answer = api(context, format!("STREAM.RESTORE.{stream}"), &json!({"config": config, "state": state})).await;
    let not_made = |why: String| TransferError::NotMade { stream: stream.to_owned(), why };
    let answer = answer.map_err(|error| match error {
        ApiError::Refused { .. } => not_made(error.to_string()),
        other => failed(stream, &other),
    })?;
    let Some(deliver) = answer.get("deliver_subject").and_then(Value::as_str) else {
        return Err(unavailable(stream, &"the server does not say where it takes the stream"));
    };
    let mut piece = vec![0; CHUNK_BYTES.min(client.max_payload())];
    let mut sent = 0;
    loop {
        let read =
            fill(source, &mut piece).map_err(|source| TransferError::File { stream: stream.to_owned(), source })?;
        let payload = Bytes::copy_from_slice(&piece[..read]);
        // The empty piece is the last, and its answer comes when the stream stands.
        let patience = if read == 0 { RESTORE_MAX } else { NEXT_MAX };
        let answer = send_piece(client, deliver, &payload, patience).await;
        let answer = answer.map_err(|error| unavailable(stream, &error))?.payload;
        let answer: Value = match answer.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&answer).map_err(|error| unavailable(stream, &error))?,
        };
        if let Some(error) = answer.get("error") {
            let why = error.get("description").and_then(Value::as_str).unwrap_or("no description").to_owned();
            return Err(match error.get("err_code").and_then(Value::as_u64) {
                Some(STREAM_STANDS) => not_made(why),
                _ => TransferError::Refused { stream: stream.to_owned(), why },
            });
        }
        if read == 0 {
            return Ok(answer.get("state").cloned().unwrap_or_default());
        }
        sent += read as u64;
        progress(sent);
    }
}

/// Sends a piece to whoever takes it. Where nobody is known who does, nobody has got it.
async fn send_piece(
    client: &Client,
    deliver: &str,
    piece: &Bytes,
    patience: Duration,
) -> Result<Message, RequestError> {
    let known_until = Instant::now() + KNOWN_WITHIN;
    loop {
        let request = Request::new().payload(piece.clone()).timeout(Some(patience));
        match client.send_request(deliver.to_owned(), request).await {
            Err(error) if error.kind() == RequestErrorKind::NoResponders && Instant::now() < known_until => {
                tokio::time::sleep(KNOWN_PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// Deletes a stream with all that is in it; one that does not stand is as good as deleted.
///
/// # Errors
/// [`TransferError`] where JetStream refuses.
pub async fn delete_stream(context: &Context, stream: &str) -> Result<(), TransferError> {
    match api(context, format!("STREAM.DELETE.{stream}"), &json!({})).await {
        Ok(_) => Ok(()),
        Err(error) if error.is(code::STREAM_NOT_FOUND) => Ok(()),
        Err(error) => Err(failed(stream, &error)),
    }
}

/// Reads as much as fits, less at the end only.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn unavailable(stream: &str, why: &dyn std::fmt::Display) -> TransferError {
    TransferError::Unavailable { stream: stream.to_owned(), why: why.to_string() }
}

fn failed(stream: &str, error: &ApiError) -> TransferError {
    match error {
        ApiError::Unreachable(_) | ApiError::Silent(_) => unavailable(stream, error),
        ApiError::NotPermitted(_) | ApiError::Refused { .. } => {
            TransferError::Refused { stream: stream.to_owned(), why: error.to_string() }
        }
    }
}
