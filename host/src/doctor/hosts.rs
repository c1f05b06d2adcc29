//! `hosts`, `host_counters`: what the hosts that run tell of themselves, and whether they agree.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::facts::{Reached, Site, number, text};
use super::finding::Seen;
use crate::name::printable;

/// A count that should be 0, and what it means when it is not.
struct Count {
    name: &'static str,
    what: &'static str,
    remedy: &'static str,
    fails: bool,
}

const COUNTS: &[Count] = &[
    Count {
        name: "contradictions",
        what: "requests met a stream that contradicts a snapshot",
        remedy: "see docs/operate.md, The stream contradicts a snapshot",
        fails: true,
    },
    Count {
        name: "expired_uncovered",
        what: "events left the stream before a snapshot covered them",
        remedy: "restore stream and bucket from a backup, and run a host more often",
        fails: true,
    },
    Count {
        name: "expiring_uncovered",
        what: "aggregates have events that soon leave and no snapshot",
        remedy: "see what the host's log says of them, or raise the stream's max_age",
        fails: false,
    },
    Count {
        name: "expiry_checks_failed",
        what: "looks at what ages away failed",
        remedy: "see the host's log",
        fails: false,
    },
    Count {
        name: "parked",
        what: "aggregates have an event that the plugin cannot apply",
        remedy: "`agent-service verify` names them",
        fails: false,
    },
    Count {
        name: "abused_replies",
        what: "requests had a reply subject that would be more than a reply",
        remedy: "find the client: its requests are dropped",
        fails: false,
    },
    Count {
        name: "roll_backs",
        what: "times a plugin failed so soon after a swap that the one before came back",
        remedy: "`agent-service plugin list` says which and why",
        fails: false,
    },
];

pub(super) fn hosts(site: &Site<'_>, reached: &Reached) -> Vec<Seen> {
    if reached.hosts.is_empty() {
        return vec![Seen::skipped("no host answers: none runs, none is ready, or it may not be asked")];
    }
    let mut seen: Vec<Seen> = reached.hosts.iter().flat_map(troubles).collect();
    seen.extend(differing(&reached.hosts, "version", "versions"));
    seen.extend(differing(&reached.hosts, "source", "sources of plugins"));
    seen.extend(plugins_differing(&reached.hosts));
    seen.extend(queue_groups(&reached.stats, &site.service.queue_group));
    if seen.is_empty() {
        let version = text(&reached.hosts[0], "/version");
        seen.push(Seen::ok(format!(
            "{} answer, all of version {version} and with the same plugins",
            reached.hosts.len()
        )));
    }
    seen
}

/// What a host would not serve.
fn troubles(host: &Value) -> Vec<Seen> {
    let label = label(host);
    let mut seen = Vec::new();
    for refused in host["refused"].as_array().into_iter().flatten() {
        let (origin, why) = (printable(text(refused, "/origin")), text(refused, "/why"));
        let text = format!("it refuses the plugin of {origin}: {why}");
        seen.push(Seen::warning(text, "`agent-service plugin check FILE` shows the whole report").about(&label));
    }
    if host["domains"].as_array().is_none_or(Vec::is_empty) {
        seen.push(Seen::warning("it serves no domain", "see `plugin_dir` and `plugins`, and its log").about(&label));
    }
    seen
}

fn differing(hosts: &[Value], field: &str, what: &str) -> Option<Seen> {
    let found: BTreeSet<&str> = hosts.iter().filter_map(|host| host[field].as_str()).collect();
    (found.len() > 1).then(|| {
        let all = found.into_iter().collect::<Vec<_>>().join(", ");
        Seen::warning(
            format!("hosts have different {what}: {all}"),
            "finish the rollout, or stop the hosts that are left over",
        )
    })
}

/// Domains of which hosts have different code live.
fn plugins_differing(hosts: &[Value]) -> Vec<Seen> {
    let mut live: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for domain in hosts.iter().flat_map(|host| host["domains"].as_array().into_iter().flatten()) {
        live.entry(text(domain, "/domain")).or_default().insert(text(domain, "/live/digest"));
    }
    let several = live.into_iter().filter(|(_, digests)| digests.len() > 1);
    several
        .map(|(domain, digests)| {
            let text = format!("hosts have {} different plugins of {domain} live", digests.len());
            Seen::warning(text, "give all hosts the same file: until then who answers decides what happens")
                .about(domain)
        })
        .collect()
}

/// Hosts of several queue groups each execute every command.
fn queue_groups(stats: &[Value], own: &str) -> Option<Seen> {
    let endpoints = stats.iter().flat_map(|host| host["endpoints"].as_array().into_iter().flatten());
    let mut found: BTreeSet<&str> = endpoints.filter_map(|endpoint| endpoint["queue_group"].as_str()).collect();
    if found.is_empty() {
        return None;
    }
    found.insert(own);
    (found.len() > 1).then(|| {
        let all = found.into_iter().collect::<Vec<_>>().join(", ");
        Seen::failure(
            format!(
                "hosts and these settings are of different queue groups: {all}; each of them executes every command"
            ),
            "give all hosts of a domain the same QUEUE_GROUP",
        )
    })
}

pub(super) fn host_counters(_: &Site<'_>, reached: &Reached) -> Vec<Seen> {
    if reached.stats.is_empty() {
        return vec![Seen::skipped("no host tells its counts: none runs, or none is ready")];
    }
    let mut seen = Vec::new();
    for host in &reached.stats {
        // Commands and queries of a domain show the same counts, its own.
        let mut told = BTreeSet::new();
        for endpoint in host["endpoints"].as_array().into_iter().flatten() {
            let domain = text(endpoint, "/subject").split('.').next().unwrap_or_default();
            if told.insert(domain) {
                let about = format!("{domain} at {}", printable(text(host, "/id")));
                seen.extend(counts(&endpoint["data"]).into_iter().map(|seen| seen.about(&about)));
            }
        }
    }
    if seen.is_empty() {
        seen.push(Seen::ok("no host counts anything that should not be"));
    }
    seen
}

fn counts(data: &Value) -> Vec<Seen> {
    let above = COUNTS.iter().filter_map(|count| {
        let found = number(data, &format!("/{}", count.name));
        (found > 0).then(|| {
            let text = format!("{}: {found} {}", count.name, count.what);
            if count.fails { Seen::failure(text, count.remedy) } else { Seen::warning(text, count.remedy) }
        })
    });
    above.collect()
}

fn label(host: &Value) -> String {
    printable(&format!("{} ({})", text(host, "/name"), text(host, "/host")))
}
