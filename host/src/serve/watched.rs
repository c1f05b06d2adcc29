//! One domain as it is watched: what it needs to be served, and whether that is there. Keeps nothing
//! alive that stops.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::health::Part;
use super::silence::Silences;
use crate::activation::Activation;
use crate::inbox::{Depth, Duty, depth};
use crate::metrics::Metrics;
use crate::name::Name;
use crate::nats::{Client, JetStream, is_connected};
use crate::shard::Glimpse;
use crate::store::EventStore;

/// How long JetStream may take to tell of a stream.
const LOOK_TIME_MAX: Duration = Duration::from_secs(4);

/// A domain that is served, seen from outside.
pub(super) struct Watched {
    pub(super) domain: Name,
    pub(super) metrics: Arc<Metrics>,
    pub(super) shards: Glimpse,
    /// The connections of its shards.
    pub(super) clients: Vec<Client>,
    /// The task that takes its requests.
    pub(super) lane: AbortHandle,
    /// Why it must not be served here.
    pub(super) misplaced: watch::Receiver<Option<String>>,
    /// What is done for its durable lane, where it has one.
    pub(super) duty: Option<watch::Receiver<Duty>>,
    pub(super) events: Arc<dyn EventStore>,
    pub(super) context: JetStream,
    pub(super) state: Mutex<State>,
}

/// What changes, or is looked at from time to time.
pub(super) struct State {
    live: Arc<Activation>,
    /// Why its stream could not be seen at the last look.
    stream: Option<String>,
    depth: Depth,
    silences: Silences,
}

impl State {
    pub(super) fn new(live: Arc<Activation>) -> Self {
        Self { live, stream: None, depth: Depth::default(), silences: Silences::default() }
    }
}

impl Watched {
    /// The code that is live.
    pub(super) fn live(&self) -> Arc<Activation> {
        Arc::clone(&self.state().live)
    }

    /// Notes that other code is live.
    pub(super) fn goes_on_with(&self, live: Arc<Activation>) {
        self.state().live = live;
    }

    /// What the durable lane held at the last look.
    pub(super) fn depth(&self) -> Depth {
        self.state().depth
    }

    /// Whether all its connections stand.
    pub(super) fn is_connected(&self) -> bool {
        self.clients.iter().all(is_connected)
    }

    /// Looks at its streams.
    pub(super) async fn look(&self) {
        let looked = async { tokio::join!(self.events.extent(), depth(&self.context, &self.domain)) };
        let (stream, depth) = match tokio::time::timeout(LOOK_TIME_MAX, looked).await {
            Ok((extent, depth)) => (extent.err().map(|error| error.to_string()), depth),
            Err(_) => (Some(format!("JetStream tells nothing of it within {LOOK_TIME_MAX:?}")), Depth::default()),
        };
        // Without a connection nothing was seen: that is told elsewhere.
        if self.is_connected() {
            let mut state = self.state();
            (state.stream, state.depth) = (stream, depth);
        }
    }

    /// Looks for signs of life of its threads.
    pub(super) fn listen(&self, now: Instant) {
        let mut state = self.state();
        for (number, sign) in self.shards.signs().enumerate() {
            state.silences.note(number, sign, now);
        }
    }

    /// The shard that has been silent for longest, and for how long.
    pub(super) fn silence(&self, now: Instant) -> Option<(usize, Duration)> {
        self.state().silences.longest(now)
    }

    /// What it takes to serve it, part by part.
    pub(super) fn parts(&self) -> Vec<Part> {
        let of = |part, why| Part { part, domain: Some(self.domain.clone()), why };
        let misplaced = self.misplaced.borrow().clone();
        let lane = self.lane.is_finished().then(|| "its commands and queries are no longer taken".to_owned());
        let retention = Some(self.metrics.expired_unseen.get()).filter(|unseen| *unseen > 0).map(|unseen| {
            format!("too little time: {unseen} messages left the stream before it was seen whether snapshots cover them; raise SNAPSHOT_BEFORE_EXPIRY or the stream's max_age")
        });
        let log = Some(self.metrics.doubts.count()).filter(|count| *count > 0).map(|count| {
            format!("the stream contradicts the snapshots of {count} aggregates, which answer `unavailable`: the log names them and the remedy; each counts until it was loaded again")
        });
        let duty = self.duty.as_ref().map(|duty| match &*duty.borrow() {
            Duty::Executing | Duty::StandingBy => None,
            Duty::Opening => Some("its streams are being opened".to_owned()),
            Duty::Hindered(why) => Some(why.clone()),
        });
        let mut parts = vec![
            of("home", misplaced),
            of("lane", lane),
            of("stream", self.state().stream.clone()),
            of("log", log),
            of("retention", retention),
        ];
        parts.extend(duty.map(|why| of("inbox", why)));
        parts
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
