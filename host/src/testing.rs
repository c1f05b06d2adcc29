//! What the tests of the shard and of the gate share: a domain in Rust and a shelf of snapshots.
//! Knows neither of those it serves.

pub(crate) mod counter;
pub(crate) mod shelf;
