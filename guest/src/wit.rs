//! The component's side of the interface: generated bindings, and a domain behind them. Only
//! converts; what a call means is `live.rs`.
//!
//! The one file in which unsafe code is allowed: crossing the component boundary is pointers
//! and lengths, and `wit-bindgen` writes that code from the interface.
#![allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated bindings")]

use std::{cell::RefCell, marker::PhantomData};

use crate::{Domain, IdFormat, Refusal, Released, Timestamp, describe::MessageType, live, schemas};

wit_bindgen::generate!({
    path: "../wit",
    world: "plugin",
    pub_export_macro: true,
    export_macro_name: "export_plugin",
    default_bindings_module: "agent_guest::wit",
    runtime_path: "wit_bindgen::rt",
});

use exports::agent_service::domain::aggregates as wit;

/// Domain `D` as the world `plugin` wants it.
pub struct Plugin<D>(PhantomData<D>);

/// One live aggregate of domain `D`.
pub struct LiveAggregate<D>(RefCell<live::Aggregate<D>>);

impl<D: Domain + Released> wit::Guest for Plugin<D> {
    type Aggregate = LiveAggregate<D>;

    fn describe() -> wit::Description {
        let described = schemas::released::<D>();
        wit::Description {
            domain: described.domain,
            version: described.version,
            state_schema: described.state_schema,
            id_field: described.id_field,
            id_format: match described.id_format {
                IdFormat::Token => wit::IdFormat::Token,
                IdFormat::Uuid => wit::IdFormat::Uuid,
            },
            commands: message_types(described.commands),
            events: message_types(described.events),
        }
    }
}

impl<D: Domain> wit::GuestAggregate for LiveAggregate<D> {
    fn new(id: String) -> Self {
        Self(RefCell::new(live::Aggregate::new(&id)))
    }

    fn restore(id: String, schema: u32, snapshot: Vec<u8>) -> Result<wit::Aggregate, String> {
        live::Aggregate::<D>::restore(&id, schema, &snapshot)
            .map(|aggregate| wit::Aggregate::new(Self(RefCell::new(aggregate))))
    }

    fn decide(&self, context: wit::Context, command: wit::Command) -> Result<Vec<wit::Event>, wit::Refusal> {
        let decided = self.0.borrow().decide(&context.into(), &command.name, &command.payload);
        let events = decided.map_err(wit::Refusal::from)?;
        Ok(events.into_iter().map(|event| wit::Event { name: event.name.to_owned(), payload: event.payload }).collect())
    }

    fn evolve(&self, events: Vec<wit::Event>) -> Result<(), wit::EvolveError> {
        let events = events.iter().map(|event| (event.name.as_str(), event.payload.as_slice()));
        self.0
            .borrow_mut()
            .evolve(events)
            .map_err(|error| wit::EvolveError { index: error.index, message: error.message })
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.borrow().snapshot()
    }

    fn view(&self) -> Vec<u8> {
        self.0.borrow().view()
    }
}

impl From<wit::Context> for crate::Context {
    fn from(context: wit::Context) -> Self {
        let mut converted =
            Self::new(context.command_id, context.aggregate_id, context.version, Timestamp::from_millis(context.time))
                .with_correlation_id(context.correlation_id)
                .with_seed(context.seed);
        if let Some(actor) = context.actor {
            converted = converted.with_actor(actor);
        }
        converted
    }
}

impl From<Refusal> for wit::Refusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Rejected { reason, message } => Self::Rejected(wit::Rejection { reason, message }),
            Refusal::Invalid { field, message } => Self::Invalid(wit::InvalidCommand { field, message }),
        }
    }
}

fn message_types(types: Vec<MessageType>) -> Vec<wit::MessageType> {
    types
        .into_iter()
        .map(|of| wit::MessageType { name: of.name, description: of.description, schema: of.schema })
        .collect()
}
