//! A whole stream through the component, held against reading it without. The host's own reading and
//! its own plugin module; it must not know how either is done.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_service::activation::Activation;
use agent_service::domain::{DomainEvent, Generation, Handle, Instance};
use agent_service::name::{AggregateId, Name};
use agent_service::store::jetstream::{EventStream, Home, JetStreamEvents, JetStreamSnapshots, OpenBatches};
use agent_service::store::{EventStore, Extent, SnapshotStore};
use agent_service::verify::Verification;
use anyhow::{Context as _, Result, anyhow, ensure};
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::{self, Context};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::runtime::Runtime;

use super::Scenario;
use crate::contender::Contender;
use crate::ground::{Ground, connect};
use crate::options::Plan;
use crate::place::Component;
use crate::results::{Cell, Figure, Goal, Outcome, Table, Unit};
use crate::seed::Seed;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "replay",
    about: "A whole stream through the component, by the host's own reading, and the same reading without a component",
    run,
};

/// Events read at once, as where a host walks its log.
const PAGE_EVENTS: usize = 200;
/// Aggregates in one instance, as in a host.
const AGGREGATES_PER_INSTANCE: usize = 256;
/// Aggregates that may be in memory at once.
const AGGREGATES_MAX: usize = 100_000;

/// The log as a host has it, on a connection that is driven by a thread of its own.
struct Log {
    runtime: Runtime,
    context: Context,
    events: Arc<JetStreamEvents>,
    snapshots: Arc<JetStreamSnapshots>,
    extent: Extent,
}

fn run(plan: &Plan) -> Result<Outcome> {
    let ground = crate::event_loop()?.block_on(sown(plan))?;
    let log = Log::open(&ground)?;
    let component = Component::load(&plan.plugin)?;
    let names = [
        "the host's reading, no component",
        "the same through the component",
        "an ordered consumer",
        "`verify`: the same, and what hosts promise of a log",
    ];
    let mut rates = names.map(|_| Vec::new());
    for round in 0..plan.rounds as usize {
        for nth in 0..names.len() {
            let who = (round + nth) % names.len();
            let took = match who {
                0 => log.read(None)?,
                1 => log.read(Some(&component))?,
                2 => log.consume()?,
                _ => log.verify(&component)?,
            };
            rates[who].push(log.extent.last_sequence as f64 / took.as_secs_f64());
        }
    }
    let figures = rates.map(|rounds| Figure::new(Unit::PerSecond, rounds));
    let mut table = Table::new(["a stream is read by", "events/s", "to the host's reading"]);
    for (name, figure) in names.into_iter().zip(&figures) {
        table.row([Cell::from(name), figure.clone().into(), figure.to(&figures[0]).into()]);
    }
    let promise = format!("replay of {} events, rate to reading them without the component", log.extent.last_sequence);
    let goals = vec![Goal::at_least(0.8, promise, figures[1].to(&figures[0]))];
    Ok(Outcome { goals, tables: vec![table], notes: Vec::new() })
}

/// A server whose stream is full. What it was filled by is gone.
async fn sown(plan: &Plan) -> Result<Ground> {
    let ground = Ground::start().await?;
    let seed = Seed::prepare(plan, &ground).await?;
    seed.sow(&ground, 1, 100, plan.stream_events / 5).await?;
    Ok(ground)
}

impl Log {
    fn open(ground: &Ground) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let domain = Name::new(Contender::Service.domain())?;
        let (context, events, snapshots) = runtime.block_on(async {
            let client = connect(ground.url()).await?;
            let context = jetstream::new(client.clone());
            let stream = EventStream::find(&context, &domain, &Contender::Service.stream()).await?;
            let home = Home {
                domain: domain.clone(),
                stream: stream.context("there is no stream")?,
                js_domain: String::new(),
                ack_timeout: Duration::from_secs(5),
                misplaced: tokio::sync::watch::Sender::new(None),
                open_batches: OpenBatches::default(),
                lost: Arc::default(),
            };
            let snapshots = JetStreamSnapshots::open(client.clone(), &context, &domain, 1).await?;
            anyhow::Ok((context.clone(), JetStreamEvents::new(client, context, home), snapshots))
        })?;
        let extent = runtime.block_on(events.extent())?;
        Ok(Self { runtime, context, events: Arc::new(events), snapshots: Arc::new(snapshots), extent })
    }

    /// Reads all events, and applies them where there is a component.
    fn read(&self, component: Option<&Component>) -> Result<Duration> {
        let begun = Instant::now();
        let mut live = component.map(Live::new);
        let (mut pages, mut read) = (self.events.scan(1, self.extent.last_sequence, PAGE_EVENTS), 0);
        while let Some(page) = self.runtime.block_on(pages.try_next())? {
            for (id, event) in &page.events {
                let origin = event.origin.as_ref().map_err(|why| anyhow!("a foreign event: {why}"))?;
                if let Some(live) = &mut live {
                    let (name, _) = event.written_as(origin.version).map_err(|why| anyhow!(why))?;
                    live.evolve(id, DomainEvent { name, payload: event.payload.clone() })?;
                }
                read += 1;
            }
        }
        ensure!(read == self.extent.last_sequence, "{read} events were read of {}", self.extent.last_sequence);
        Ok(begun.elapsed())
    }

    /// Reads all events as a client would.
    fn consume(&self) -> Result<Duration> {
        let begun = Instant::now();
        self.runtime.block_on(async {
            let stream = self.context.get_stream_no_info(Contender::Service.stream()).await?;
            let consumer = stream.create_consumer(OrderedConfig::default()).await?;
            let mut messages = consumer.messages().await?.take(usize::try_from(self.extent.last_sequence)?);
            while messages.try_next().await?.is_some() {}
            anyhow::Ok(())
        })?;
        Ok(begun.elapsed())
    }

    /// All that the host's `verify` does.
    fn verify(&self, component: &Component) -> Result<Duration> {
        let generation: Arc<dyn Generation> = component.plugin().clone();
        let events: Arc<dyn EventStore> = self.events.clone();
        let snapshots: Arc<dyn SnapshotStore> = self.snapshots.clone();
        let begun = Instant::now();
        let verification = Verification {
            code: Arc::new(Activation::new(generation, 1, BTreeSet::default())),
            events,
            snapshots,
            aggregates_max: AGGREGATES_MAX,
            runtime: self.runtime.handle().clone(),
            progress: &|_| {},
        };
        verification.run()?;
        Ok(begun.elapsed())
    }
}

/// Aggregates in instances, as a host keeps them.
struct Live<'a> {
    component: &'a Component,
    instances: Vec<Box<dyn Instance>>,
    aggregates: HashMap<AggregateId, (usize, Handle)>,
}

impl<'a> Live<'a> {
    fn new(component: &'a Component) -> Self {
        Self { component, instances: Vec::new(), aggregates: HashMap::new() }
    }

    fn evolve(&mut self, id: &AggregateId, event: DomainEvent) -> Result<()> {
        let (instance, handle) = match self.aggregates.get(id) {
            Some(place) => *place,
            None => {
                if self.aggregates.len().is_multiple_of(AGGREGATES_PER_INSTANCE) {
                    self.instances.push(self.component.plugin().instantiate()?);
                }
                let last = self.instances.len() - 1;
                let place = (last, self.instances[last].create(id)?);
                self.aggregates.insert(id.clone(), place);
                place
            }
        };
        Ok(self.instances[instance].evolve(handle, &[event])??)
    }
}
