//! The gate driven by itself: histories of a domain in Rust, recorded without a host, through
//! code that strays from the first version in one known way.

mod budget;
mod decisions;
mod differences;
mod failures;
mod incomplete;
mod recorded;
mod same;
mod snapshots;
