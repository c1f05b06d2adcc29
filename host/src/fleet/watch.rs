//! Tells when what is wanted has changed. It does not tell what: who is told reads it anew, so
//! that nothing is lost where several changes become one. Knows nothing of the entries.

use std::time::Duration;

use async_nats::jetstream::kv::Watch;
use futures::{FutureExt, StreamExt};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::FleetError;
use super::bucket::Bucket;

/// How soon it is noticed that the bucket was deleted or made anew, of which nobody tells. One
/// small request each time.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long to wait after an error: short beside what people notice, long beside a request.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Changes of what is wanted, since one was last told.
pub struct FleetWatch {
    bucket: Bucket,
    standing: Option<Standing>,
    not_before: Option<Instant>,
}

/// A watch that stands, on a bucket that was made at a certain time.
struct Standing {
    changes: Watch,
    bucket_made: String,
    look: Interval,
}

enum Told {
    Changed,
    /// Another bucket of that name stands.
    Replaced,
}

impl FleetWatch {
    pub(super) fn new(bucket: Bucket) -> Self {
        Self { bucket, standing: None, not_before: None }
    }

    /// Completes when something may have changed: at first, and after a watch was made anew, at
    /// once. May be dropped and called again at any time without losing a change. After an error
    /// it is to be called again; it then waits a moment by itself.
    ///
    /// # Errors
    /// [`FleetError`] where there is no watch for now: the bucket is gone, or not to be reached.
    pub async fn changed(&mut self) -> Result<(), FleetError> {
        if let Some(time) = self.not_before {
            sleep_until(time).await;
            self.not_before = None;
        }
        let told = match &mut self.standing {
            Some(standing) => standing.next(&self.bucket).await,
            None => Ok(Told::Replaced),
        };
        let done = match told {
            Ok(Told::Changed) => Ok(()),
            Ok(Told::Replaced) => self.stand().await,
            Err(error) => Err(error),
        };
        if done.is_err() {
            self.standing = None;
            self.not_before = Some(Instant::now() + RETRY_PAUSE);
        }
        done
    }

    /// Makes the watch, anew or for the first time.
    async fn stand(&mut self) -> Result<(), FleetError> {
        self.standing = None;
        let bucket = &self.bucket;
        let Some(info) = bucket.info().await? else { return Err(FleetError::Gone { bucket: bucket.name }) };
        let changes = match bucket.context.get_key_value(bucket.name).await {
            Ok(store) => match store.watch_all().await {
                Ok(changes) => changes,
                Err(error) => return Err(bucket.explain("watching the", error).await),
            },
            Err(error) => return Err(bucket.explain("watching the", error).await),
        };
        let mut look = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.standing = Some(Standing { changes, bucket_made: info.created.to_string(), look });
        Ok(())
    }
}

impl Standing {
    async fn next(&mut self, bucket: &Bucket) -> Result<Told, FleetError> {
        loop {
            tokio::select! {
                change = self.changes.next() => match change {
                    Some(Ok(_)) => {
                        // What else has come becomes one with it.
                        while let Some(Some(Ok(_))) = self.changes.next().now_or_never() {}
                        return Ok(Told::Changed);
                    }
                    Some(Err(error)) => return Err(bucket.explain("watching the", error).await),
                    None => return Err(bucket.explain("watching the", "the watch has ended").await),
                },
                _ = self.look.tick() => match bucket.info().await {
                    Ok(None) => return Err(FleetError::Gone { bucket: bucket.name }),
                    Ok(Some(info)) if info.created.to_string() != self.bucket_made => return Ok(Told::Replaced),
                    Ok(Some(_)) => {}
                    // The connection comes back by itself, and the watch with it.
                    Err(error) => tracing::debug!(%error, "the fleet's bucket cannot be looked at"),
                },
            }
        }
    }
}
