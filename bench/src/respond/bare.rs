//! No rules at all: every command leads to the same event, as long as a real one. It must not
//! look into a command.

use anyhow::{Context as _, Result};

use super::native::AgentRules;
use super::{Command, Decider, Fact};
use crate::sample_agent::{DEPLOY, UPDATE, deployment, update};

pub(super) struct NoRules {
    fact: Fact,
}

impl NoRules {
    /// Takes the event from the agent rules, once.
    pub(super) fn new() -> Result<Self> {
        let id = uuid::Uuid::nil().to_string();
        let mut state = AgentRules.create(&id);
        let mut fact = None;
        // The second change has an old value, as all but the first have.
        for (verb, payload) in [(DEPLOY, deployment(&id)), (UPDATE, update(&id, 1)), (UPDATE, update(&id, 2))] {
            let command = Command { id: &id, verb, command_id: &id, payload: payload.as_bytes() };
            let decided = AgentRules.decide(&state, &command, 0)?;
            AgentRules.evolve(&mut state, &decided)?;
            fact = Some(decided);
        }
        Ok(Self { fact: fact.context("there are no commands")? })
    }
}

impl Decider for NoRules {
    type State = ();

    fn create(&self, _: &str) -> Self::State {}

    fn decide(&self, (): &Self::State, _: &Command<'_>, _: u64) -> Result<Fact> {
        Ok(self.fact.clone())
    }

    fn evolve(&self, (): &mut Self::State, _: &Fact) -> Result<()> {
        Ok(())
    }
}
