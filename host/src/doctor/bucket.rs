//! A key-value or object bucket, whatever is kept in it: whether it keeps that, and how much there is.

use super::facts::{Stream, bytes, number};
use super::finding::Seen;
use crate::store::jetstream::audit_bucket;

/// What is to be said of a bucket that hosts make where there is none.
pub(super) fn seen(stream: &Stream) -> Seen {
    match stream {
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
    }
}
