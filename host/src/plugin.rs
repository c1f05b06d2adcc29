//! Plugins: WebAssembly components that hold a domain's logic. Everything about the
//! component engine is in here, and nothing of NATS or of what the logic is used for.

mod bindings;
mod cache;
mod code;
mod compile;
mod compile_slot;
mod engine;
mod instance;
mod load;
mod output;
mod precompiled;
mod sandbox;

pub use self::cache::{CodeCache, Origin};
pub use self::engine::{Limits, PluginEngine};
pub use self::load::{LoadError, Plugin};
