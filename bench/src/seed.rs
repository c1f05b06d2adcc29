//! A stream that is full of events from the start, as a host would have written them, without the
//! time that a host takes. It must not know what reads them.

use std::path::Path;

use agent_service::activation::plugin_text;
use anyhow::{Context as _, Result};
use async_nats::HeaderMap;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use uuid::Uuid;

use crate::agents;
use crate::contender::Contender;
use crate::ground::Ground;
use crate::host_process::HostProcess;
use crate::options::Plan;
use crate::place::{Component, Native};
use crate::sample_agent::{DEPLOY, UPDATE, deployment, update};

/// Events that wait for their acknowledgement.
const UNACKNOWLEDGED_MAX: usize = 512;
/// Events of an agent that is only there to fill the stream.
const OTHERS_EVENTS: u64 = 100;

/// The events of agents, all alike but for their ids.
pub(crate) struct Seed {
    /// The first event and any later one: name, and payload with the nil UUID for an id.
    events: [(&'static str, String); 2],
    plugin: String,
}

impl Seed {
    /// Lets a host make the stream and note the code that it serves, and ends it.
    pub(crate) async fn prepare(plan: &Plan, ground: &Ground) -> Result<Self> {
        HostProcess::start(plan, ground, "first", &[]).await?.stop()?;
        Self::of(&plan.plugin)
    }

    fn of(plugin: &Path) -> Result<Self> {
        let id = Uuid::nil().to_string();
        let mut agent = Native::new(&id);
        let deployed = agent.events(DEPLOY, &deployment(&id))?.pop();
        // Values that no load begins with: what changes nothing is refused.
        agent.events(UPDATE, &update(&id, 500_000))?;
        // It has an old value, as all but the first change have.
        let changed = agent.events(UPDATE, &update(&id, 500_001))?.pop();
        let (first, later) = deployed.zip(changed).context("a command leads to no event")?;
        let text = |(name, payload): (_, Vec<u8>)| anyhow::Ok((name, String::from_utf8(payload)?));
        let plugin = plugin_text(&**Component::load(plugin)?.plugin()).to_string();
        Ok(Self { events: [text(first)?, text(later)?], plugin })
    }

    /// Fills the stream with so many events: those of some agents, spread over the whole of it, and
    /// between them those of others. Gives the first ones' ids.
    pub(crate) async fn sow(
        &self,
        ground: &Ground,
        agents: u64,
        history: u64,
        stream_events: u64,
    ) -> Result<Vec<String>> {
        let ids = |count: u64| agents::ids(usize::try_from(count).unwrap_or(usize::MAX));
        let between = (stream_events / history).saturating_sub(agents);
        let (own, others) = (ids(agents), ids((between * history).div_ceil(OTHERS_EVENTS).max(1)));
        let (mut unacknowledged, mut sown) = (FuturesUnordered::new(), 0);
        for version in 1..=history {
            let mut now: Vec<(&str, u64)> = own.iter().map(|id| (id.as_str(), version)).collect();
            for _ in 0..between {
                let (round, nth) = (sown / others.len(), sown % others.len());
                now.push((&others[nth], round as u64 + 1));
                sown += 1;
            }
            for (id, version) in now {
                while unacknowledged.len() >= UNACKNOWLEDGED_MAX {
                    unacknowledged.next().await.transpose()?;
                }
                let (name, payload) = &self.events[usize::from(version > 1)];
                let subject = format!("{}.events.{id}.{name}", Contender::Service.domain());
                let payload = payload.replace(&Uuid::nil().to_string(), id).into();
                let sent = ground.context.publish_with_headers(subject, self.headers(id, name, version), payload);
                unacknowledged.push(sent.await?.into_future());
            }
        }
        while let Some(acknowledged) = unacknowledged.next().await {
            acknowledged?;
        }
        Ok(own)
    }

    fn headers(&self, id: &str, name: &str, version: u64) -> HeaderMap {
        let (event, command) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", event.as_str());
        headers.insert("ce-id", event);
        headers.insert("ce-specversion", "1.0");
        headers.insert("content-type", "application/json");
        headers.insert("ce-type", format!("{}.{name}", Contender::Service.domain()));
        headers.insert("ce-source", format!("/local/{}", Contender::Service.stream()));
        headers.insert("ce-subject", id);
        headers.insert("ce-time", "2026-01-01T00:00:00.000Z");
        headers.insert("ce-sequence", version.to_string());
        headers.insert("ce-causationid", command.as_str());
        headers.insert("ce-correlationid", command);
        headers.insert("ce-plugin", self.plugin.as_str());
        headers.insert("ce-activation", "1");
        headers
    }
}
