//! Loads the agent's events by an ordered consumer for each command, as an aggregate without a host
//! of its own is: nothing is kept between two commands. It must not know snapshots.

use agent_guest::live::Aggregate;
use anyhow::{Context as _, Result, anyhow};
use async_nats::Client;
use async_nats::jetstream;
use async_nats::jetstream::consumer::Consumer;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use futures::StreamExt as _;
use plugin_agent::Agent;

use super::append::Appender;
use super::native::{decide, only};
use super::{Answer, Answers, Request, accepted};
use crate::contender::Contender;

pub(super) struct Reload {
    context: jetstream::Context,
    contender: Contender,
    appender: Appender,
}

/// An agent as its events give it.
struct Loaded {
    state: Aggregate<Agent>,
    version: u64,
    last_sequence: u64,
}

impl Loaded {
    fn new(id: &str) -> Self {
        Self { state: Aggregate::new(id), version: 0, last_sequence: 0 }
    }
}

impl Reload {
    pub(super) fn new(client: &Client, contender: Contender) -> Self {
        let context = jetstream::new(client.clone());
        Self { context, contender, appender: Appender::new(client, contender) }
    }

    async fn load(&self, id: &str) -> Result<Loaded> {
        let stream = self.context.get_stream_no_info(self.contender.stream()).await?;
        let filter_subject = format!("{}.events.{id}.*", self.contender.domain());
        let consumer = stream.create_consumer(OrderedConfig { filter_subject, ..OrderedConfig::default() }).await?;
        let (name, missing) = (consumer.cached_info().name.clone(), consumer.cached_info().num_pending);
        let loaded = if missing == 0 { Ok(Loaded::new(id)) } else { Self::read(id, consumer, missing).await };
        // Left alone it would stand for minutes, and JetStream has room for so many.
        stream.delete_consumer(&name).await?;
        loaded
    }

    async fn read(id: &str, consumer: Consumer<OrderedConfig>, mut missing: u64) -> Result<Loaded> {
        let mut loaded = Loaded::new(id);
        let mut messages = consumer.messages().await?;
        while missing > 0 {
            let message = messages.next().await.context("the consumer has ended")??;
            let name = message.subject.rsplit('.').next().unwrap_or_default();
            let evolved = loaded.state.evolve([(name, &message.payload[..])]);
            evolved.map_err(|error| anyhow!("an event cannot be applied: {}", error.message))?;
            loaded.version += 1;
            loaded.last_sequence = message.info().map_err(|error| anyhow!(error))?.stream_sequence;
            missing -= 1;
        }
        Ok(loaded)
    }
}

impl Answers for Reload {
    async fn answer(&self, request: &Request<'_>) -> Result<Answer> {
        let loaded = self.load(request.id).await?;
        let fact = only(decide(&loaded.state, request, loaded.version)?)?;
        let version = loaded.version + 1;
        let sequence = self.appender.append(request, &fact, version, loaded.last_sequence).await?;
        Ok(accepted(request.id, &[fact], version, sequence))
    }
}
