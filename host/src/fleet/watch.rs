//! Tells when what is wanted has changed. It does not tell what: who is told reads it anew, so
//! that nothing is lost where several changes become one. Knows nothing of the entries.

use std::time::Duration;

use async_nats::jetstream::kv::Watch;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::FleetError;
use super::bucket::Bucket;

/// How soon it is noticed what nobody tells: that the bucket was deleted or made anew, and changes
/// while the server had lost the watch. One small request each time.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long from one attempt to watch to the next: short beside what people notice, long beside
/// a request.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Changes of what is wanted, since one was last told.
pub struct FleetWatch {
    bucket: Bucket,
    state: State,
}

enum State {
    /// A watch is being made; kept here, so that it gets on however often nobody waits for it.
    Making(BoxFuture<'static, Result<Standing, FleetError>>),
    Standing(Standing),
}

/// A watch on a bucket that was made at a certain time.
struct Standing {
    changes: Watch,
    bucket_made: String,
    /// The last change that was told, by its place in the bucket.
    told: u64,
    look: Interval,
    /// When the next attempt to watch may begin.
    next_attempt: Instant,
}

/// What became of a watch that stood.
enum Told {
    Changed,
    /// The bucket is gone.
    Gone,
    /// It has to be made anew: another bucket of that name stands, or the server has lost it.
    Ended,
}

impl FleetWatch {
    pub(super) fn new(bucket: Bucket) -> Self {
        Self { state: State::Making(make(bucket.clone(), Instant::now())), bucket }
    }

    /// Completes when something may have changed: at first, and after a watch was made anew, as
    /// soon as it stands. May be dropped and called again at any time without losing a change.
    /// After an error it is to be called again; it then waits a moment by itself.
    ///
    /// # Errors
    /// [`FleetError`] where there is no watch for now: the bucket is gone, or not to be reached.
    pub async fn changed(&mut self) -> Result<(), FleetError> {
        loop {
            match &mut self.state {
                State::Making(watch) => match watch.await {
                    Ok(standing) => {
                        self.state = State::Standing(standing);
                        return Ok(());
                    }
                    Err(error) => {
                        self.make(Instant::now() + RETRY_PAUSE);
                        return Err(error);
                    }
                },
                State::Standing(standing) => {
                    let next_attempt = standing.next_attempt;
                    match standing.next(&self.bucket).await {
                        Told::Changed => return Ok(()),
                        Told::Gone => {
                            self.make(Instant::now() + RETRY_PAUSE);
                            return Err(FleetError::Gone { bucket: self.bucket.name });
                        }
                        Told::Ended => self.make(next_attempt),
                    }
                }
            }
        }
    }

    fn make(&mut self, begin: Instant) {
        self.state = State::Making(make(self.bucket.clone(), begin));
    }
}

fn make(bucket: Bucket, begin: Instant) -> BoxFuture<'static, Result<Standing, FleetError>> {
    let made = async move {
        sleep_until(begin).await;
        let Some(info) = bucket.info().await? else { return Err(FleetError::Gone { bucket: bucket.name }) };
        let changes = match bucket.context.get_key_value(bucket.name).await {
            Ok(store) => match store.watch_all().await {
                Ok(changes) => changes,
                Err(error) => return Err(bucket.explain("watching the", error).await),
            },
            Err(error) => return Err(bucket.explain("watching the", error).await),
        };
        let now = Instant::now();
        let mut look = interval_at(now + LOOK_EVERY, LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Standing {
            changes,
            bucket_made: info.created.to_string(),
            told: info.state.last_sequence,
            look,
            next_attempt: now + RETRY_PAUSE,
        })
    };
    made.boxed()
}

impl Standing {
    async fn next(&mut self, bucket: &Bucket) -> Told {
        loop {
            tokio::select! {
                change = self.changes.next() => match change {
                    Some(Ok(entry)) => {
                        self.told = entry.revision;
                        // What else has come becomes one with it.
                        while let Some(Some(Ok(entry))) = self.changes.next().now_or_never() {
                            self.told = entry.revision;
                        }
                        return Told::Changed;
                    }
                    Some(Err(error)) => {
                        tracing::debug!(%error, "the watch of the fleet's bucket is made anew");
                        return Told::Ended;
                    }
                    None => return Told::Ended,
                },
                _ = self.look.tick() => match bucket.info().await {
                    Ok(None) => return Told::Gone,
                    Ok(Some(info)) if info.created.to_string() != self.bucket_made => return Told::Ended,
                    Ok(Some(info)) if info.state.last_sequence > self.told => {
                        self.told = info.state.last_sequence;
                        return Told::Changed;
                    }
                    Ok(Some(_)) => {}
                    // The connection comes back by itself, and the watch with it.
                    Err(error) => tracing::debug!(%error, "the fleet's bucket cannot be looked at"),
                },
            }
        }
    }
}
