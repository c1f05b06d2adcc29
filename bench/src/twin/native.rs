//! The agent rules, called natively by the path that a component's exports take. It must not
//! know how events are stored.

use std::time::{SystemTime, UNIX_EPOCH};

use agent_guest::live::Aggregate;
use agent_guest::{Context, Timestamp};
use anyhow::{Result, anyhow, ensure};
use plugin_agent::Agent;

use super::keeper::Rules;
use super::{Fact, Request};

pub(super) struct AgentRules;

/// All events that a command leads to.
pub(super) fn decide(state: &Aggregate<Agent>, request: &Request<'_>, version: u64) -> Result<Vec<Fact>> {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
    let context = Context::new(request.command_id, request.id, version, now);
    let decided = state.decide(&context, request.verb, request.payload);
    let events = decided.map_err(|refusal| anyhow!("the command is refused: {refusal:?}"))?;
    Ok(events.into_iter().map(|event| Fact { name: event.name, payload: event.payload.into() }).collect())
}

/// The one event, where there is no more than one.
pub(super) fn only(mut facts: Vec<Fact>) -> Result<Fact> {
    ensure!(facts.len() == 1, "the command leads to {} events, one is measured", facts.len());
    Ok(facts.remove(0))
}

impl Rules for AgentRules {
    type State = Aggregate<Agent>;
    type Rest = ();

    fn create(&self, id: &str) -> Self::State {
        Aggregate::new(id)
    }

    fn decide(&self, state: &Self::State, request: &Request<'_>, version: u64) -> Result<(Fact, ())> {
        Ok((only(decide(state, request, version)?)?, ()))
    }

    fn evolve(&self, state: &mut Self::State, fact: &Fact, (): ()) -> Result<()> {
        state
            .evolve([(fact.name, &fact.payload[..])])
            .map_err(|error| anyhow!("the event cannot be applied: {}", error.message))
    }
}
