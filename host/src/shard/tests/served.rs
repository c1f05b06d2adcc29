//! Hosts of the counter domain without NATS, and what outlives them: log, snapshots, clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::activation::Activation;
use crate::clock::Clock;
use crate::domain::Digest;
use crate::message::{Command, Failure, Query, Reply, Request};
use crate::metrics::Metrics;
use crate::name::AggregateId;
use crate::shard::{Job, Orders, Responder, Retention, Service, ShardThread, Shards};
use crate::store::memory::events::MemoryEvents;
use crate::testing::counter::{Counter, Seen, name_of};
use crate::testing::shelf::Shelf;

/// How long a reply may take before the test fails: far longer than any should.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where the clock stands at first, in milliseconds.
pub(super) const START_MS: u64 = 1_000_000;

/// What outlives a host.
#[derive(Clone)]
pub(super) struct World {
    pub(super) events: MemoryEvents,
    pub(super) snapshots: Shelf,
    now_ms: Arc<AtomicU64>,
    /// Commands so far, for ids of their own.
    commands: Arc<AtomicUsize>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            events: MemoryEvents::new(),
            snapshots: Shelf::default(),
            now_ms: Arc::new(AtomicU64::new(START_MS)),
            commands: Arc::default(),
        }
    }

    /// Turns the clock.
    pub(super) fn set_clock(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }

    /// A host that runs the counter's first version.
    pub(super) fn host(&self) -> Host {
        self.host_with(Counter::new(), |_| {})
    }

    /// A host of this code with other settings.
    pub(super) fn host_with(&self, counter: Counter, settings: impl FnOnce(&mut Service)) -> Host {
        let seen = Arc::clone(&counter.seen);
        let mut service = self.service(Activation::new(Arc::new(counter), 1, BTreeSet::new()));
        settings(&mut service);
        self.host_of(vec![service], seen)
    }

    /// A host of this code under this activation number.
    pub(super) fn host_at(&self, number: u64, counter: Counter) -> Host {
        let seen = Arc::clone(&counter.seen);
        self.host_of(vec![self.service(Activation::new(Arc::new(counter), number, BTreeSet::new()))], seen)
    }

    /// A host that runs the counter's first version on several threads.
    pub(super) fn host_of_shards(&self, shards: usize) -> Host {
        let counter = Counter::new();
        let seen = Arc::clone(&counter.seen);
        let service = self.service(Activation::new(Arc::new(counter), 1, BTreeSet::new()));
        self.host_of(vec![service; shards], seen)
    }

    /// What keeps this host's aggregates from ageing away, with that margin.
    pub(super) fn retention(&self, host: &Host, margin: Duration) -> Retention {
        let events = Arc::new(self.events.clone());
        let clock = Clock::Fixed(Arc::clone(&self.now_ms));
        Retention::new(name_of("counter"), events, host.orders(), Arc::clone(&host.metrics), clock, margin)
    }

    fn service(&self, activation: Activation) -> Service {
        Service {
            domain: name_of("counter"),
            activation: Arc::new(activation),
            succession: None,
            events: Arc::new(self.events.clone()),
            snapshots: Arc::new(self.snapshots.clone()),
            clock: Clock::Fixed(Arc::clone(&self.now_ms)),
            metrics: Arc::default(),
            tracer: None,
            snapshot_frequency: 1_000,
            snapshot_every: None,
            cache_capacity: 10_000,
            trial_percent: 0,
            reply_bytes_max: Arc::new(|| 1 << 20),
            last_words: Arc::new(|| Box::pin(std::future::ready(()))),
        }
    }

    fn host_of(&self, services: Vec<Service>, seen: Arc<Seen>) -> Host {
        let metrics = Arc::clone(&services[0].metrics);
        let threads = services.iter().map(|_| ShardThread::start("test").expect("a thread"));
        let shards = Shards::serve(threads.zip(services.iter().cloned()).collect());
        Host { shards: Some(shards), metrics, seen, commands: Arc::clone(&self.commands) }
    }
}

/// A host of the counter domain. It stops when it is dropped.
pub(super) struct Host {
    shards: Option<Shards>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) seen: Arc<Seen>,
    commands: Arc<AtomicUsize>,
}

impl Host {
    /// Sends a command under an id of its own and waits for its reply.
    #[track_caller]
    pub(super) fn send(&self, counter: &str, verb: &str, n: u64) -> Answer {
        self.ask(self.command(counter, verb, n))
    }

    /// Sends a command under this id and waits for its reply.
    #[track_caller]
    pub(super) fn send_as(&self, command_id: &str, counter: &str, verb: &str, n: u64) -> Answer {
        self.ask(Command { command_id: command_id.into(), ..self.command(counter, verb, n) })
    }

