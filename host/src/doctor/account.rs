//! `account_limits`: how full the account is, and whether what is missing still has room.

use serde_json::Value;

use super::facts::{Kept, Site, Stream, bytes, limit, number};
use super::finding::Seen;
use super::limits::{Fill, fill};

/// Consumers that come and go: a durable lane's, a plugin that is held against the log, a reader of events.
const CONSUMERS_FREE_MIN: u64 = 2;

pub(super) fn account(_: &Site<'_>, kept: &Kept) -> Vec<Seen> {
    let tiers = kept.account.get("tiers").and_then(Value::as_object);
    let missing = missing(kept);
    match tiers.filter(|tiers| !tiers.is_empty()) {
        None => of_limits(&kept.account, missing),
        Some(tiers) => tiers
            .iter()
            .flat_map(|(tier, told)| of_limits(told, missing).into_iter().map(|seen| seen.about(tier.clone())))
            .collect(),
    }
}

/// Streams that hosts will make.
fn missing(kept: &Kept) -> u64 {
    let own = kept.domains.iter().flat_map(|stood| stood.all()).map(|one| &one.stream);
    let all = own.chain(kept.fleet.iter().map(|(_, stream)| stream));
    all.filter(|stream| matches!(stream, Stream::Missing)).count() as u64
}

fn of_limits(told: &Value, missing: u64) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (what, used, max) in
        [("storage", "/storage", "/limits/max_storage"), ("memory", "/memory", "/limits/max_memory")]
    {
        let (used, max) = (number(told, used), limit(told, max));
        let text = |max: u64| format!("{} of {} of {what} are used", bytes(used), bytes(max));
        match (max, fill(used, max)) {
            (None, _) | (_, Fill::Roomy) => {}
            (Some(max), Fill::Tight) => seen.push(Seen::warning(text(max), raise(what))),
            (Some(max), Fill::Full) => seen.push(Seen::failure(text(max), raise(what))),
        }
    }
    let (streams, max) = (number(told, "/streams"), limit(told, "/limits/max_streams"));
    if let Some(max) = max.filter(|max| streams + missing > *max) {
        let text = format!("{streams} of {max} streams are used, and hosts have {missing} to make");
        seen.push(Seen::failure(text, raise("streams")));
    }
    let (consumers, max) = (number(told, "/consumers"), limit(told, "/limits/max_consumers"));
    if let Some(max) = max.filter(|max| consumers + CONSUMERS_FREE_MIN > *max) {
        seen.push(Seen::warning(format!("{consumers} of {max} consumers are used"), raise("consumers")));
    }
    if seen.is_empty() {
        let used = bytes(number(told, "/storage"));
        seen.push(Seen::ok(format!("{streams} streams and {used} of storage, within every limit")));
    }
    seen
}

fn raise(what: &str) -> String {
    format!("raise the account's limit of {what}, or take away what is not needed")
}
