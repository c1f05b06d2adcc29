//! Where an agent may live: inside the component, as bytes beside it, or in this program. The same
//! commands go to all of them. It must not know NATS, nor what is measured.

use std::path::Path;
use std::sync::Arc;

use agent_guest::live::Aggregate;
use agent_service::clock::Timestamp;
use agent_service::domain::{Context, Decision, DomainEvent, Generation as _, Handle, Instance};
use agent_service::name::{AggregateId, Name};
use agent_service::plugin::{Limits, Plugin, PluginEngine};
use anyhow::{Context as _, Result, anyhow, bail};
use plugin_agent::Agent;

use crate::sample_agent::{DEPLOY, UPDATE, deployment, fill, settings_in, update};

/// Any moment does: nothing here asks for the time.
const NOW: u64 = 1_767_225_600_000;
/// What one command adds at most, in bytes: the agent takes 256 settings at a time.
const FILL_BYTES_MAX: usize = 25_000;

/// An agent that takes commands, wherever it lives.
pub trait Place {
    /// Decides and evolves.
    ///
    /// # Errors
    /// Where the command is refused, or the place fails.
    fn command(&mut self, verb: &str, payload: &str) -> Result<()>;

    /// Its state in the plugin's own format.
    ///
    /// # Errors
    /// Where the place fails.
    fn state(&mut self) -> Result<Vec<u8>>;
}

/// Deploys the agent and gives it settings until its state has that size, or the least that an
/// agent can have; tells the size.
///
/// # Errors
/// As [`Place`] has them.
pub fn grow(agent: &mut impl Place, bytes: usize, id: &str) -> Result<usize> {
    agent.command(DEPLOY, &deployment(id))?;
    agent.command(UPDATE, &update(id, 0))?;
    let mut missing = bytes.saturating_sub(agent.state()?.len());
    let mut settings = 0;
    while settings_in(missing) > 0 {
        let now = missing.min(FILL_BYTES_MAX);
        agent.command(UPDATE, &fill(id, settings, now))?;
        settings += settings_in(now);
        missing -= now;
    }
    Ok(agent.state()?.len())
}

/// The agent component, loaded as a host loads it.
pub struct Component {
    plugin: Arc<Plugin>,
    verbs: [Name; 2],
}

impl Component {
    /// Compiles it.
    ///
    /// # Errors
    /// Where the file cannot be read or is no plugin.
    pub fn load(file: &Path) -> Result<Self> {
        let engine = PluginEngine::start(Limits::default())?;
        let component = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let plugin = Arc::new(Plugin::load(&engine, &component)?);
        Ok(Self { plugin, verbs: [Name::new(DEPLOY)?, Name::new(UPDATE)?] })
    }

    /// The plugin itself.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// An agent that stays inside.
    ///
    /// # Errors
    /// Where no instance can be had.
    pub fn keep(&self, id: &str) -> Result<Kept<'_>> {
        let (id, mut instance) = (AggregateId::new(id)?, self.plugin.instantiate()?);
        let handle = instance.create(&id)?;
        Ok(Kept { component: self, instance, handle, id })
    }

    /// An agent whose state lies outside.
    ///
    /// # Errors
    /// Where the id is none.
    pub fn pass(&self, id: &str) -> Result<Passed<'_>> {
        Ok(Passed { component: self, state: Vec::new(), id: AggregateId::new(id)? })
    }

    /// One command in a fresh instance: state in, events and state out. An agent without events has
    /// no bytes.
    ///
    /// # Errors
    /// Where the command is refused, or the component fails.
    pub fn command_on_bytes(
        &self,
        id: &AggregateId,
        command_id: &str,
        state: &[u8],
        verb: &str,
        payload: &[u8],
    ) -> Result<(Vec<DomainEvent>, Vec<u8>)> {
        let mut instance = self.plugin.instantiate()?;
        let schema = self.plugin.description().state_schema;
        let handle = match state {
            [] => instance.create(id)?,
            state => instance.restore(id, schema, state)?.map_err(|why| anyhow!("the state is refused: {why}"))?,
        };
        let events = self.decide(&mut *instance, handle, id, command_id, verb, payload)?;
        instance.evolve(handle, &events)??;
        Ok((events, instance.snapshot(handle)?))
    }

    fn decide(
        &self,
        instance: &mut dyn Instance,
        handle: Handle,
        id: &AggregateId,
        command_id: &str,
        verb: &str,
        payload: &[u8],
    ) -> Result<Vec<DomainEvent>> {
        let verb = self.verbs.iter().find(|known| known.as_str() == verb).context("an unknown verb")?;
        let context = Context {
            command_id,
            aggregate_id: id,
            version: 1,
            time: Timestamp(NOW),
            correlation_id: command_id,
            actor: None,
            seed: (0, 0),
        };
        match instance.decide(handle, &context, verb, payload)? {
            Decision::Events(events) => Ok(events),
            refused => bail!("the component refuses a command: {refused:?}"),
        }
    }
}

/// An agent inside the component.
pub struct Kept<'a> {
    component: &'a Component,
    instance: Box<dyn Instance>,
    handle: Handle,
    id: AggregateId,
}

impl Place for Kept<'_> {
    fn command(&mut self, verb: &str, payload: &str) -> Result<()> {
        let (id, instance) = (&self.id, &mut *self.instance);
        let events = self.component.decide(instance, self.handle, id, id.as_str(), verb, payload.as_bytes())?;
        Ok(self.instance.evolve(self.handle, &events)??)
    }

    fn state(&mut self) -> Result<Vec<u8>> {
        Ok(self.instance.snapshot(self.handle)?)
    }
}

/// An agent as bytes, which goes into a fresh instance for each command.
pub struct Passed<'a> {
    component: &'a Component,
    state: Vec<u8>,
    id: AggregateId,
}

impl Place for Passed<'_> {
    fn command(&mut self, verb: &str, payload: &str) -> Result<()> {
        let (id, payload) = (&self.id, payload.as_bytes());
        (_, self.state) = self.component.command_on_bytes(id, id.as_str(), &self.state, verb, payload)?;
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<u8>> {
        Ok(self.state.clone())
    }
}

/// An agent in this program.
pub struct Native {
    id: String,
    aggregate: Aggregate<Agent>,
}

impl Native {
    /// Without events.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), aggregate: Aggregate::new(id) }
    }

    /// What queries show of it.
    #[must_use]
    pub fn view(&self) -> Vec<u8> {
        self.aggregate.view()
    }

    /// The events that a command leads to, names and payloads; they are applied.
    ///
    /// # Errors
    /// Where it is refused.
    pub fn events(&mut self, verb: &str, payload: &str) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let time = agent_guest::Timestamp::from_millis(NOW);
        let context = agent_guest::Context::new(self.id.as_str(), self.id.as_str(), 1, time);
        let decided = self.aggregate.decide(&context, verb, payload.as_bytes());
        let events = decided.map_err(|refusal| anyhow!("the command is refused: {refusal:?}"))?;
        let evolved = self.aggregate.evolve(events.iter().map(|event| (event.name, &event.payload[..])));
        evolved.map_err(|error| anyhow!("the event cannot be applied: {}", error.message))?;
        Ok(events.into_iter().map(|event| (event.name, event.payload)).collect())
    }
}

impl Place for Native {
    fn command(&mut self, verb: &str, payload: &str) -> Result<()> {
        self.events(verb, payload).map(drop)
    }

    fn state(&mut self) -> Result<Vec<u8>> {
        Ok(self.aggregate.snapshot())
    }
}
