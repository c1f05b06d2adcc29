//! Lines into the host's log. In a native program, tests included, there is no host, and they
//! go nowhere: a decision must not depend on them.

/// Logs a line as an error: something an operator has to look at.
pub fn error(message: &str) {
    write(Level::Error, message);
}

/// Logs a line as a warning.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// Logs a line as information.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Logs a line for debugging.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// Logs a line for tracing, the least urgent level.
pub fn trace(message: &str) {
    write(Level::Trace, message);
}

#[cfg(target_arch = "wasm32")]
use crate::wit::agent_service::domain::logging::{Level, log as write};

#[cfg(not(target_arch = "wasm32"))]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[cfg(not(target_arch = "wasm32"))]
fn write(_: Level, _: &str) {}
