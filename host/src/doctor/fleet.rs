//! `fleet`: the buckets that say what a fleet of hosts runs.

use super::facts::{Kept, Site, Stream, bytes, number};
use super::finding::Seen;
use crate::store::jetstream::audit_bucket;

pub(super) fn fleet(_: &Site<'_>, kept: &Kept) -> Vec<Seen> {
    if kept.fleet.is_empty() {
        return vec![Seen::skipped("plugins come from a directory, PLUGIN_SOURCE=dir")];
    }
    let each = kept.fleet.iter().map(|(name, stream)| {
        let seen = match stream {
            Stream::Missing => Seen::warning(
                "there is no such bucket yet, so that a host has nothing to run",
                "`agent-service plugin push FILE --activate`",
            ),
            Stream::Unknown(why) => {
                Seen::failure(why, "see whether it has a leader, and whether this user may ask for it")
            }
            Stream::Stands(info) => match audit_bucket(&info["config"]) {
                Some(broken) => Seen::failure(broken, "`nats stream edit` the stream beneath the bucket"),
                None => Seen::ok(format!(
                    "{} messages, {}",
                    number(info, "/state/messages"),
                    bytes(number(info, "/state/bytes"))
                )),
            },
        };
        seen.about(name)
    });
    each.collect()
}
