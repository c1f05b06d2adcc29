//! Agents in memory, one event for each command. It must not know what decides.

use std::cell::RefCell;
use std::collections::HashMap;

use anyhow::Result;
use async_nats::Client;

use super::append::Appender;
use super::{Answer, Answers, Fact, Request, accepted};
use crate::contender::Contender;

/// What decides on a command and knows state.
pub(super) trait Rules {
    /// One agent.
    type State;
    /// What deciding leaves for evolving.
    type Rest;

    /// An agent without events.
    fn create(&self, id: &str) -> Self::State;

    /// The one event that the command leads to.
    fn decide(&self, state: &Self::State, request: &Request<'_>, version: u64) -> Result<(Fact, Self::Rest)>;

    /// Applies it once it is stored.
    fn evolve(&self, state: &mut Self::State, fact: &Fact, rest: Self::Rest) -> Result<()>;
}

/// An agent in memory, and where its events end.
struct Held<S> {
    state: S,
    version: u64,
    last_sequence: u64,
}

pub(super) struct Keeper<R: Rules> {
    rules: R,
    appender: Appender,
    /// Those not in work: the load never has two commands in flight for one agent.
    agents: RefCell<HashMap<String, Held<R::State>>>,
}

impl<R: Rules> Keeper<R> {
    pub(super) fn new(client: &Client, contender: Contender, rules: R) -> Self {
        Self { rules, appender: Appender::new(client, contender), agents: RefCell::default() }
    }
}

impl<R: Rules> Answers for Keeper<R> {
    async fn answer(&self, request: &Request<'_>) -> Result<Answer> {
        let held = self.agents.borrow_mut().remove(request.id);
        let mut held =
            held.unwrap_or_else(|| Held { state: self.rules.create(request.id), version: 0, last_sequence: 0 });
        let (fact, rest) = self.rules.decide(&held.state, request, held.version)?;
        let sequence = self.appender.append(request, &fact, held.version + 1, held.last_sequence).await?;
        self.rules.evolve(&mut held.state, &fact, rest)?;
        held.version += 1;
        held.last_sequence = sequence;
        let answer = accepted(request.id, &[fact], held.version, sequence);
        self.agents.borrow_mut().insert(request.id.to_owned(), held);
        Ok(answer)
    }
}
