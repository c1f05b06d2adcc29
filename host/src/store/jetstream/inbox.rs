//! One inbox of a connection for all that is asked over it: what is asked gets a number, and its answers
//! come to the inbox's subject with that number behind it. Knows nothing of what is asked.

use async_nats::{Client, Message, SubscribeError};
use futures::StreamExt;
use tokio::runtime::Handle;

/// Subscribes to an inbox, whose subject it gives: `arrived` is told of each message and its number,
/// `ended` that the connection has ended for good.
pub(super) async fn subscribe(
    client: &Client,
    runtime: &Handle,
    arrived: impl Fn(u64, Message) + Send + 'static,
    ended: impl FnOnce() + Send + 'static,
) -> Result<String, SubscribeError> {
    let inbox = client.new_inbox();
    let mut messages = client.subscribe(format!("{inbox}.*")).await?;
    runtime.spawn(async move {
        while let Some(message) = messages.next().await {
            let number = message.subject.rsplit('.').next().and_then(|number| number.parse().ok());
            if let Some(number) = number {
                arrived(number, message);
            }
        }
        ended();
    });
    Ok(inbox)
}

/// Where the answers to what has that number are to be sent.
pub(super) fn reply_subject(inbox: &str, number: u64) -> String {
    format!("{inbox}.{number}")
}
