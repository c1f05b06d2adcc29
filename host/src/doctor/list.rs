//! The checks, in the order in which they are made: what the next ones stand on comes first. Each is
//! in `docs/doctor.md`, under its name.

use super::How::{Asking, Domain, Here, JetStream, Nats, Page};
use super::{
    Check, account, cache_directory, certificates, clock, credentials, fleet, homes, hosts, inbox, limits, machine,
    max_age, monitor, own_host, permissions, plugins, replicas, server, settings, snapshots, streams,
};

/// All checks. A host that starts makes those that are said so: of the others it tells itself, has no
/// need, or would have to ask others.
pub const CHECKS: &[Check] = &[
    Check { name: "settings", at_start: false, how: Here(settings::settings) },
    Check { name: "credentials", at_start: true, how: Here(credentials::credentials) },
    Check { name: "certificates", at_start: true, how: Here(certificates::certificates) },
    Check { name: "plugin_dir", at_start: false, how: Here(plugins::directory) },
    Check { name: "plugins", at_start: false, how: Here(plugins::plugins) },
    Check { name: "signatures", at_start: false, how: Here(plugins::signatures) },
    Check { name: "cache_dir", at_start: true, how: Here(cache_directory::cache_directory) },
    Check { name: "disk", at_start: true, how: Here(machine::disk) },
    Check { name: "memory", at_start: true, how: Here(machine::memory) },
    Check { name: "open_files", at_start: true, how: Here(machine::open_files) },
    Check { name: "http", at_start: false, how: Page(own_host::own_host) },
    Check { name: "nats", at_start: false, how: Here(server::nats) },
    Check { name: "server_version", at_start: true, how: Nats(server::server_version) },
    Check { name: "max_payload", at_start: true, how: Nats(server::max_payload) },
    Check { name: "jetstream", at_start: false, how: Nats(server::jetstream) },
    Check { name: "account_limits", at_start: true, how: JetStream(account::account) },
    Check { name: "permissions", at_start: false, how: Asking(permissions::permissions) },
    Check { name: "stream", at_start: false, how: Domain(streams::stream) },
    Check { name: "layout", at_start: false, how: Domain(streams::layout) },
    Check { name: "subjects", at_start: false, how: Domain(streams::subjects) },
    Check { name: "max_age", at_start: true, how: Domain(max_age::max_age) },
    Check { name: "stream_limits", at_start: true, how: Domain(limits::stream_limits) },
    Check { name: "replicas", at_start: true, how: JetStream(replicas::replicas) },
    Check { name: "snapshots", at_start: false, how: Domain(snapshots::snapshots) },
    Check { name: "inbox", at_start: true, how: Domain(inbox::inbox) },
    Check { name: "dead_letters", at_start: true, how: Domain(inbox::dead_letters) },
    Check { name: "fleet", at_start: false, how: JetStream(fleet::fleet) },
    Check { name: "sync_interval", at_start: false, how: Asking(monitor::sync_interval) },
    Check { name: "server_store", at_start: false, how: Page(monitor::server_store) },
    Check { name: "clock", at_start: true, how: Asking(clock::clock) },
    Check { name: "homes", at_start: false, how: Asking(homes::homes) },
    Check { name: "hosts", at_start: false, how: Nats(hosts::hosts) },
    Check { name: "host_counters", at_start: false, how: Nats(hosts::host_counters) },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_check_stands_in_the_book_and_nothing_else_does() {
        let page = include_str!("../../../docs/doctor.md");
        let table = page.split("\n## ").find(|section| section.starts_with("Checks")).expect("a section of checks");
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
        let told: Vec<(&str, bool)> =
            rows.map(|(name, rest)| (name, rest.split('|').next().is_some_and(|cell| cell.contains('✓')))).collect();
        let made: Vec<(&str, bool)> = CHECKS.iter().map(|check| (check.name, check.at_start)).collect();
        assert_eq!(told, made, "the table of docs/doctor.md is in the order of the checks");
        let names: BTreeSet<&str> = made.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), made.len(), "two checks have one name");
    }
}
