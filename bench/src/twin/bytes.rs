//! The component in a fresh instance for each command, state passed in and out as bytes. It must not
//! know how events are stored.

use std::path::Path;

use agent_service::domain::Generation as _;
use agent_service::name::AggregateId;
use anyhow::{Context as _, Result};

use super::keeper::Rules;
use super::native::only;
use super::{Fact, Request};
use crate::place::Component;

pub(super) struct PassedBytes {
    component: Component,
    /// The names of its events, which live as long as the process.
    events: Vec<&'static str>,
}

impl PassedBytes {
    pub(super) fn load(file: &Path) -> Result<Self> {
        let component = Component::load(file)?;
        let names = component.plugin().description().events.iter();
        let events = names.map(|event| &*event.name.as_str().to_owned().leak()).collect();
        Ok(Self { component, events })
    }
}

impl Rules for PassedBytes {
    type State = Vec<u8>;
    type Rest = Vec<u8>;

    fn create(&self, _: &str) -> Self::State {
        Vec::new()
    }

    fn decide(&self, state: &Self::State, request: &Request<'_>, _: u64) -> Result<(Fact, Vec<u8>)> {
        let id = AggregateId::new(request.id)?;
        let (events, next) =
            self.component.command_on_bytes(&id, request.command_id, state, request.verb, request.payload)?;
        let facts: Result<Vec<Fact>> = events
            .into_iter()
            .map(|event| {
                let name = self.events.iter().find(|known| **known == event.name.as_str());
                Ok(Fact { name: name.context("an event that was not described")?, payload: event.payload })
            })
            .collect();
        Ok((only(facts?)?, next))
    }

    fn evolve(&self, state: &mut Self::State, _: &Fact, next: Vec<u8>) -> Result<()> {
        *state = next;
        Ok(())
    }
}
