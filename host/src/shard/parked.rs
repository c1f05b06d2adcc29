//! Aggregates with a recorded event that the live code cannot apply, and which event that is: nobody
//! runs into it twice, and nobody else pays for it. Knows nothing of how it was found.

use std::cell::RefCell;

use hashlink::LruCache;

use crate::activation::Activation;
use crate::domain::Digest;
use crate::name::AggregateId;

/// Aggregates that are remembered; the ones asked for least recently are found out again.
const PARKED_MAX: usize = 10_000;

/// The parked aggregates of one shard.
pub(super) struct Parked(RefCell<LruCache<AggregateId, Obstacle>>);

/// What stands in the way of an aggregate.
#[derive(Clone)]
pub(super) struct Obstacle {
    /// The event's place in the stream.
    pub(super) sequence: u64,
    /// What its commands are told.
    pub(super) message: String,
    /// The code that cannot apply it, and the number it went live under.
    code: (u64, Digest),
}

impl Default for Parked {
    fn default() -> Self {
        Self(RefCell::new(LruCache::new(PARKED_MAX)))
    }
}

impl Parked {
    /// What stands in the way of this aggregate for this code, as far as is known.
    pub(super) fn obstacle(&self, id: &AggregateId, live: &Activation) -> Option<Obstacle> {
        let mut parked = self.0.borrow_mut();
        let obstacle = parked.get(id)?;
        if obstacle.code == (live.number(), live.digest()) {
            return Some(obstacle.clone());
        }
        // Other code may be able to apply it.
        parked.remove(id);
        None
    }

    /// Parks an aggregate.
    pub(super) fn park(&self, id: &AggregateId, sequence: u64, message: String, live: &Activation) {
        let code = (live.number(), live.digest());
        self.0.borrow_mut().insert(id.clone(), Obstacle { sequence, message, code });
    }

    /// Sets an aggregate free.
    pub(super) fn free(&self, id: &AggregateId) {
        self.0.borrow_mut().remove(id);
    }
}
