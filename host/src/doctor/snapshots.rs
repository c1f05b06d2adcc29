//! `snapshots`: the bucket keeps what is put into it.

use super::bucket;
use super::facts::{Site, Stood};
use super::finding::Seen;
use crate::config::SnapshotKeeping;

pub(super) fn snapshots(site: &Site<'_>, stood: &Stood) -> Vec<Seen> {
    if site.service.snapshot_store == SnapshotKeeping::Memory {
        return vec![Seen::skipped("SNAPSHOT_STORE=memory: there is no bucket")];
    }
    vec![bucket::seen(&stood.snapshots.stream).about(&stood.snapshots.name)]
}
