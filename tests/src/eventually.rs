//! Waiting for what another process does, without guessing how long it takes. The only place of
//! the tests that lets time pass, and it must not know what is waited for.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How long a test waits for anything before it calls it broken. Far above what anything takes
/// on a busy machine, so that only a real fault reaches it.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Between two looks: short beside what is waited for, long enough not to starve it on two cores.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until `attempt` succeeds; its last error is the reason when it does not.
pub async fn eventually<T>(what: &str, attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    eventually_within(PATIENCE, what, attempt).await
}

/// The same for what goes by timers of other programs that no setting shortens.
pub async fn eventually_within<T>(
    patience: Duration,
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() > patience => {
                return Err(error).with_context(|| format!("{what}: not within {patience:?}"));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
