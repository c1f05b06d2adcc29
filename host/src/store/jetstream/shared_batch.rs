//! Appends of several events, put into batches that they share. Nothing waits for company: what comes
//! while no batch is under way goes at once, and what comes meanwhile goes together after it. Must not
//! know how one append is judged.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::batch::Part;
use super::events::Inner;
use super::group::{OpenBatch, Waiting};
use super::sharing::{Demand, Sharing};
use super::stream::find;
use crate::event::NewEvents;
use crate::store::{AppendError, Appended, Replica};

/// How long the others wait for the answer to a batch. It takes some milliseconds; where it takes
/// longer than this something is amiss, with that batch or with all, and the next goes beside it.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long it is believed what the stream's leader is.
const LEADER_KNOWN: Duration = Duration::from_secs(5);
/// Commands of a refused batch about which the leader is asked at once.
const ASKED_AT_ONCE_MAX: usize = 64;
/// Commands of a refused batch that go again at once, each alone: enough to keep the server busy,
/// and room for others.
const ALONE_AT_ONCE_MAX: usize = 4;

/// Why a shared batch was not stored.
enum NotShared {
    /// It was refused as a whole, and it is not said who was the reason.
    Refused,
    /// What is true of every command in it.
    All(AppendError),
}

impl Inner {
    /// Appends the events of one command in its turn.
    pub(super) async fn append_in_line(
        self: &Arc<Self>,
        new: NewEvents,
        parts: Vec<Part>,
    ) -> Result<Appended, AppendError> {
        let (answer, answered) = oneshot::channel();
        if self.line.join(Waiting { new, parts, since: Instant::now(), refused_before: false, answer }) {
            self.runtime.spawn(Arc::clone(self).serve_line());
        }
        answered.await.unwrap_or_else(|_| Err(AppendError::Unknown("the service is stopping".into())))
    }

    /// Sends batch after batch until nobody waits.
    async fn serve_line(self: Arc<Self>) {
        loop {
            let Some(open) = self.may_open().await else {
                while let Some(group) = self.line.next(false) {
                    answer_all(group, &too_slow());
                }
                return;
            };
            let several = self.line.len() > 1;
            let sharing = if several { self.sharing().await } else { self.leader().0 };
            let may_share = sharing != Sharing::Never;
            let Some(group) = self.line.next(several && may_share) else { return };
            let settled = tokio::spawn(Arc::clone(&self).settle(group, sharing, open));
            if may_share {
                // Time that is up ends the waiting, not the batch.
                let _ = timeout(PATIENCE, settled).await;
            }
        }
    }

    /// Stores a group and answers everyone in it, here or, where the server refuses it, beside what
    /// comes next.
    async fn settle(self: Arc<Self>, group: Vec<Waiting>, sharing: Sharing, open: OpenBatch) {
        let mut refused = self.try_together(group, sharing, open).await;
        refused.iter_mut().for_each(|one| one.refused_before = true);
        if !refused.is_empty() {
            tokio::spawn(self.settle_refused(refused, sharing));
        }
    }

    /// Stores the commands of a refused batch. Whose expectation the leader says is not true is told so;
    /// the others go again together, and one by one where nobody is found.
    async fn settle_refused(self: Arc<Self>, mut group: Vec<Waiting>, sharing: Sharing) {
        loop {
            let count = group.len();
            let (others, outdated) = self.held_against_leader(group).await;
            tracing::debug!(domain = %self.domain, commands = count, outdated = outdated.len(), "a shared batch was refused");
            group = others;
            if outdated.is_empty() {
                break;
            }
            for (one, last) in outdated {
                one.answer(Err(AppendError::Conflict { last: Some(last) }));
            }
            let Some(open) = self.may_open().await else { return answer_all(group, &too_slow()) };
            group = self.try_together(group, sharing, open).await;
            if group.is_empty() {
                return;
            }
        }
        let alone = |mut one: Waiting| async {
            match self.may_open().await {
                Some(_open) if !self.is_late(&one) => {
                    let outcome = self.store_alone(&mut one).await;
                    one.answer(outcome);
                }
                _ => one.answer(Err(too_slow())),
            }
        };
        futures::stream::iter(group).for_each_concurrent(ALONE_AT_ONCE_MAX, alone).await;
    }

