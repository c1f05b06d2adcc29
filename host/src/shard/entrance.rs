//! The way into the shards of a domain: a request goes to the bounded mailbox of its aggregate's shard, or
//! comes back with why not. Knows nothing of what becomes of it there.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::orders::Orders;
use crate::message::{Code, Failure, Reply, Request};
use crate::name::AggregateId;

/// The way into the shards of one domain. They do not end while there is one.
#[derive(Clone)]
pub struct Entrance {
    pub(super) mailboxes: Vec<mpsc::Sender<Job>>,
    orders: Orders,
}

/// Where a reply goes.
pub trait Responder: Send {
    /// Sends the reply, so long after the request's arrival.
    fn respond(self: Box<Self>, reply: Reply, after: Duration) -> BoxFuture<'static, ()>;
}

/// A request and where its reply goes.
pub struct Job {
    /// What is asked.
    pub request: Request,
    /// Where the reply goes.
    pub responder: Box<dyn Responder>,
    /// When the request arrived.
    pub arrived: Instant,
}

/// A job that no shard takes, and the failure to answer it with.
pub struct Undelivered {
    /// The job.
    pub job: Job,
    /// Why it is not taken.
    pub failure: Failure,
}

impl Entrance {
    /// The way into shards with these mailboxes.
    pub(super) fn new(mailboxes: Vec<mpsc::Sender<Job>>, orders: Orders) -> Self {
        Self { mailboxes, orders }
    }

    /// The way to tell the same shards something beside requests.
    pub(super) fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// Which shard an aggregate belongs to, counted from 0.
    pub fn place(&self, id: &AggregateId) -> usize {
        self.orders.place(id)
    }

    /// Hands a request to the shard of its aggregate.
    ///
    /// # Errors
    /// [`Undelivered`]: `overloaded` where the mailbox is full, `unavailable` where the shard is gone.
    pub fn submit(&self, job: Job) -> Result<(), Box<Undelivered>> {
        self.mailboxes[self.place(job.request.id())].try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(job) => {
                let failure = overloaded(job.request.id());
                Box::new(Undelivered { job, failure })
            }
            mpsc::error::TrySendError::Closed(job) => {
                let failure = Failure::new(Code::Unavailable, "the service is stopping").about(job.request.id());
                Box::new(Undelivered { job, failure })
            }
        })
    }
}

/// The answer to what finds no room.
pub(super) fn overloaded(id: &AggregateId) -> Failure {
    Failure::new(Code::Overloaded, "the host has as many requests as it can hold: come again a little later").about(id)
}
