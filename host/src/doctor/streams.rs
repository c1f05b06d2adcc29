//! `stream`, `layout`, `subjects`: the stream of a domain's events keeps what is promised of it, and
//! no other takes what belongs to the domain.

use serde_json::Value;

use super::facts::{Site, Stood, Stream, bytes, number};
use super::finding::Seen;
use crate::config::Layout;
use crate::name::Subjects;
use crate::store::jetstream::audit;

const SETTINGS: &str = "make a stream that keeps the promises, see docs/operate.md, Settings that are refused";

pub(super) fn stream(_: &Site<'_>, stood: &Stood) -> Vec<Seen> {
    let about = |seen: Seen| seen.about(&stood.events.name);
    let info = match &stood.events.stream {
        Stream::Stands(info) => info,
        Stream::Missing => return vec![about(missing(stood))],
        Stream::Unknown(why) => {
            let remedy = "see whether it has a leader, and whether this user may publish to $JS.API.STREAM.INFO.*";
            return vec![about(Seen::failure(why, remedy))];
        }
    };
    let broken = audit(&stood.domain, &info["config"]);
    if !broken.is_empty() {
        return broken.iter().map(|broken| about(Seen::failure(broken.to_string(), SETTINGS))).collect();
    }
    vec![about(Seen::ok(format!(
        "{} messages, {}, sequences {} to {}",
        number(info, "/state/messages"),
        bytes(number(info, "/state/bytes")),
        number(info, "/state/first_seq"),
        number(info, "/state/last_seq")
    )))]
}

/// A stream that is not there is made by a host, unless something says that it was there before.
fn missing(stood: &Stood) -> Seen {
    let snapshots = stood.snapshots.info().map_or(0, |info| number(info, "/state/messages"));
    if snapshots > 0 {
        return Seen::failure(
            format!("it is gone, and {} holds {snapshots} messages of what it was", stood.snapshots.name),
            "restore the stream from a backup, or delete the bucket to begin anew",
        );
    }
    Seen::ok("there is none yet: the first host with the domain's plugin makes it")
}

pub(super) fn layout(site: &Site<'_>, stood: &Stood) -> Vec<Seen> {
    let Some(info) = stood.events.info() else {
        let combined = site.service.stream_layout == Layout::Combined;
        return vec![Seen::skipped(if combined {
            "the stream is yet to be made, as combined"
        } else {
            "the stream is yet to be made"
        })];
    };
    let flag = |name: &str| info["config"][name] == true;
    let commands = Subjects::new(&stood.domain).commands();
    let captured =
        info["config"]["subjects"].as_array().is_some_and(|subjects| subjects.contains(&Value::from(commands)));
    let mut seen = Vec::new();
    if captured {
        seen.push(Seen::warning(
            "it captures commands as well, so that a plain requester sees JetStream's acknowledgement before the outcome",
            "`agent-service stream upgrade --layout split`, or have clients look for the header Agent-Status",
        ));
    }
    if !flag("allow_atomic") {
        seen.push(Seen::warning(
            "it does not have allow_atomic: commands of several events are `unavailable`",
            format!("`agent-service stream upgrade {}`", stood.domain),
        ));
    }
    if !flag("allow_direct") {
        seen.push(Seen::warning(
            "it does not have allow_direct: its leader alone answers every read",
            format!("`agent-service stream upgrade {}`", stood.domain),
        ));
    }
    if seen.is_empty() {
        seen.push(Seen::ok("events alone, with atomic batches and direct reads"));
    }
    seen.into_iter().map(|seen| seen.about(&stood.events.name)).collect()
}

pub(super) fn subjects(_: &Site<'_>, stood: &Stood) -> Vec<Seen> {
    let own = stood.all();
    let mut seen = Vec::new();
    for (subject, streams) in &stood.captured {
        let Some(streams) = streams else {
            seen.push(Seen::skipped(format!("JetStream does not tell who captures {subject}")));
            continue;
        };
        let foreign: Vec<&str> =
            streams.iter().map(String::as_str).filter(|name| own.iter().all(|one| one.name != **name)).collect();
        if !foreign.is_empty() {
            seen.push(Seen::failure(
                format!("{subject} is captured by {}, which is none of the domain's streams", foreign.join(", ")),
                "take the subject out of that stream, or name it with STREAM_NAME where it is to be the domain's own",
            ));
        }
    }
    if seen.is_empty() {
        seen.push(Seen::ok("none of its subjects is captured by a stream of somebody else"));
    }
    seen.into_iter().map(|seen| seen.about(stood.domain.as_str())).collect()
}
