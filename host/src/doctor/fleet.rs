//! `fleet`: the buckets that say what a fleet of hosts runs.

use super::bucket;
use super::facts::{Kept, Site, Stream};
use super::finding::Seen;

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
            other => bucket::seen(other),
        };
        seen.about(name)
    });
    each.collect()
}
