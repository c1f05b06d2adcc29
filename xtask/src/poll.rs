//! Waiting for something that another process does, with a bound. It must not know what
//! is waited for.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How long a real process may take for what usually takes milliseconds: generous, because
/// a loaded machine is no failure, and bounded, because a wait without end is one.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Short beside the start of a server (23 ms), long beside one look at a file.
const INTERVAL: Duration = Duration::from_millis(3);

/// Asks `look` until it has something, fails, or `patience` is over; then `None`.
pub fn until<T>(patience: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(INTERVAL);
    }
}
