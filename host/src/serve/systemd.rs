//! Tells systemd how the service fares, where systemd started it: ready, stopping, alive. Without
//! systemd it does nothing.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

use super::health::Health;

/// How often it is looked whether there is something new to tell.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How long systemd may keep the host waiting.
const TELL_TIME_MAX: Duration = Duration::from_secs(1);

/// Where systemd listens.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Tells for ever.
pub(super) async fn keep(health: Arc<Health>) {
    if std::env::var_os(SOCKET).is_none() {
        return;
    }
    tokio::join!(status(&health), watchdog(&health));
}

/// Tells that the service stops.
pub(super) async fn stopping() {
    tell(Some(NotifyState::Stopping), Some("stopping".into())).await;
}

/// Tells once that the service is ready, and whatever becomes of that until it stops.
async fn status(health: &Health) {
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut was_ready, mut told) = (false, String::new());
    while !health.is_stopping() {
        ticks.tick().await;
        let readiness = health.readiness();
        let status = if readiness.ready { serving(health) } else { format!("not ready: {}", readiness.failing()) };
        let ready = (readiness.ready && !was_ready).then_some(NotifyState::Ready);
        was_ready |= readiness.ready;
        let status = (status != told).then(|| {
            told.clone_from(&status);
            status
        });
        tell(ready, status).await;
    }
}

fn serving(health: &Health) -> String {
    let domains = health.domains();
    let names: Vec<&str> = domains.iter().map(|watched| watched.domain.as_str()).collect();
    format!("ready, serving {}", names.join(", "))
}

/// Tells that the service lives, for as long as its threads turn: this one does by running this.
/// What does not is started anew by systemd.
async fn watchdog(health: &Health) {
    let Some(period) = sd_notify::watchdog_enabled().filter(|period| !period.is_zero()) else { return };
    let mut ticks = interval(period / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match health.silent() {
            None => tell(Some(NotifyState::Watchdog), None).await,
            Some(silent) => {
                tracing::error!(why = %silent, "systemd's watchdog is not told that the service lives");
                tell(None, Some(format!("stuck: {silent}"))).await;
            }
        }
    }
}

/// Sends what is new. Systemd may keep the sender waiting, but nobody else.
async fn tell(word: Option<NotifyState<'static>>, status: Option<String>) {
    if word.is_none() && status.is_none() {
        return;
    }
    let sent = tokio::task::spawn_blocking(move || {
        let status = status.as_deref().map(NotifyState::Status);
        sd_notify::notify(&word.into_iter().chain(status).collect::<Vec<_>>())
    });
    match tokio::time::timeout(TELL_TIME_MAX, sent).await {
        Ok(Ok(Err(error))) => tracing::warn!(%error, "systemd could not be told how the service fares"),
        Err(_) => tracing::warn!("systemd does not take what it is told"),
        _ => {}
    }
}
