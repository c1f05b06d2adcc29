//! A shard: one thread of one domain, the aggregates whose ids hash to it, and a bounded
//! mailbox. An aggregate's requests run one after another, different aggregates' side by
//! side while they wait for storage. Knows neither NATS nor WebAssembly.

mod behind;
mod cover;
mod entrance;
mod failures;
mod glimpse;
mod live;
mod load;
mod orders;
mod parked;
mod pipeline;
mod query;
mod refused;
mod retention;
mod tail;
mod task;
#[cfg(test)]
mod tests;
mod thread;
mod traced;
mod trial;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use hashlink::LinkedHashMap;
use tokio::sync::mpsc;

use self::behind::Behind;
pub use self::cover::Covered;
use self::entrance::overloaded;
pub use self::entrance::{Entrance, Job, Responder, Undelivered};
pub use self::glimpse::{Glimpse, Sign};
use self::live::Live;
use self::orders::Order;
pub use self::orders::Orders;
use self::parked::Parked;
use self::pipeline::Pipeline;
pub use self::retention::Retention;
use self::task::{Done, Finished, Running, Task, work};
pub use self::thread::ShardThread;
use self::trial::Trials;
use crate::activation::Activation;
use crate::clock::Clock;
use crate::instances::Instances;
use crate::message::Reply;
use crate::metrics::{Meter, Metrics};
use crate::name::{AggregateId, Name};
use crate::store::{EventStore, SnapshotStore};
use crate::trace::Tracer;

/// Requests that wait for a shard to take them.
const MAILBOX_MAX: usize = 1_024;
/// Orders that wait for a shard: one asker at a time, and some room.
const ORDERS_MAX: usize = 4;
/// Aggregates a shard works on at once: each waits for storage most of the time.
const BUSY_MAX: usize = 1_024;
/// Requests that wait for one aggregate. More than this on one aggregate is overload,
/// however idle the others are.
const WAITING_PER_AGGREGATE_MAX: usize = 512;
/// Requests that wait for all busy aggregates of a shard together.
const WAITING_MAX: usize = 4_096;
/// Snapshots written at once when many aggregates leave memory together.
const SNAPSHOTS_AT_ONCE_MAX: usize = 64;

/// How a host goes on to newer code, whose events its aggregates have.
pub trait Succession: Send + Sync {
    /// Completes when the activation of this number or a newer one is live, with `true`, or when
    /// it cannot be had in time.
    fn follow(&self, activation: u64) -> BoxFuture<'static, bool>;
}

/// What one shard needs to serve its share of a domain.
#[derive(Clone)]
pub struct Service {
    /// The domain.
    pub domain: Name,
    /// The code that is live at first.
    pub activation: Arc<Activation>,
    /// How the host goes on to newer code that it meets in the log; `None` where every host has
    /// its own plugins.
    pub succession: Option<Arc<dyn Succession>>,
    /// The log.
    pub events: Arc<dyn EventStore>,
    /// The snapshots.
    pub snapshots: Arc<dyn SnapshotStore>,
    /// The clock.
    pub clock: Clock,
    /// The domain's counters.
    pub metrics: Arc<Metrics>,
    /// Takes traces of commands, where they are wanted.
    pub tracer: Option<Arc<dyn Tracer>>,
    /// A snapshot is taken every so many events.
    pub snapshot_frequency: u64,
    /// Beside that, one of an aggregate that has changed is taken this often, or never.
    pub snapshot_every: Option<Duration>,
    /// Live aggregates of the whole domain.
    pub cache_capacity: usize,
    /// Of a hundred commands, how many have their events tried out before they are stored.
    pub trial_percent: u8,
    /// How large a reply may be, in bytes.
    pub reply_bytes_max: Arc<dyn Fn() -> usize + Send + Sync>,
    /// Sees to it that what was said last is heard, before the shard's thread ends.
    pub last_words: Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
}

/// The shards of one domain.
pub struct Shards {
    entrance: Entrance,
    threads: Vec<JoinHandle<()>>,
}

