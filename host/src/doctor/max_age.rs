//! `max_age`: when events leave their stream, and whether snapshots can be there before.

use std::time::Duration;

use super::facts::{Site, Stood, limit};
use super::finding::Seen;
use crate::config::SnapshotKeeping;

pub(super) fn max_age(site: &Site<'_>, stood: &Stood) -> Vec<Seen> {
    let Some(info) = stood.events.info() else { return vec![Seen::skipped("the stream is yet to be made")] };
    let age = limit(info, "/config/max_age").map(Duration::from_nanos);
    vec![judge(site, age).about(&stood.events.name)]
}

fn judge(site: &Site<'_>, age: Option<Duration>) -> Seen {
    let service = site.service;
    let Some(age) = age else { return Seen::ok("events stay for ever") };
    let shown = humantime::format_duration(age);
    if service.snapshot_store == SnapshotKeeping::Memory {
        return Seen::failure(
            format!("events leave after {shown}, and SNAPSHOT_STORE=memory loses what is left of them"),
            "set SNAPSHOT_STORE=jetstream",
        );
    }
    let before = service.snapshot_before_expiry;
    if age < before * 2 {
        let left = humantime::format_duration(age / 2);
        return Seen::warning(
            format!(
                "events leave after {shown}, so that snapshots have {left} and not SNAPSHOT_BEFORE_EXPIRY={}; with no host for so long, state is lost",
                humantime::format_duration(before)
            ),
            "raise it (`nats stream edit --max-age`), or lower SNAPSHOT_BEFORE_EXPIRY if this is meant",
        );
    }
    Seen::ok(format!("events leave after {shown}, snapshots cover them {} before", humantime::format_duration(before)))
}
