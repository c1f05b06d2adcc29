//! The pipeline driven by itself: a domain in Rust, a log in memory that fails on request,
//! and a clock that is turned by hand. What a real server cannot be made to do on time is
//! shown here.

mod ageing;
mod collisions;
mod duplicates;
mod forged_events;
mod fresh_answers;
mod history;
mod instances;
mod limits;
mod newer_events;
mod parked;
mod plugin_failures;
mod probation;
mod queries;
mod retention;
mod served;
mod snapshots;
mod swaps;
mod time;
mod trials;