impl Shards {
    /// Lets each thread serve its share, with the stores that live on it.
    pub fn serve(shards: Vec<(ShardThread, Service)>) -> Self {
        let count = shards.len();
        let (mut mailboxes, mut threads, mut orders) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (thread, service)) in shards.into_iter().enumerate() {
            let (sender, mailbox) = mpsc::channel(MAILBOX_MAX);
            let (order, ordered) = mpsc::channel(ORDERS_MAX);
            let capacity = service.cache_capacity.div_ceil(count).max(1);
            let meter = service.metrics.shard(number);
            threads.push(thread.begin(move |runtime| {
                let last_words = Arc::clone(&service.last_words);
                let shard = {
                    let _timers = runtime.enter();
                    Shard::new(service, capacity, meter)
                };
                thread::drive(runtime, shard.run(mailbox, ordered));
                runtime.block_on(last_words());
            }));
            mailboxes.push(sender);
            orders.push(order);
        }
        Self { entrance: Entrance::new(mailboxes, Orders::new(orders)), threads }
    }

    /// A way in beside this one.
    pub fn entrance(&self) -> Entrance {
        self.entrance.clone()
    }

    /// The way to tell them something beside requests.
    pub fn orders(&self) -> Orders {
        self.entrance.orders()
    }

    /// Which shard an aggregate belongs to, counted from 0.
    pub fn place(&self, id: &AggregateId) -> usize {
        self.entrance.place(id)
    }

    /// Hands a request to the shard of its aggregate.
    ///
    /// # Errors
    /// As [`Entrance::submit`] has them.
    pub fn submit(&self, job: Job) -> Result<(), Box<Undelivered>> {
        self.entrance.submit(job)
    }

    /// Lets every shard finish what it has, leave its snapshots and end. Blocks until then.
    pub fn stop(self) {
        drop(self.entrance);
        for thread in self.threads {
            // A panic would have ended the process.
            let _ = thread.join();
        }
    }
}

struct Shard {
    pipeline: Rc<Pipeline>,
    /// Live aggregates with nothing to do, least recently used first.
    idle: LinkedHashMap<AggregateId, Live>,
    /// Aggregates at work, with what waits for them.
    busy: HashMap<AggregateId, VecDeque<Task>>,
    /// Live aggregates with changes to save.
    behind: Behind,
    /// How many tasks wait for busy aggregates.
    waiting: usize,
    /// How many of the busy ones are on their way out of memory.
    leaving: usize,
    capacity: usize,
}

impl Shard {
    fn new(service: Service, capacity: usize, meter: Arc<Meter>) -> Self {
        let behind = Behind::new(service.snapshot_every);
        let pipeline = Pipeline {
            trials: Trials::new(Arc::clone(&service.activation), service.trial_percent),
            parked: Parked::default(),
            instances: Instances::new(service.activation, capacity),
            succession: service.succession,
            domain: service.domain,
            events: service.events,
            snapshots: service.snapshots,
            clock: service.clock,
            metrics: service.metrics,
            meter,
            tracer: service.tracer,
            snapshot_frequency: service.snapshot_frequency.max(1),
            reply_bytes_max: service.reply_bytes_max,
            cursors: std::cell::RefCell::default(),
        };
        Self {
            pipeline: Rc::new(pipeline),
            idle: LinkedHashMap::new(),
            busy: HashMap::new(),
            behind,
            waiting: 0,
            leaving: 0,
            capacity,
        }
    }

    /// Runs until the mailbox is closed and everything begun is finished.
    async fn run(mut self, mut mailbox: mpsc::Receiver<Job>, mut orders: mpsc::Receiver<Order>) {
        self.pipeline.instances.prepare();
        let mut running = Running::new();
        let mut open = true;
        while open || !running.is_empty() {
            self.pipeline.meter.turn(self.idle.len() + self.busy.len(), self.waiting);
            tokio::select! {
                Some(order) = orders.recv() => self.obey(order, &mut running),
                Some(finished) = running.next(), if !running.is_empty() => self.finished(finished, &mut running),
                id = self.behind.next(), if open => self.save_behind(id, &mut running),
                job = mailbox.recv(), if open && running.len() < BUSY_MAX => match job {
                    Some(job) => self.take(job, &mut running).await,
                    None => open = false,
                },
            }
        }
        self.farewell().await;
    }

    fn obey(&mut self, order: Order, running: &mut Running) {
        match order {
            Order::Activate(activation, heard) => {
                self.pipeline.trials.activate(Arc::clone(&activation));
                self.pipeline.instances.activate(activation);
                self.pipeline.instances.prepare();
                self.sweep(running);
                // Nobody may wait for it any more.
                let _ = heard.send(());
            }
            Order::Recent(limit, told) => {
                let idle = self.idle.iter().rev().map(|(id, _)| id);
                let _ = told.send(self.busy.keys().chain(idle).take(limit).cloned().collect());
            }
            Order::Cover(id, cover) => match self.busy.get_mut(&id) {
                // Who orders waits for the answer, so that there are few of these.
                Some(waiting) => {
                    waiting.push_back(Task::Cover(cover));
                    self.waiting += 1;
                }
                None => self.begin(id, Task::Cover(cover), running),
            },
            Order::Behind(told) => {
                let _ = told.send(self.idle.values().map(Live::events_behind).max().unwrap_or_default());
            }
        }
    }