    /// A command under an id of its own.
    pub(super) fn command(&self, counter: &str, verb: &str, n: u64) -> Command {
        let nth = self.commands.fetch_add(1, Ordering::SeqCst);
        Command {
            id: id(counter),
            verb: name_of(verb),
            payload: json!({ "n": n }).to_string().into(),
            command_id: format!("command-{nth}"),
            expected_version: None,
            correlation_id: None,
            actor: None,
            traceparent: None,
            tracestate: None,
        }
    }

    #[track_caller]
    pub(super) fn ask(&self, command: Command) -> Answer {
        self.begin(Request::Command(command)).expect("the shard takes it").wait()
    }

    #[track_caller]
    pub(super) fn state(&self, counter: &str) -> Answer {
        self.query(Query::State { id: id(counter), at_version: None })
    }

    #[track_caller]
    pub(super) fn state_at(&self, counter: &str, version: u64) -> Answer {
        self.query(Query::State { id: id(counter), at_version: Some(version) })
    }

    #[track_caller]
    pub(super) fn history(&self, counter: &str, after: u64, limit: usize) -> Answer {
        self.query(Query::History { id: id(counter), after, limit })
    }

    #[track_caller]
    fn query(&self, query: Query) -> Answer {
        self.begin(Request::Query(query)).expect("the shard takes it").wait()
    }

    /// Hands a request over without waiting for its reply.
    pub(super) fn begin(&self, request: Request) -> Result<Pending, Failure> {
        let (sender, reply) = mpsc::channel();
        let job = Job { request, responder: Box::new(Mailed(sender)), arrived: Instant::now() };
        let shards = self.shards.as_ref().expect("it runs");
        shards.submit(job).map_err(|undelivered| undelivered.failure)?;
        Ok(Pending(reply))
    }

    /// The way to tell its shards something beside requests.
    pub(super) fn orders(&self) -> Orders {
        self.shards.as_ref().expect("it runs").orders()
    }

    /// Lets other code decide from now on, which may take the state of `proven` code for its own.
    pub(super) fn activate(&self, counter: Counter, number: u64, proven: &[Digest]) {
        let proven = proven.iter().copied().collect();
        block_on(self.orders().activate(&Arc::new(Activation::new(Arc::new(counter), number, proven))));
    }

    /// Stops as on SIGTERM.
    pub(super) fn stop(mut self) {
        self.shards.take().expect("it runs").stop();
    }

    /// Aggregates in the plugin's memory.
    pub(super) fn live(&self) -> usize {
        self.seen.live.load(Ordering::SeqCst)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A test that fails may have left what a stop would wait for.
        if let Some(shards) = self.shards.take()
            && !std::thread::panicking()
        {
            shards.stop();
        }
    }
}

struct Mailed(mpsc::Sender<Reply>);

impl Responder for Mailed {
    fn respond(self: Box<Self>, reply: Reply, _after: Duration) -> BoxFuture<'static, ()> {
        // A test that failed already waits no more.
        let _ = self.0.send(reply);
        std::future::ready(()).boxed()
    }
}

/// A reply that is on its way.
pub(super) struct Pending(mpsc::Receiver<Reply>);

impl Pending {
    #[track_caller]
    pub(super) fn wait(self) -> Answer {
        let reply = self.0.recv_timeout(PATIENCE).expect("a reply");
        Answer(serde_json::from_slice(&reply.to_bytes()).expect("JSON"))
    }
}

/// A reply as a client reads it.
#[derive(Debug)]
pub(super) struct Answer(pub(super) Value);

impl Answer {
    /// Asserts that it is a first `ok`, at this version.
    #[track_caller]
    pub(super) fn ok(self, version: u64) -> Self {
        assert_eq!((&self["status"], &self["version"]), (&json!("ok"), &json!(version)), "{self:?}");
        assert_ne!(self["duplicate"], true, "{self:?}");
        self
    }

    /// Asserts that it is the `ok` of an earlier delivery, at the version of that time.
    #[track_caller]
    pub(super) fn duplicate(self, version: u64) -> Self {
        assert_eq!((&self["status"], &self["version"]), (&json!("ok"), &json!(version)), "{self:?}");
        assert_eq!(self["duplicate"], true, "{self:?}");
        self
    }

    /// Asserts that it is an error of this code; gives its message.
    #[track_caller]
    pub(super) fn error(self, code: &str) -> String {
        assert_eq!((&self["status"], &self["code"]), (&json!("error"), &json!(code)), "{self:?}");
        self["message"].as_str().expect("a message").to_owned()
    }

    /// How many events it tells of.
    pub(super) fn events(&self) -> usize {
        self["events"].as_array().map_or(0, Vec::len)
    }

    /// The count that it shows.
    pub(super) fn count(&self) -> u64 {
        self["state"]["count"].as_u64().expect("a count")
    }
}

impl std::ops::Index<&str> for Answer {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        &self.0[field]
    }
}

pub(super) fn id(id: &str) -> AggregateId {
    AggregateId::new(id).expect("an id")
}
