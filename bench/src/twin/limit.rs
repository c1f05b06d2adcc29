//! No rules at all: every command leads to the same event, as long as a real one. It must not
//! look into a command.

use anyhow::{Context as _, Result};

use super::keeper::Rules;
use super::{Fact, Request};
use crate::place::Native;
use crate::sample_agent::{DEPLOY, UPDATE, deployment, update};

pub(super) struct NoRules {
    fact: Fact,
}

impl NoRules {
    /// Takes the event from the agent rules, once.
    pub(super) fn new() -> Result<Self> {
        let id = uuid::Uuid::nil().to_string();
        let mut agent = Native::new(&id);
        agent.events(DEPLOY, &deployment(&id))?;
        // The second change has an old value, as all but the first have.
        agent.events(UPDATE, &update(&id, 1))?;
        let (name, payload) = agent.events(UPDATE, &update(&id, 2))?.pop().context("a change leads to no event")?;
        Ok(Self { fact: Fact { name, payload: payload.into() } })
    }
}

impl Rules for NoRules {
    type State = ();
    type Rest = ();

    fn create(&self, _: &str) -> Self::State {}

    fn decide(&self, (): &(), _: &Request<'_>, _: u64) -> Result<(Fact, ())> {
        Ok((self.fact.clone(), ()))
    }

    fn evolve(&self, (): &mut (), _: &Fact, (): ()) -> Result<()> {
        Ok(())
    }
}
