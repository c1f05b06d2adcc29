//! The roles of `deploy/nats/roles`: each does its job with its permissions, and nothing else. A theme
//! with several files; it must not test certificates.

mod answers;
mod limits;
mod missing;
mod page;
mod work;