    /// Stores a group and answers everyone in it; gives it back where the server refuses it as a whole,
    /// whoever was the reason.
    async fn try_together(self: &Arc<Self>, group: Vec<Waiting>, sharing: Sharing, _open: OpenBatch) -> Vec<Waiting> {
        let (late, mut group): (Vec<_>, Vec<_>) = group.into_iter().partition(|one| self.is_late(one));
        answer_all(late, &too_slow());
        if group.len() <= 1 {
            for mut one in group {
                let outcome = self.store_alone(&mut one).await;
                one.answer(outcome);
            }
            return Vec::new();
        }
        match self.store_together(&mut group, sharing).await {
            Ok(mut first_sequence) => {
                for one in group {
                    let count = one.new.events.len() as u64;
                    one.answer(Ok(Appended { first_sequence }));
                    first_sequence += count;
                }
            }
            Err(NotShared::All(error)) => answer_all(group, &error),
            Err(NotShared::Refused) => return group,
        }
        Vec::new()
    }

    /// Stores all of a group or nothing; gives the first sequence. The others follow without gap.
    async fn store_together(self: &Arc<Self>, group: &mut [Waiting], sharing: Sharing) -> Result<u64, NotShared> {
        self.may_append().map_err(NotShared::All)?;
        let mut parts = Vec::new();
        for one in group {
            parts.append(&mut self.parts_of(one).map_err(|_| NotShared::Refused)?);
        }
        let count = parts.len();
        let demand = match sharing {
            Sharing::If(demand) => demand,
            Sharing::Never => Demand::Nothing,
        };
        let answer = self.answer_to(parts, demand).await.map_err(|error| match error {
            // Found out on the way, and true of one of them.
            AppendError::Unstorable(_) => NotShared::Refused,
            common => NotShared::All(common),
        })?;
        let ack = answer.map_err(|error| match error {
            AppendError::Unknown(_) => NotShared::All(error),
            _ => NotShared::Refused,
        })?;
        self.check_place(&ack).map_err(NotShared::All)?;
        if ack.duplicate {
            return Err(NotShared::Refused);
        }
        ack.first_of(count).map_err(NotShared::All)
    }

    async fn store_alone(self: &Arc<Self>, one: &mut Waiting) -> Result<Appended, AppendError> {
        self.may_append()?;
        let parts = self.parts_of(one)?;
        self.store(&one.new, parts).await
    }

    /// The messages of an append, made anew where they were sent before.
    fn parts_of(&self, one: &mut Waiting) -> Result<Vec<Part>, AppendError> {
        match std::mem::take(&mut one.parts) {
            sent if sent.is_empty() => self.parts(&one.new),
            parts => Ok(parts),
        }
    }

    /// Parts those whose expectation may be true from those whose is not, by the leader; the latter with
    /// the last sequence that their aggregate has.
    async fn held_against_leader(&self, group: Vec<Waiting>) -> (Vec<Waiting>, Vec<(Waiting, u64)>) {
        let asked = futures::stream::iter(group).map(|one| async {
            let head = if self.is_late(&one) { None } else { self.head(&one.new.id, Replica::Leader).await.ok() };
            let last = head.map(|head| head.map_or(0, |head| head.sequence));
            (last.filter(|last| *last != one.new.expected_sequence), one)
        });
        let mut asked = asked.buffered(ASKED_AT_ONCE_MAX);
        let (mut others, mut outdated) = (Vec::new(), Vec::new());
        while let Some((last, one)) = asked.next().await {
            match last {
                Some(last) => outdated.push((one, last)),
                None => others.push(one),
            }
        }
        (others, outdated)
    }

    /// The right to open a batch. Whoever has one keeps it no longer than an acknowledgement may take.
    async fn may_open(&self) -> Option<OpenBatch> {
        timeout(self.ack_timeout, self.open_batches.one()).await.ok().flatten()
    }

    /// Whether an append has waited for its turn for as long as it may.
    fn is_late(&self, one: &Waiting) -> bool {
        one.since.elapsed() > self.ack_timeout
    }

    /// Whether the stream's leader may be given shared batches: as it was known a moment ago, or as it
    /// says now.
    async fn sharing(&self) -> Sharing {
        let (known, since) = *self.leader();
        if since.elapsed() < LEADER_KNOWN {
            return known;
        }
        match timeout(PATIENCE, find(&self.context, &self.stream.name)).await {
            Ok(Ok(Some(config))) => {
                let sharing = Sharing::of(&config);
                *self.leader() = (sharing, Instant::now());
                sharing
            }
            // It does not say; a batch that demands what it needs can be sent to any.
            _ if matches!(known, Sharing::If(Demand::Level(_))) => known,
            _ => Sharing::Never,
        }
    }

    fn leader(&self) -> MutexGuard<'_, (Sharing, Instant)> {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer_all(group: Vec<Waiting>, error: &AppendError) {
    group.into_iter().for_each(|one| one.answer(Err(error.clone())));
}

fn too_slow() -> AppendError {
    AppendError::Unavailable("JetStream did not answer the batches before this one in time: it was not sent".into())
}
