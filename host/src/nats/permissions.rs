//! What the server refuses this process for want of a permission: told in the log, and to whoever would
//! wait in vain for an answer. All connections of a process are the same user's, so there is one place for
//! all of them. Knows nothing of what is asked.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Refusals that wait to be heard by whoever asked; each asks for little at a time.
const WAITING_MAX: usize = 64;
/// Refusals that are told apart in the log: clients choose the subjects of replies.
const TOLD_MAX: usize = 64;

static REFUSALS: LazyLock<broadcast::Sender<Refusal>> = LazyLock::new(|| broadcast::Sender::new(WAITING_MAX));
static TOLD: Mutex<BTreeSet<Refusal>> = Mutex::new(BTreeSet::new());

/// Something that our user may not do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    right: Right,
    subject: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Right {
    Publish,
    Subscribe,
}

impl Refusal {
    /// Reads the server's words; `None` where they say something else.
    fn read(error: &str) -> Option<Self> {
        let rest = error.trim_start_matches("nats: ").strip_prefix("Permissions Violation for ")?;
        let (right, rest) = match (rest.strip_prefix("Publish to "), rest.strip_prefix("Subscription to ")) {
            (Some(rest), _) => (Right::Publish, rest),
            (_, Some(rest)) => (Right::Subscribe, rest),
            _ => return None,
        };
        Some(Self { right, subject: rest.split('"').nth(1)?.to_owned() })
    }

    /// Whether answers that come to an inbox are refused as a whole, or something with this in its subject.
    fn concerns(&self, part: &str) -> bool {
        (self.right == Right::Subscribe && self.subject.starts_with('_')) || self.subject.contains(part)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let right = match self.right {
            Right::Publish => "publish",
            Right::Subscribe => "subscribe",
        };
        write!(
            f,
            "NATS refuses it: this user may not {right} to `{}`; docs/permissions.md lists what each role needs",
            self.subject
        )
    }
}

impl std::error::Error for Refusal {}

/// Takes note of what the server says; whether it was a refusal.
pub(super) fn heard(error: &str) -> bool {
    let Some(refusal) = Refusal::read(error) else { return false };
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.len() < TOLD_MAX && told.insert(refusal.clone()) {
        tracing::error!("{refusal}");
    } else {
        tracing::debug!("{refusal}");
    }
    pass_on(refusal);
    true
}

/// Takes note of what the server says, where somebody else tells it.
pub(super) fn overheard(error: &str) {
    if let Some(refusal) = Refusal::read(error) {
        pass_on(refusal);
    }
}

fn pass_on(refusal: Refusal) {
    // Nobody may be waiting.
    let _ = REFUSALS.send(refusal);
}

/// What was refused is told anew from here on: another connection may have other rights.
pub(super) fn begin_anew() {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// Does what waits for an answer, but no longer than until the server refuses something on whose subject
/// `part` is, or the way by which answers come.
///
/// # Errors
/// [`Refusal`] where it does.
pub async fn unless_refused<T>(part: &str, work: impl Future<Output = T>) -> Result<T, Refusal> {
    let mut refusals = REFUSALS.subscribe();
    let refused = async {
        loop {
            match refusals.recv().await {
                Ok(refusal) if refusal.concerns(part) => return refusal,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    tokio::select! {
        biased;
        done = work => Ok(done),
        refusal = refused => Err(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_are_understood() {
        let publish = Refusal::read("Permissions Violation for Publish to \"$JS.API.INFO\"").expect("a refusal");
        assert_eq!((publish.right, publish.subject.as_str()), (Right::Publish, "$JS.API.INFO"));
        let queue =
            "nats: Permissions Violation for Subscription to \"agent.commands.>\" using queue \"agent-workers\"";
        let subscribe = Refusal::read(queue).expect("a refusal");
        assert_eq!((subscribe.right, subscribe.subject.as_str()), (Right::Subscribe, "agent.commands.>"));
        let told = subscribe.to_string();
        assert!(
            told.contains("may not subscribe to `agent.commands.>`") && told.contains("docs/permissions.md"),
            "{told}"
        );
        for other in ["Authorization Violation", "Permissions Violation for Publish", "Stale Connection"] {
            assert_eq!(Refusal::read(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_refusal_ends_what_it_concerns_and_nothing_else() {
        let asked = unless_refused(".API.STREAM.INFO.A", async {
            heard("Permissions Violation for Publish to \"$JS.API.STREAM.INFO.B\"");
            tokio::task::yield_now().await;
            7
        });
        assert_eq!(asked.await, Ok(7));
        for subject in ["Publish to \"$JS.API.STREAM.INFO.A\"", "Subscription to \"_INBOX.x.*\""] {
            let asked = unless_refused(".API.STREAM.INFO.A", async {
                heard(&format!("Permissions Violation for {subject}"));
                std::future::pending::<()>().await;
            });
            assert!(asked.await.is_err(), "{subject}");
        }
    }
}
