//! `stream_limits`, and how full something with a limit is.

use super::facts::{Site, Stood, bytes, limit, number};
use super::finding::Seen;

/// From how many hundredths on a limit is close enough to be told.
const TIGHT_PERCENT: u64 = 80;

/// How full something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    Roomy,
    Tight,
    Full,
}

/// How full it is; without a limit it never is.
pub(super) fn fill(used: u64, max: Option<u64>) -> Fill {
    match max {
        Some(max) if used >= max => Fill::Full,
        Some(max) if used >= max / 100 * TIGHT_PERCENT + max % 100 * TIGHT_PERCENT / 100 => Fill::Tight,
        _ => Fill::Roomy,
    }
}

pub(super) fn stream_limits(_: &Site<'_>, stood: &Stood) -> Vec<Seen> {
    const REMEDY: &str = "raise the limit (`nats stream edit`): a full stream refuses what is new";
    let mut seen = Vec::new();
    for one in stood.all() {
        let Some(info) = one.info() else { continue };
        for (what, used, max) in [
            ("max_bytes", number(info, "/state/bytes"), limit(info, "/config/max_bytes")),
            ("max_msgs", number(info, "/state/messages"), limit(info, "/config/max_msgs")),
        ] {
            let Some(limit) = max else { continue };
            let shown = |count: u64| if what == "max_bytes" { bytes(count) } else { count.to_string() };
            let text = format!("{what}: {} of {} are used", shown(used), shown(limit));
            seen.push(match fill(used, max) {
                Fill::Roomy => Seen::ok(text).about(&one.name),
                Fill::Tight => Seen::warning(text, REMEDY).about(&one.name),
                Fill::Full => Seen::failure(text, REMEDY).about(&one.name),
            });
        }
    }
    if seen.is_empty() {
        seen.push(Seen::ok("no stream has a limit of its own").about(stood.domain.as_str()));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_fifths_are_tight() {
        assert_eq!(fill(79, Some(100)), Fill::Roomy);
        assert_eq!(fill(80, Some(100)), Fill::Tight);
        assert_eq!(fill(100, Some(100)), Fill::Full);
        assert_eq!(fill(3, Some(5)), Fill::Roomy);
        assert_eq!(fill(4, Some(5)), Fill::Tight);
        assert_eq!(fill(u64::MAX, None), Fill::Roomy);
    }
}
