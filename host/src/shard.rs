//! A shard: one thread of one domain, the aggregates whose ids hash to it, and a bounded
//! mailbox. An aggregate's requests run one after another, different aggregates' side by
//! side while they wait for storage. Knows neither NATS nor WebAssembly.

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
mod retention;
#[cfg(test)]
mod tests;
mod thread;
mod traced;
mod trial;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use futures::StreamExt;
use futures::future::{BoxFuture, LocalBoxFuture};
use futures::stream::FuturesUnordered;
use hashlink::LinkedHashMap;
use tokio::sync::mpsc;

pub use self::cover::Covered;
use self::entrance::overloaded;
pub use self::entrance::{Entrance, Job, Responder, Undelivered};
pub use self::glimpse::{Glimpse, Sign};
use self::live::Live;
pub use self::orders::Orders;
use self::orders::{Cover, Order};
use self::parked::Parked;
use self::pipeline::Pipeline;
pub use self::retention::Retention;
pub use self::thread::ShardThread;
use self::trial::Trials;
use crate::activation::Activation;
use crate::clock::Clock;
use crate::instances::Instances;
use crate::message::Reply;
use crate::metrics::{Meter, Metrics, Stage};
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
    /// Live aggregates of the whole domain.
    pub cache_capacity: usize,
    /// Of a hundred commands, how many have their events tried out before they are stored.
    pub trial_percent: u8,
    /// How large a reply may be, in bytes.
    pub reply_bytes_max: Arc<dyn Fn() -> usize + Send + Sync>,
    /// Sees to it that what was said last is heard, before the shard's thread ends.
    pub last_words: Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
}

/// What one aggregate is given to do.
enum Task {
    /// A request.
    Serve(Job),
    /// To leave a snapshot.
    Cover(Cover),
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
                thread::drive(runtime, Shard::new(service, capacity, meter).run(mailbox, ordered));
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

/// What a shard has begun and waits for.
type Running = FuturesUnordered<LocalBoxFuture<'static, Finished>>;

/// An aggregate that is done with what it was given.
struct Finished {
    id: AggregateId,
    live: Option<Live>,
    /// Whether it was on its way out of memory.
    left: bool,
}

struct Shard {
    pipeline: Rc<Pipeline>,
    /// Live aggregates with nothing to do, least recently used first.
    idle: LinkedHashMap<AggregateId, Live>,
    /// Aggregates at work, with what waits for them.
    busy: HashMap<AggregateId, VecDeque<Task>>,
    /// How many tasks wait for busy aggregates.
    waiting: usize,
    /// How many of the busy ones are on their way out of memory.
    leaving: usize,
    capacity: usize,
}

impl Shard {
    fn new(service: Service, capacity: usize, meter: Arc<Meter>) -> Self {
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
            waiting: 0,
            leaving: 0,
            capacity,
        }
    }

    /// Runs until the mailbox is closed and everything begun is finished.
    async fn run(mut self, mut mailbox: mpsc::Receiver<Job>, mut orders: mpsc::Receiver<Order>) {
        let mut running = Running::new();
        let mut open = true;
        while open || !running.is_empty() {
            self.pipeline.meter.turn(self.idle.len() + self.busy.len(), self.waiting);
            tokio::select! {
                Some(order) = orders.recv() => self.obey(order, &mut running),
                Some(finished) = running.next(), if !running.is_empty() => self.finished(finished, &mut running),
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
        let Finished { id, live, left } = finished;
        self.leaving -= usize::from(left);
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

    /// Lets an aggregate leave memory, with a snapshot behind it where it has unsaved events: whether it has.
    fn evict(&mut self, id: AggregateId, live: Option<Live>, running: &mut Running) -> bool {
        let Some(mut live) = live.filter(|live| live.is_sound() && live.is_unsaved()) else { return false };
        self.busy.insert(id.clone(), VecDeque::new());
        self.leaving += 1;
        let pipeline = Rc::clone(&self.pipeline);
        running.push(Box::pin(async move {
            pipeline.save_or_warn(&id, &mut live).await;
            Finished { id, live: None, left: true }
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

/// Does one task.
async fn work(pipeline: Rc<Pipeline>, id: AggregateId, mut live: Option<Live>, task: Task) -> Finished {
    match task {
        Task::Serve(mut job) => match pipeline.begin_trace(&mut job) {
            None => serve(&pipeline, &id, &mut live, job).await,
            // Boxed, so that the future of a command that is not traced is no larger for it.
            Some(trace) => Box::pin(traced::serve(&pipeline, &id, &mut live, job, trace)).await,
        },
        Task::Cover(Cover { through, told }) => {
            let covered = pipeline.cover(&mut live, &id, through).await;
            // Who ordered it may have gone.
            let _ = told.send(covered);
        }
    }
    Finished { id, live, left: false }
}

/// Serves one request, replies, applies what it stored, then takes the snapshot that is due.
async fn serve(pipeline: &Pipeline, id: &AggregateId, live: &mut Option<Live>, job: Job) {
    pipeline.passed(Stage::Queue, job.arrived.elapsed());
    let reply = pipeline.serve(live, &job.request).await;
    pipeline.reply(job, reply).await;
    pipeline.apply_stored(id, live);
    if let Some(live) = live.as_mut()
        && pipeline.snapshot_due(live)
    {
        pipeline.save_or_warn(id, live).await;
    }
}
