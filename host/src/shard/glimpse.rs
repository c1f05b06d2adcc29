//! A look at the shards of a domain from outside, for whoever watches over the host: what waits,
//! what is behind, whether the threads turn. It keeps nothing alive and waits for nobody long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::WeakSender;

use super::{Job, Order, Orders, Shards};
use crate::metrics::{Meter, Metrics};

/// How long a shard has to say something. One that is in a plugin's call cannot.
const ANSWER_MAX: Duration = Duration::from_millis(500);

/// A look at the shards of one domain.
pub struct Glimpse {
    mailboxes: Vec<WeakSender<Job>>,
    orders: Orders,
    threads: Vec<Thread>,
}

/// A shard's thread.
struct Thread {
    runtime: Handle,
    meter: Arc<Meter>,
    /// Whether what was last asked of its runtime has been done.
    answered: Arc<AtomicBool>,
}

impl Glimpse {
    /// A look at these shards, whose threads drive these runtimes.
    pub fn of(shards: &Shards, runtimes: impl IntoIterator<Item = Handle>, metrics: &Metrics) -> Self {
        let thread =
            |(number, runtime)| Thread { runtime, meter: metrics.shard(number), answered: Arc::new(true.into()) };
        Self {
            mailboxes: shards.entrance.mailboxes.iter().map(tokio::sync::mpsc::Sender::downgrade).collect(),
            orders: shards.orders(),
            threads: runtimes.into_iter().enumerate().map(thread).collect(),
        }
    }

    /// Requests that wait: in mailboxes, and for aggregates that are at work.
    pub fn waiting(&self) -> u64 {
        let in_mailbox = |mailbox: &WeakSender<Job>| {
            mailbox.upgrade().map_or(0, |mailbox| mailbox.max_capacity() - mailbox.capacity()) as u64
        };
        self.mailboxes.iter().map(in_mailbox).sum::<u64>()
            + self.threads.iter().map(|t| t.meter.waiting.get()).sum::<u64>()
    }

    /// Aggregates in memory.
    pub fn live(&self) -> u64 {
        self.threads.iter().map(|thread| thread.meter.live.get()).sum()
    }

    /// By how many events a snapshot is behind at most, over the aggregates that are in memory and
    /// not at work; `None` where a shard does not answer in time.
    pub async fn events_behind(&self) -> Option<u64> {
        let told = tokio::time::timeout(ANSWER_MAX, self.orders.all(Order::Behind)).await.ok()?;
        (told.len() == self.mailboxes.len()).then(|| told.into_iter().max().unwrap_or_default())
    }

    /// Asks every thread for a sign of life, and tells which have given one since the last time.
    pub fn signs(&self) -> impl Iterator<Item = Sign> {
        self.threads.iter().map(Thread::sign)
    }
}

/// What a thread has shown since it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign {
    /// Its runtime has done what it was asked, or has ended.
    pub answered: bool,
    /// How often it has taken up something.
    pub turns: u64,
}

impl Thread {
    fn sign(&self) -> Sign {
        let answered = self.answered.load(Ordering::Acquire);
        if answered {
            self.answered.store(false, Ordering::Release);
            // Dropped unexecuted where the thread has ended, which is no silence.
            let answer = Answer(Arc::clone(&self.answered));
            self.runtime.spawn(async move { drop(answer) });
        }
        Sign { answered, turns: self.meter.turns.get() }
    }
}

/// Says that it was dropped.
struct Answer(Arc<AtomicBool>);

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::shard::ShardThread;

    #[test]
    fn a_thread_that_is_stuck_gives_no_sign_and_one_that_has_ended_is_not_missed() {
        let shard = ShardThread::start("test").expect("a thread");
        let thread =
            Thread { runtime: shard.runtime(), meter: Arc::default(), answered: Arc::new(AtomicBool::new(true)) };
        let ((stuck, is_stuck), (free, freed)) = (mpsc::channel(), mpsc::channel::<()>());
        let ended = shard.begin(move |_| {
            let _ = stuck.send(());
            let _ = freed.recv();
        });
        is_stuck.recv().expect("it has begun");

        assert!(thread.sign().answered, "nothing was asked of it yet");
        assert_eq!([(); 3].map(|()| thread.sign().answered), [false; 3]);

        drop(free);
        ended.join().expect("no panic");
        assert_eq!([(); 2].map(|()| thread.sign().answered), [true; 2]);
    }
}
