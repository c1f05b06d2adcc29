//! Where acknowledgements arrive: each append has a reply subject of its own under one inbox, so
//! that an append that is acknowledged twice is noticed. Knows nothing of what is appended.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_nats::{Client, SubscribeError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::ack::{self, Answered};
use super::inbox;

/// Appends whose time was up, and whose acknowledgement may still come; the oldest are forgotten.
const OVERDUE_MAX: usize = 4_096;

/// What comes for an append that has been answered, or given up.
pub(super) enum Surplus {
    /// The first acknowledgement, after a refusal or after the time for it was up.
    Late(Answered),
    /// Another one.
    Again(Answered),
}

/// The inbox of one connection.
pub(super) struct Acks {
    inbox: String,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    next: u64,
    /// Numbers below this one are forgotten.
    forgotten: u64,
    /// Appends without an acknowledgement; `None` where nobody waits for it any more.
    waiting: BTreeMap<u64, Option<oneshot::Sender<Answered>>>,
    overdue: VecDeque<u64>,
}

/// An acknowledgement that is waited for. One that is dropped may still come.
pub(super) struct Pending {
    /// The subject it is to be sent to.
    pub(super) reply: String,
    pub(super) answer: oneshot::Receiver<Answered>,
    number: u64,
    open: Weak<Mutex<Open>>,
}

impl Acks {
    /// Subscribes to an inbox; `surplus` is given what comes for an append that has been answered.
    pub(super) async fn open(
        client: &Client,
        runtime: &Handle,
        surplus: impl Fn(Surplus) + Send + 'static,
    ) -> Result<Self, SubscribeError> {
        let open = Arc::new(Mutex::new(Open::default()));
        let (arriving, ended) = (Arc::clone(&open), Arc::clone(&open));
        let arrived = move |number, message| {
            let answer = ack::read(&message);
            let unclaimed = lock(&arriving).arrived(number, answer);
            unclaimed.into_iter().for_each(&surplus);
        };
        // Whoever waits when the connection has ended for good is told by that.
        let inbox = inbox::subscribe(client, runtime, arrived, move || lock(&ended).waiting.clear()).await?;
        Ok(Self { inbox, open })
    }

    /// A reply subject of its own, and what will come there.
    pub(super) fn expect(&self) -> Pending {
        let (sender, answer) = oneshot::channel();
        let mut open = lock(&self.open);
        let number = open.next;
        open.next += 1;
        open.waiting.insert(number, Some(sender));
        Pending { reply: inbox::reply_subject(&self.inbox, number), answer, number, open: Arc::downgrade(&self.open) }
    }
}

impl Open {
    /// Hands an answer to whoever waits for it; gives it back where nobody does.
    fn arrived(&mut self, number: u64, answer: Answered) -> Option<Surplus> {
        match self.waiting.remove(&number) {
            Some(Some(waiting)) => {
                // While a cluster's leader changes, the old one may refuse what the new one then stores.
                if answer.is_err() {
                    self.waiting.insert(number, None);
                    self.expect_late(number);
                }
                // Whoever waited may have gone at this very moment.
                let _ = waiting.send(answer);
                None
            }
            Some(None) => Some(Surplus::Late(answer)),
            None if number >= self.forgotten && number < self.next => Some(Surplus::Again(answer)),
            None => None,
        }
    }

    fn overdue(&mut self, number: u64) {
        if self.waiting.get_mut(&number).is_some_and(|waiting| waiting.take().is_some()) {
            self.expect_late(number);
        }
    }

    fn expect_late(&mut self, number: u64) {
        self.overdue.push_back(number);
        if self.overdue.len() > OVERDUE_MAX
            && let Some(oldest) = self.overdue.pop_front()
        {
            self.waiting.remove(&oldest);
            self.forgotten = self.forgotten.max(oldest + 1);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(open) = self.open.upgrade() {
            lock(&open).overdue(self.number);
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_follows_a_refusal_is_no_second_one() {
        let acks = acks();
        let mut pending = acks.expect();
        assert!(lock(&acks.open).arrived(0, with(r#"{"error":{"err_code":10071}}"#)).is_none());
        assert!(pending.answer.try_recv().is_ok(), "whoever waits is told of the refusal");
        drop(pending);
        assert!(matches!(lock(&acks.open).arrived(0, message()), Some(Surplus::Late(_))));
        assert!(matches!(lock(&acks.open).arrived(0, message()), Some(Surplus::Again(_))), "that would be two");
    }

    fn message() -> Answered {
        with(r#"{"stream":"S","seq":1}"#)
    }

    fn with(payload: &'static str) -> Answered {
        let (subject, payload) = ("inbox.0".into(), bytes::Bytes::from(payload));
        let message = async_nats::Message {
            subject,
            reply: None,
            payload,
            headers: None,
            status: None,
            description: None,
            length: 0,
        };
        ack::read(&message)
    }

    fn acks() -> Acks {
        Acks { inbox: "inbox".into(), open: Arc::default() }
    }

    #[test]
    fn the_first_goes_to_whoever_waits_and_the_second_is_noticed() {
        let acks = acks();
        let mut pending = acks.expect();
        assert_eq!(pending.reply, "inbox.0");
        assert!(lock(&acks.open).arrived(0, message()).is_none());
        assert!(pending.answer.try_recv().is_ok());
        drop(pending);
        assert!(matches!(lock(&acks.open).arrived(0, message()), Some(Surplus::Again(_))));
        assert!(lock(&acks.open).arrived(7, message()).is_none(), "nobody asked for that");
    }

    #[test]
    fn one_that_comes_late_is_no_second_one() {
        let acks = acks();
        drop(acks.expect());
        assert!(matches!(lock(&acks.open).arrived(0, message()), Some(Surplus::Late(_))));
        assert!(matches!(lock(&acks.open).arrived(0, message()), Some(Surplus::Again(_))));
    }

    #[test]
    fn what_was_refused_long_after_is_not_forgotten_by_what_is_older() {
        let acks = acks();
        let old = acks.expect();
        for number in 1..=OVERDUE_MAX as u64 {
            let pending = acks.expect();
            assert!(lock(&acks.open).arrived(number, with(r#"{"error":{"err_code":10071}}"#)).is_none());
            drop(pending);
        }
        drop(old);
        assert!(lock(&acks.open).arrived(1, message()).is_none(), "forgotten, and no second one");
        assert_eq!(lock(&acks.open).waiting.len(), OVERDUE_MAX);
    }

    #[test]
    fn what_never_comes_is_forgotten_at_last() {
        let acks = acks();
        for _ in 0..=OVERDUE_MAX {
            drop(acks.expect());
        }
        assert_eq!(lock(&acks.open).waiting.len(), OVERDUE_MAX);
        assert!(lock(&acks.open).arrived(0, message()).is_none(), "too long ago to tell");
    }
}
