//! The front door of this repository: what `cargo xtask` does, and what tests and the
//! benchmark borrow from it to run real servers and services.
//!
//! It must not depend on the host or on a NATS client: it compiles in seconds, because it
//! is the first thing a newcomer waits for, and it speaks to the service from outside.

pub mod deploy_checkers;
pub mod front_door;
pub mod nats_server;
pub mod owned_process;
pub mod poll;
pub mod tidy;

mod artifacts;
mod bench;
mod demo;
mod dev;
mod dist;
mod faults;
mod nats_client;
mod pip;
mod plugin_news;
mod service;
mod service_ping;
mod shell_line;
mod terminal;
mod test;
mod wasm_target;
mod workspace;
