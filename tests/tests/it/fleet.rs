//! Hosts that share their plugins through NATS. A theme with several files; it must not test how
//! an operator's commands look.

mod activation;
mod doubt;
mod kit;
mod moving;
mod shadow;
mod stragglers;
mod way_back;
