//! What a server says against what is sent to it, line by line in its order. Knows nothing of what
//! is sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::nats::Listener;

/// How long the last line is waited for: the answers come one behind the other, so that the first
/// round trip decides.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Lines that wait to be read; more than are asked for at once.
const LINES_MAX: usize = 1_024;

/// The lines as they come.
pub(super) struct Heard(Mutex<mpsc::Receiver<String>>);

impl Heard {
    /// The lines, and what they are to be given to.
    pub(super) fn new() -> (Self, Listener) {
        let (lines, heard) = mpsc::channel(LINES_MAX);
        // Where nobody reads them any more, they are of no use.
        let listener: Listener = Arc::new(move |line| drop(lines.try_send(line)));
        (Self(Mutex::new(heard)), listener)
    }

    /// All lines up to the first that has this text in it; `None` where that does not come.
    pub(super) async fn until(&self, text: &str) -> Option<Vec<String>> {
        let give_up = Instant::now() + ANSWER_MAX;
        let mut lines = Vec::new();
        loop {
            let next = std::future::poll_fn(|context| match self.0.lock() {
                Ok(mut heard) => heard.poll_recv(context),
                Err(_) => std::task::Poll::Ready(None),
            });
            let line = timeout_at(give_up, next).await.ok()??;
            let is_last = line.contains(text);
            lines.push(line);
            if is_last {
                return Some(lines);
            }
        }
    }
}
