//! What the tests of the shard, the gate and verification share: a domain in Rust, its log, a shelf of
//! snapshots, and what was logged.
//! Knows neither of those it serves.

pub(crate) mod counter;
pub(crate) mod log;
pub(crate) mod recorded;
pub(crate) mod shelf;
