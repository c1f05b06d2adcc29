//! Plugins: WebAssembly components that hold a domain's logic. Everything about the
//! component engine is in here, and nothing of NATS or of what the logic is used for.

mod bindings;
mod compile;
mod engine;
mod instance;
mod load;
mod output;
mod precompiled;
mod sandbox;

pub use self::engine::{Limits, PluginEngine};
pub use self::load::{LoadError, Plugin};
