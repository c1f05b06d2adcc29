//! The agent rules, called natively by the path that a component's exports take. It must not
//! know how events are stored.

use std::time::{SystemTime, UNIX_EPOCH};

use agent_guest::live::Aggregate;
use agent_guest::{Context, Timestamp};
use anyhow::{Result, anyhow, ensure};
use plugin_agent::Agent;

use super::{Command, Decider, Fact};

pub(super) struct AgentRules;

impl Decider for AgentRules {
    type State = Aggregate<Agent>;

    fn create(&self, id: &str) -> Self::State {
        Aggregate::new(id)
    }

    fn decide(&self, state: &Self::State, command: &Command<'_>, version: u64) -> Result<Fact> {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let now = Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        let context = Context::new(command.command_id, command.id, version, now);
        let decided = state.decide(&context, command.verb, command.payload);
        let mut events = decided.map_err(|refusal| anyhow!("the command is refused: {refusal:?}"))?;
        ensure!(events.len() == 1, "the command leads to {} events, one is measured", events.len());
        let event = events.remove(0);
        Ok(Fact { name: event.name, payload: event.payload.into() })
    }

    fn evolve(&self, state: &mut Self::State, fact: &Fact) -> Result<()> {
        state
            .evolve([(fact.name, &fact.payload[..])])
            .map_err(|error| anyhow!("the event cannot be applied: {}", error.message))
    }
}
