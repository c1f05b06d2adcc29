//! `snapshots`: the bucket keeps what is put into it.

use super::facts::{Site, Stood, Stream, bytes, number};
use super::finding::Seen;
use crate::config::SnapshotKeeping;
use crate::store::jetstream::audit_bucket;

pub(super) fn snapshots(site: &Site<'_>, stood: &Stood) -> Vec<Seen> {
    if site.service.snapshot_store == SnapshotKeeping::Memory {
        return vec![Seen::skipped("SNAPSHOT_STORE=memory: there is no bucket")];
    }
    let seen = match &stood.snapshots.stream {
        Stream::Missing => Seen::ok("there is no bucket yet: the first host makes it"),
        Stream::Unknown(why) => Seen::failure(why, "see whether it has a leader, and whether this user may ask for it"),
        Stream::Stands(info) => match audit_bucket(&info["config"]) {
            Some(broken) => Seen::failure(broken, "`nats stream edit` the stream beneath the bucket"),
            None => Seen::ok(format!(
                "{} messages, {}",
                number(info, "/state/messages"),
                bytes(number(info, "/state/bytes"))
            )),
        },
    };
    vec![seen.about(&stood.snapshots.name)]
}
