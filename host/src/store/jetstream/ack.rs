//! What JetStream's answer to a publish means for the one who sent it.

use async_nats::client::{PublishError, PublishErrorKind};
use async_nats::{Message, StatusCode};
use serde::Deserialize;

use super::code;
use crate::store::AppendError;

/// A message that JetStream stored, or says it has.
#[derive(Debug)]
pub(super) struct Ack {
    /// The stream that stored it.
    pub(super) stream: String,
    /// The JetStream domain of that stream.
    pub(super) domain: String,
    /// Its position; of a batch, the last one's.
    pub(super) sequence: u64,
    /// Whether nothing was stored because the message id is known.
    pub(super) duplicate: bool,
    /// Messages of a batch, 0 where it was none.
    count: usize,
}

impl Ack {
    /// The first sequence of `count` messages that were sent to be stored all or none.
    ///
    /// # Errors
    /// Where something else was acknowledged than these.
    pub(super) fn first_of(&self, count: usize) -> Result<u64, AppendError> {
        let all = count == 1 || count == self.count;
        let first = (self.sequence + 1).checked_sub(count as u64).filter(|_| all);
        first.ok_or_else(|| {
            let Self { stream, sequence, .. } = self;
            AppendError::Unknown(format!(
                "a batch of {count} events was acknowledged as {} by stream `{stream}` at sequence {sequence}",
                self.count
            ))
        })
    }
}

/// What JetStream says of a publish.
pub(super) type Answered = Result<Ack, AppendError>;

/// What comes back: an acknowledgement, or the error in its place.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    stream: Option<String>,
    #[serde(default)]
    domain: String,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    #[serde(default)]
    count: usize,
    error: Option<ApiRefusal>,
}

#[derive(Deserialize)]
struct ApiRefusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// Reads the answer to a publish.
pub(super) fn read(answer: &Message) -> Answered {
    match answer.status {
        Some(StatusCode::NO_RESPONDERS) => Err(no_stream()),
        _ => parse(&answer.payload),
    }
}

fn parse(payload: &[u8]) -> Answered {
    match serde_json::from_slice(payload) {
        Ok(Answer { error: Some(error), .. }) => Err(refused(&error)),
        Ok(Answer { stream: Some(stream), domain, seq: sequence, duplicate, count, .. }) => {
            Ok(Ack { stream, domain, sequence, duplicate, count })
        }
        _ => Err(AppendError::Unknown("JetStream's acknowledgement cannot be read".into())),
    }
}

fn refused(error: &ApiRefusal) -> AppendError {
    let ApiRefusal { err_code, description } = error;
    match *err_code {
        code::WRONG_LAST_SEQUENCE | code::WRONG_LAST_SEQUENCE_CONSTANT | code::DUPLICATE_IN_PROCESS => {
            AppendError::Conflict { last: last_told(description) }
        }
        code::BATCH_DUPLICATE_ID => AppendError::AlreadyStored,
        code::MESSAGE_TOO_LARGE => {
            AppendError::Unstorable(format!("an event is larger than the stream takes: {description} ({err_code})"))
        }
        code::BATCH_NOT_ALLOWED => not_atomic(),
        _ => AppendError::Unavailable(format!("JetStream does not store: {description} ({err_code})")),
    }
}

/// The sequence that a refusal names, as in "wrong last sequence: 41". No promise of the server: where
/// it says something else, the leader is asked.
fn last_told(description: &str) -> Option<u64> {
    description.rsplit(": ").next().and_then(|last| last.parse().ok())
}

/// Several events cannot be stored all or none.
pub(super) fn not_atomic() -> AppendError {
    AppendError::Unavailable(
        "the command leads to several events, and the stream does not have allow_atomic: run `agent-service stream upgrade`".into(),
    )
}

/// There is nothing to send.
pub(super) fn no_events() -> AppendError {
    AppendError::Unstorable("there are no events to store".into())
}

/// No answer came in time.
pub(super) fn overdue() -> AppendError {
    let why =
        "JetStream did not acknowledge in time: send the command again with the same Nats-Msg-Id to learn its outcome";
    AppendError::Unknown(why.into())
}

/// Nothing takes what was published.
fn no_stream() -> AppendError {
    AppendError::Unavailable("no stream takes the domain's events: was it deleted?".into())
}

/// Reads the failure to send at all.
pub(super) fn not_sent(error: &PublishError) -> AppendError {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => {
            AppendError::Unstorable("an event is larger than the server's max_payload".into())
        }
        PublishErrorKind::InvalidSubject => AppendError::Unstorable(error.to_string()),
        PublishErrorKind::Send => AppendError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(json: &str) -> Result<u64, AppendError> {
        parse(json.as_bytes()).map(|ack| ack.sequence)
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(outcome(r#"{"stream":"S","seq":7,"domain":"hub"}"#), Ok(7));
        let conflict =
            r#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"},"stream":"S","seq":0}"#;
        assert_eq!(outcome(conflict), Err(AppendError::Conflict { last: Some(3) }));
        let constant = r#"{"error":{"code":400,"err_code":10164,"description":"wrong last sequence"}}"#;
        assert_eq!(outcome(constant), Err(AppendError::Conflict { last: None }));
        assert_eq!(
            outcome(r#"{"error":{"err_code":10201,"description":"duplicate"}}"#),
            Err(AppendError::AlreadyStored)
        );
        assert!(matches!(
            outcome(r#"{"error":{"err_code":10077,"description":"full"}}"#),
            Err(AppendError::Unavailable(_))
        ));
        assert!(matches!(
            outcome(r#"{"error":{"err_code":10054,"description":"big"}}"#),
            Err(AppendError::Unstorable(_))
        ));
        assert!(matches!(outcome("{}"), Err(AppendError::Unknown(_))));
        assert!(matches!(outcome("hello"), Err(AppendError::Unknown(_))));
    }

    #[test]
    fn a_batch_counts_only_if_all_of_it_was_acknowledged() {
        let first_of = |json: &str, count| parse(json.as_bytes()).and_then(|ack| ack.first_of(count));
        assert_eq!(first_of(r#"{"stream":"S","seq":7}"#, 1), Ok(7));
        assert_eq!(first_of(r#"{"stream":"S","seq":7,"batch":"b","count":3}"#, 3), Ok(5));
        for other in
            [r#"{"stream":"S","seq":7}"#, r#"{"stream":"S","seq":7,"count":2}"#, r#"{"stream":"S","seq":1,"count":3}"#]
        {
            assert!(matches!(first_of(other, 3), Err(AppendError::Unknown(_))), "{other}");
        }
    }
}
