//! What a warm command costs at the component boundary, by the size of the state: the host's own
//! plugin module with the agent component, and beside it the same rules called natively. It must
//! not know NATS.

use std::time::Instant;

use agent_guest::live::Aggregate;
use agent_service::clock::Timestamp;
use agent_service::domain::{Context, Decision, Generation as _, Handle, Instance};
use agent_service::name::{AggregateId, Name};
use agent_service::plugin::{Limits, Plugin, PluginEngine};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use plugin_agent::Agent;
use serde::Serialize;

use crate::load::micros;
use crate::options::Plan;
use crate::sample_agent::{DEPLOY, UPDATE, deployment, grow, update};
use crate::spread::Spread;

/// Sizes of state in bytes. The least an agent can have is about 400, and stands for the first.
const STATE_BYTES: [usize; 4] = [100, 1_000, 6_000, 64_000];
/// How often each size has its turn in a round; the median turn counts.
const TURNS: u32 = 20;
/// Any moment does: nothing here asks for the time.
const NOW: u64 = 1_767_225_600_000;

/// One size of state in one round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BoundaryCell {
    pub(crate) round: u32,
    pub(crate) state_bytes: usize,
    /// Deciding and evolving in the component.
    pub(crate) component_us: f64,
    /// The same natively.
    pub(crate) native_us: f64,
}

/// Measures all sizes in turn, so that whatever disturbs disturbs all of them.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<BoundaryCell>> {
    let engine = PluginEngine::start(Limits::default())?;
    let component = std::fs::read(&plan.plugin).with_context(|| format!("cannot read {}", plan.plugin.display()))?;
    let plugin = Plugin::load(&engine, &component)?;
    let id = uuid::Uuid::now_v7().to_string();
    let mut places = Vec::new();
    for bytes in STATE_BYTES {
        let mut inside = InComponent::new(plugin.instantiate()?, &id)?;
        let mut outside = Native { id: id.clone(), aggregate: Aggregate::new(&id) };
        let state_bytes = fill(&mut inside, bytes, &id)?;
        let native_bytes = fill(&mut outside, bytes, &id)?;
        ensure!(
            state_bytes == native_bytes,
            "the component has {state_bytes} B of state, natively it is {native_bytes}"
        );
        places.push((state_bytes, inside, outside));
    }
    let mut cells = Vec::new();
    let mut turn = 0;
    for round in 0..plan.rounds {
        let mut turns = vec![(Vec::new(), Vec::new()); places.len()];
        for _ in 0..TURNS {
            for ((_, inside, outside), (component_us, native_us)) in places.iter_mut().zip(&mut turns) {
                component_us.push(timed(inside, &id, &mut turn, plan.boundary_commands)?);
                native_us.push(timed(outside, &id, &mut turn, plan.boundary_commands)?);
            }
        }
        for ((state_bytes, ..), (component_us, native_us)) in places.iter().zip(turns) {
            cells.push(BoundaryCell {
                round,
                state_bytes: *state_bytes,
                component_us: Spread::of(component_us).median,
                native_us: Spread::of(native_us).median,
            });
        }
    }
    Ok(cells)
}

/// An agent that takes commands, wherever it lives.
trait Place {
    /// Decides and evolves.
    fn command(&mut self, verb: &str, payload: &str) -> Result<()>;

    /// How large its state is.
    fn state_bytes(&mut self) -> Result<usize>;
}

/// Deploys the agent and gives it settings until its state has that size; tells the size.
fn fill(agent: &mut impl Place, bytes: usize, id: &str) -> Result<usize> {
    agent.command(DEPLOY, &deployment(id))?;
    agent.command(UPDATE, &update(id, 0))?;
    for nth in 0.. {
        if agent.state_bytes()? >= bytes {
            break;
        }
        agent.command(UPDATE, &grow(id, nth))?;
    }
    agent.state_bytes()
}

/// Mean time of a command in microseconds.
fn timed(agent: &mut impl Place, id: &str, turn: &mut u64, commands: u64) -> Result<f64> {
    let payloads: Vec<String> = (0..commands).map(|nth| update(id, *turn + 1 + nth)).collect();
    *turn += commands;
    let begun = Instant::now();
    for payload in &payloads {
        agent.command(UPDATE, payload)?;
    }
    Ok(micros(begun.elapsed()) / commands as f64)
}

/// An agent inside the component.
struct InComponent {
    instance: Box<dyn Instance>,
    handle: Handle,
    id: AggregateId,
    verbs: [Name; 2],
}

impl InComponent {
    fn new(mut instance: Box<dyn Instance>, id: &str) -> Result<Self> {
        let id = AggregateId::new(id)?;
        let handle = instance.create(&id)?;
        Ok(Self { instance, handle, id, verbs: [Name::new(DEPLOY)?, Name::new(UPDATE)?] })
    }
}

impl Place for InComponent {
    fn command(&mut self, verb: &str, payload: &str) -> Result<()> {
        let verb = self.verbs.iter().find(|known| known.as_str() == verb).context("an unknown verb")?;
        let context = Context {
            command_id: self.id.as_str(),
            aggregate_id: &self.id,
            version: 1,
            time: Timestamp(NOW),
            correlation_id: self.id.as_str(),
            actor: None,
            seed: (0, 0),
        };
        match self.instance.decide(self.handle, &context, verb, payload.as_bytes())? {
            Decision::Events(events) => Ok(self.instance.evolve(self.handle, &events)??),
            refused => bail!("the component refuses a command: {refused:?}"),
        }
    }

    fn state_bytes(&mut self) -> Result<usize> {
        Ok(self.instance.snapshot(self.handle)?.len())
    }
}

/// An agent in this program.
struct Native {
    id: String,
    aggregate: Aggregate<Agent>,
}

impl Place for Native {
    fn command(&mut self, verb: &str, payload: &str) -> Result<()> {
        let time = agent_guest::Timestamp::from_millis(NOW);
        let context = agent_guest::Context::new(self.id.as_str(), self.id.as_str(), 1, time);
        let decided = self.aggregate.decide(&context, verb, payload.as_bytes());
        let events = decided.map_err(|refusal| anyhow!("the command is refused: {refusal:?}"))?;
        let evolved = self.aggregate.evolve(events.iter().map(|event| (event.name, &event.payload[..])));
        evolved.map_err(|error| anyhow!("the event cannot be applied: {}", error.message))
    }

    fn state_bytes(&mut self) -> Result<usize> {
        Ok(self.aggregate.snapshot().len())
    }
}
