//! The agent service: a host that runs event-sourced domain logic as WebAssembly components
//! over NATS JetStream. The modules stand in the order in which they may know one another;
//! `ARCHITECTURE.md` tells the story.

pub mod clock;
pub mod config;
pub mod logging;
pub mod message;
pub mod metrics;
pub mod name;
#[cfg(feature = "sabotage")]
mod sabotage;
pub mod signature;
pub mod trace;

pub mod domain;

pub mod event;
pub mod remembered;
pub mod request;
pub mod snapshot;

pub mod store;

#[cfg(test)]
mod testing;

pub mod activation;
mod copy;
mod instances;
pub mod witness;

pub mod gate;
pub mod shard;

pub mod verify;

pub mod nats;

pub mod backup;
pub mod bus;
pub mod fleet;
pub mod http;
pub mod inbox;
pub mod otlp;
pub mod plugin;
pub mod watch;

pub mod registry;

pub mod doctor;

pub mod serve;

pub mod cli;