    /// Begins a job, or lets it wait for its aggregate.
    async fn take(&mut self, job: Job, running: &mut Running) {
        let id = job.request.id().clone();
        if let Some(waiting) = self.busy.get_mut(&id) {
            if waiting.len() < WAITING_PER_AGGREGATE_MAX && self.waiting < WAITING_MAX {
                waiting.push_back(Task::Serve(job));
                self.waiting += 1;
            } else {
                let reply = Reply::Error(overloaded(&id));
                self.pipeline.trace_refused(&job, &reply);
                self.pipeline.reply(job, reply).await;
            }
            return;
        }
        self.begin(id, Task::Serve(job), running);
    }

    /// Begins a task of an aggregate that has nothing to do.
    fn begin(&mut self, id: AggregateId, task: Task, running: &mut Running) {
        let live = self.idle.remove(&id);
        self.busy.insert(id.clone(), VecDeque::new());
        running.push(Box::pin(work(Rc::clone(&self.pipeline), id, live, task)));
    }

    /// Goes on with the aggregate's next task, or lays it to rest.
    fn finished(&mut self, finished: Finished, running: &mut Running) {
        let Finished { id, live, done } = finished;
        self.leaving -= usize::from(done == Done::Left);
        if live.as_ref().is_some_and(|live| live.is_sound() && live.is_unsaved()) {
            if done == Done::Saved {
                self.behind.pause();
            }
            self.behind.note(&id);
        }
        if let Some(task) = self.busy.get_mut(&id).and_then(VecDeque::pop_front) {
            self.waiting -= 1;
            running.push(Box::pin(work(Rc::clone(&self.pipeline), id, live, task)));
        } else {
            self.busy.remove(&id);
            match live {
                // Its instance was to end while it was at work, so no sweep has seen it.
                Some(live) if live.is_homeless() => drop(self.evict(id, Some(live), running)),
                Some(live) => drop(self.idle.insert(id, live)),
                None => {}
            }
        }
        self.sweep(running);
        while self.idle.len() + self.busy.len() > self.capacity + self.leaving {
            let Some((id, live)) = self.idle.pop_front() else { break };
            self.evict(id, Some(live), running);
        }
    }

    /// Saves what an aggregate has changed, unless it is at work: its turn then comes again.
    fn save_behind(&mut self, id: AggregateId, running: &mut Running) {
        if self.busy.contains_key(&id) {
            self.behind.note(&id);
        } else if self.idle.get(&id).is_some_and(|live| live.is_sound() && live.is_unsaved()) {
            self.begin(id, Task::Save, running);
        }
    }

    /// Lets the idle aggregates of instances that end leave memory, some at once: each that leaves has
    /// the next ones looked for.
    fn sweep(&mut self, running: &mut Running) {
        if !self.pipeline.instances.needs_sweep() {
            return;
        }
        let homeless = self.idle.iter().filter(|(_, live)| live.is_homeless()).map(|(id, _)| id.clone());
        let mut saved = 0;
        for id in homeless.collect::<Vec<_>>() {
            if saved == SNAPSHOTS_AT_ONCE_MAX {
                self.pipeline.instances.sweep_again();
                break;
            }
            let live = self.idle.remove(&id);
            saved += usize::from(self.evict(id, live, running));
        }
    }

    /// Lets an aggregate leave memory, with a snapshot behind it where that is worth it: whether it is.
    fn evict(&mut self, id: AggregateId, live: Option<Live>, running: &mut Running) -> bool {
        self.behind.forget(&id);
        let Some(mut live) = live.filter(|live| live.is_sound() && live.is_worth_saving()) else { return false };
        self.busy.insert(id.clone(), VecDeque::new());
        self.leaving += 1;
        let pipeline = Rc::clone(&self.pipeline);
        running.push(Box::pin(async move {
            pipeline.save_or_warn(&id, &mut live).await;
            Finished { id, live: None, done: Done::Left }
        }));
        true
    }

    /// Leaves a snapshot of every aggregate that has unsaved events.
    async fn farewell(&mut self) {
        let pipeline = &self.pipeline;
        let unsaved =
            std::mem::take(&mut self.idle).into_iter().filter(|(_, live)| live.is_sound() && live.is_unsaved());
        futures::stream::iter(unsaved)
            .for_each_concurrent(SNAPSHOTS_AT_ONCE_MAX, |(id, mut live)| async move {
                pipeline.save_or_warn(&id, &mut live).await;
            })
            .await;
    }
}
