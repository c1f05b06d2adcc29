//! The agent domain: the life of automata that act for a person or an organisation. Pure
//! rules over plain data; knows nothing of NATS, hosts or components.
//!
//! A command goes through [`Command::validate`] (fields that make no sense), then through
//! `decide.rs` (the rules, in the order of the rejections), and its events through
//! [`state::Agent`].
#![forbid(unsafe_code)]

use agent_guest::prelude::*;

mod change;
mod check;
pub mod command;
mod decide;
pub mod event;
mod rejection;
pub mod state;
pub mod value;

pub use command::Command;
pub use event::Event;
pub use state::Agent;

impl Domain for Agent {
    const NAME: &'static str = "agent";
    const ID_FIELD: &'static str = "agent_id";
    const ID_FORMAT: IdFormat = IdFormat::Uuid;
    type Command = Command;
    type Event = Event;

    fn decide(&self, context: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
        command.validate()?;
        decide::decide(self.record.as_ref(), context, command)
    }

    fn evolve(&mut self, event: Event) -> Result<(), String> {
        self.apply(event)
    }

    fn view(&self) -> impl Serialize {
        self.shown()
    }
}

agent_guest::export!(Agent, schemas = include_str!("../schemas.json"));
