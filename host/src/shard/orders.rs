//! What shards are told beside requests, and the way to tell them. Knows nothing of how it is done.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::cover::Covered;
use crate::activation::Activation;
use crate::message::{Code, Failure};
use crate::name::AggregateId;

/// The way to tell the shards of a domain something beside requests.
#[derive(Clone)]
pub struct Orders {
    shards: Vec<mpsc::Sender<Order>>,
    hasher: RandomState,
}

impl Orders {
    /// The way to tell these shards.
    pub(super) fn new(shards: Vec<mpsc::Sender<Order>>) -> Self {
        Self { shards, hasher: RandomState::new() }
    }

    /// Lets other code decide from now on: requests that are begun are finished by the code
    /// before, every other one is served by this. Completes when all shards have heard.
    pub async fn activate(&self, activation: &Arc<Activation>) {
        self.all(|heard| Order::Activate(Arc::clone(activation), heard)).await;
    }

    /// The aggregates that were used last, at most `limit`: the latest of each shard, then the
    /// one before it of each, and so on.
    pub async fn recent(&self, limit: usize) -> Vec<AggregateId> {
        let told = self.all(|told| Order::Recent(limit, told)).await;
        let mut ranked: Vec<(usize, AggregateId)> =
            told.into_iter().flat_map(|ids| ids.into_iter().enumerate()).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().take(limit).map(|(_, id)| id).collect()
    }

    /// Lets a snapshot that the live code reads cover the events of an aggregate through a
    /// sequence, where none does.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn cover(&self, id: &AggregateId, through: u64) -> Result<Covered, Failure> {
        let (told, answer) = oneshot::channel();
        let order = Order::Cover(id.clone(), Cover { through, told });
        let stopping = || Failure::new(Code::Unavailable, "the service is stopping").about(id);
        self.shards[self.place(id)].send(order).await.map_err(|_| stopping())?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Which shard an aggregate belongs to, counted from 0.
    pub(super) fn place(&self, id: &AggregateId) -> usize {
        self.hasher.hash_one(id) as usize % self.shards.len()
    }

    /// Asks every shard; one that has ended has nothing to say.
    pub(super) async fn all<T>(&self, order: impl Fn(oneshot::Sender<T>) -> Order) -> Vec<T> {
        let asked = self.shards.iter().map(|shard| async {
            let (sender, answer) = oneshot::channel();
            shard.send(order(sender)).await.ok()?;
            answer.await.ok()
        });
        futures::future::join_all(asked).await.into_iter().flatten().collect()
    }
}

/// What a shard is told beside requests.
pub(super) enum Order {
    /// Other code is live from now on.
    Activate(Arc<Activation>, oneshot::Sender<()>),
    /// Who was used last?
    Recent(usize, oneshot::Sender<Vec<AggregateId>>),
    /// A snapshot is to cover this aggregate.
    Cover(AggregateId, Cover),
    /// By how many events is a snapshot behind at most?
    Behind(oneshot::Sender<u64>),
}

/// The order that a snapshot covers an aggregate's events through a sequence.
pub(super) struct Cover {
    pub(super) through: u64,
    pub(super) told: oneshot::Sender<Result<Covered, Failure>>,
}
