//! The contract, promise by promise, tested from outside. One binary with a module per theme; it
//! must not know the code under test, `fleet` and `fleet_store` excepted.

mod bad_input;
mod bad_plugins;
mod bad_wire;
mod command_line;
mod commands;
mod connecting;
mod crash;
mod doubtful_log;
mod duplicates;
mod events;
mod every_verb;
mod expected_version;
mod fleet;
mod fleet_store;
mod foreign_acknowledgements;
mod forged_events;
mod fresh_answers;
mod history;
mod other_language;
mod outage;
mod plugin_check;
mod reply_subjects;
mod service_api;
mod settings;
mod shutdown;
mod signatures;
mod snapshots;
mod state;
mod stream_audit;
mod stream_layouts;
mod stream_upgrade;
mod two_domains;
mod two_hosts;
