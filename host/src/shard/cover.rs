//! Sees to it that a snapshot covers one aggregate's events, whoever keeps it in memory, before
//! those events leave. Knows nothing of when they do, nor of who asks.

use super::failures::unavailable;
use super::live::Live;
use super::pipeline::{Pipeline, keep};
use crate::activation::Reading;
use crate::message::{Code, Failure};
use crate::name::AggregateId;
use crate::store::{Found, Replica};

/// What it took to cover an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covered {
    /// A snapshot stands that the live code reads.
    Already,
    /// One was saved.
    Now,
}

impl Pipeline {
    /// Covers the aggregate's events through that sequence, where no snapshot does. An aggregate
    /// that was not live is not kept: nobody has asked for it.
    pub(super) async fn cover(
        &self,
        live: &mut Option<Live>,
        id: &AggregateId,
        through: u64,
    ) -> Result<Covered, Failure> {
        if self.is_covered(id, through).await? {
            return Ok(Covered::Already);
        }
        let was_live = live.is_some();
        let mut saved = self.leave_snapshot(live, id, through).await;
        if saved.as_ref().is_err_and(|failure| failure.mendable) {
            saved = self.leave_snapshot(live, id, through).await;
        }
        if !was_live {
            *live = None;
        }
        saved.map(|()| Covered::Now)
    }

    async fn is_covered(&self, id: &AggregateId, through: u64) -> Result<bool, Failure> {
        Ok(match self.snapshots.load(id).await.map_err(|error| unavailable(id, error))? {
            Found::Snapshot { snapshot, .. } => {
                snapshot.last_sequence >= through && self.instances.activation().reading_of(&snapshot) == Reading::Own
            }
            Found::Nothing | Found::Damaged { .. } => false,
        })
    }

    async fn leave_snapshot(&self, live: &mut Option<Live>, id: &AggregateId, through: u64) -> Result<(), Failure> {
        let (mut aggregate, confirmed) = self.ready(live.take(), id, Replica::Leader).await?;
        let saved = self.save_through(&mut aggregate, confirmed, id, through).await;
        // What cannot be saved must not leave memory: it may soon be all there is.
        *live = keep(aggregate);
        saved
    }

    async fn save_through(
        &self,
        live: &mut Live,
        confirmed: bool,
        id: &AggregateId,
        through: u64,
    ) -> Result<(), Failure> {
        if !confirmed && live.last_sequence < through {
            self.catch_up(id, live).await?;
        }
        if live.last_sequence < through {
            let message = "its events are gone, and no snapshot covers them";
            return Err(Failure::new(Code::Unavailable, message).about(id));
        }
        self.save(id, live).await.map_err(|error| unavailable(id, error))?;
        if !self.is_covered(id, through).await? {
            // A newer one of other code stands: at its version, own code takes its place.
            self.catch_up(id, live).await?;
            self.save(id, live).await.map_err(|error| unavailable(id, error))?;
        }
        Ok(())
    }
}
