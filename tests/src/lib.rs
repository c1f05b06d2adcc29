//! The harness for tests from outside: a real nats-server, the service as a real process, real
//! plugins, and a client that knows nothing but the contract. It must not know the host's code:
//! names and numbers here are copied from the contract on purpose, so that a change of the
//! code cannot change the promise along with it.

pub mod agent;
pub mod book;
pub mod certificates;
pub mod cli;
pub mod collector;
pub mod counter;
pub mod credentials;
pub mod deployment;
pub mod doctor;
pub mod eventually;
pub mod faults;
pub mod flood;
pub mod host;
pub mod http;
pub mod inbox;
pub mod load;
pub mod message;
pub mod metric_names;
pub mod metrics;
pub mod misbehave;
pub mod nats;
pub mod open_link;
pub mod operator;
pub mod plugin_dir;
pub mod plugins;
pub mod proxy;
pub mod rehearsal;
pub mod reply;
pub mod roles;
pub mod secured;
pub mod servers;
pub mod shell;
pub mod signal;
pub mod sites;
pub mod skipped;
pub mod stored;
pub mod stream;
pub mod systemd;
pub mod test_names;
pub mod traffic;
pub mod transcript;
pub mod user;

pub use agent::Agent;
pub use cli::Cli;
pub use collector::Collector;
pub use counter::Counter;
pub use doctor::Doctor;
pub use eventually::{PATIENCE, eventually, eventually_within};
pub use host::{Host, HostBuilder};
pub use message::Message;
pub use metrics::Metrics;
pub use misbehave::Misbehave;
pub use nats::Nats;
pub use plugin_dir::PluginDir;
pub use reply::Reply;
pub use servers::Servers;
pub use skipped::skipped;
pub use user::User;
