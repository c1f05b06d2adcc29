//! Looks around at regular times: for signs of life of the threads that serve, and at the streams
//! they stand on. Must not know what is made of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::health::Health;

/// Between two looks for signs of life.
const LISTEN_INTERVAL: Duration = Duration::from_millis(500);
/// Between two looks at streams, each three small requests to JetStream per domain.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Looks around for ever.
pub(super) async fn keep(health: Arc<Health>) {
    tokio::join!(listen(&health), look(&health));
}

async fn listen(health: &Health) {
    let mut ticks = interval(LISTEN_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        health.domains().iter().for_each(|watched| watched.listen(now));
    }
}

async fn look(health: &Health) {
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let domains = health.domains();
        futures::future::join_all(domains.iter().map(|watched| watched.look())).await;
    }
}
