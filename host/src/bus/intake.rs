//! A queue subscription that can end without losing what is on its way. Knows nothing of what
//! the messages are.

use async_nats::{Client, Message, Subscriber};
use futures::StreamExt;

use super::BusError;

/// Messages still taken after the end was announced. Server and client count to the same
/// number, so under load nothing falls between them; it is more than a socket holds on its way.
const LAST_MESSAGES_MAX: u64 = 1_024;

/// A queue subscription.
pub(super) struct Intake {
    messages: Subscriber,
    taken: u64,
    open: bool,
}

impl Intake {
    pub(super) async fn open(client: &Client, subject: String, queue_group: &str) -> Result<Self, BusError> {
        let messages = client.queue_subscribe(subject, queue_group.to_owned()).await?;
        Ok(Self { messages, taken: 0, open: true })
    }

    /// The next message; `None` once, when no more will come.
    pub(super) async fn next(&mut self) -> Option<Message> {
        let message = self.messages.next().await;
        match message {
            Some(_) => self.taken += 1,
            None => self.open = false,
        }
        message
    }

    /// Whether messages may still come.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Announces the end: the subscription ends by itself after the last messages, if so many come.
    pub(super) async fn announce_end(&mut self) {
        self.open &= self.messages.unsubscribe_after(self.taken + LAST_MESSAGES_MAX).await.is_ok();
    }

    /// Ends it now, after what has arrived by now.
    pub(super) async fn end(&mut self) {
        self.open &= self.messages.drain().await.is_ok();
    }
}
