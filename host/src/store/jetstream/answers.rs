//! Where the answers to direct reads arrive: each read has a reply subject of its own under one inbox
//! of the connection, since a subscription for each would have the server forget what it knows of where
//! messages go. Knows nothing of what is read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_nats::{Client, Message, SubscribeError};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::inbox;

/// The inbox of one connection.
pub(super) struct Answers {
    inbox: String,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    next: u64,
    reads: HashMap<u64, mpsc::Sender<Message>>,
}

/// What comes for one read; what comes after it is dropped is dropped as well.
pub(super) struct Coming {
    /// The subject that answers are to be sent to.
    pub(super) reply: String,
    messages: mpsc::Receiver<Message>,
    number: u64,
    open: Weak<Mutex<Open>>,
}

impl Answers {
    /// Subscribes to an inbox.
    pub(super) async fn open(client: &Client, runtime: &Handle) -> Result<Self, SubscribeError> {
        let open = Arc::new(Mutex::new(Open::default()));
        let (arriving, ended) = (Arc::clone(&open), Arc::clone(&open));
        let arrived = move |number, message| {
            if let Some(read) = lock(&arriving).reads.get(&number).cloned() {
                // More than was asked for is not waited for.
                let _ = read.try_send(message);
            }
        };
        // Whoever waits when the connection has ended for good is told by that.
        let inbox = inbox::subscribe(client, runtime, arrived, move || lock(&ended).reads.clear()).await?;
        Ok(Self { inbox, open })
    }

    /// A reply subject of its own, and at most so many messages that will come there.
    pub(super) fn expect(&self, messages_max: usize) -> Coming {
        let (sender, messages) = mpsc::channel(messages_max.max(1));
        let mut open = lock(&self.open);
        let number = open.next;
        open.next += 1;
        open.reads.insert(number, sender);
        Coming { reply: inbox::reply_subject(&self.inbox, number), messages, number, open: Arc::downgrade(&self.open) }
    }
}

impl Coming {
    /// The next message; `None` where the connection has ended for good.
    pub(super) async fn next(&mut self) -> Option<Message> {
        self.messages.recv().await
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        if let Some(open) = self.open.upgrade() {
            lock(&open).reads.remove(&self.number);
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
