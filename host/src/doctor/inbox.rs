//! `inbox`, `dead_letters`: the durable lane flows, and nothing was given up on.

use std::time::Duration;

use serde_json::Value;

use super::facts::{Site, Stood, Stream, limit, number, text};
use super::finding::Seen;
use crate::clock::Timestamp;
use crate::config::Switch;
use crate::inbox::{audit_dead, audit_inbox};

/// How long a command may wait while hosts are there: far longer than any is at work on.
const WAITING_MAX: Duration = Duration::from_secs(300);

pub(super) fn inbox(site: &Site<'_>, stood: &Stood) -> Vec<Seen> {
    let of_inbox = stood.inbox.info().map(|info| audit_inbox(&stood.domain, &info["config"]));
    let largest = stood.inbox.info().and_then(|info| limit(info, "/config/max_msg_size"));
    let largest = largest.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
    let of_dead = stood.dead.info().map(|info| audit_dead(&stood.domain, &info["config"], largest));
    let mut seen = Vec::new();
    for (standing, broken) in [(&stood.inbox, of_inbox), (&stood.dead, of_dead)] {
        if let Stream::Unknown(why) = &standing.stream {
            let remedy = "see whether it has a leader, and whether this user may ask for it";
            seen.push(Seen::failure(why, remedy).about(&standing.name));
        }
        let broken = broken.unwrap_or_default().into_iter();
        seen.extend(broken.map(|broken| Seen::failure(broken, "`nats stream edit` it").about(&standing.name)));
    }
    match stood.inbox.info() {
        Some(info) => seen.push(waiting(site, info).about(&stood.inbox.name)),
        None if seen.is_empty() => {
            seen.push(Seen::ok("there is none yet: the first host makes it").about(&stood.inbox.name));
        }
        None => {}
    }
    seen
}

fn waiting(site: &Site<'_>, info: &Value) -> Seen {
    let messages = number(info, "/state/messages");
    if messages == 0 {
        return Seen::ok("no command waits");
    }
    let at = |pointer: &str| Timestamp::from_rfc3339(text(info, pointer)).unwrap_or(Timestamp(0));
    let waited = Duration::from_millis(at("/ts").0.saturating_sub(at("/state/first_ts").0));
    let told = format!(
        "{messages} commands wait, the first for {}",
        humantime::format_duration(Duration::from_secs(waited.as_secs()))
    );
    let off = if site.service.inbox == Switch::Off { "INBOX=off here: does another host execute them? " } else { "" };
    if waited > WAITING_MAX {
        return Seen::warning(
            told,
            format!("{off}see that a host serves the domain, and what its log says of the durable lane"),
        );
    }
    Seen::ok(told)
}

pub(super) fn dead_letters(_: &Site<'_>, stood: &Stood) -> Vec<Seen> {
    let Some(info) = stood.dead.info() else {
        return vec![Seen::ok("nothing was ever given up on").about(&stood.dead.name)];
    };
    let seen = match number(info, "/state/messages") {
        0 => Seen::ok("nothing is given up on"),
        parked => Seen::warning(
            format!("{parked} commands were given up on, or wait behind one that was"),
            format!("`agent-service inbox list {}` shows why; then retry or skip", stood.domain),
        ),
    };
    vec![seen.about(&stood.dead.name)]
}
