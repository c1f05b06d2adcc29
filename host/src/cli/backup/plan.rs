//! What belongs to a backup, and in which order it is copied, so that what is copied later never
//! lacks what was copied before. Knows nothing of how it is copied.

use serde_json::Value;

use crate::cli::CliError;
use crate::name::{
    FLEET_PLUGINS_BUCKET, FLEET_WANTED_BUCKET, Name, dead_stream_of, inbox_stream_of, snapshot_bucket_of,
};
use crate::store::jetstream::StandingStream;

/// What a stream holds, in the order of copying.
///
/// What waits comes before the events that it leads to: a command that is executed meanwhile is in
/// both, and its id makes it count once. Snapshots come before the events that they stand for: a
/// snapshot may be older than the log, never newer. What the fleet wants comes before the components
/// that it names, since those are only ever added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum Kind {
    Wanted,
    Plugins,
    Inbox,
    Snapshots,
    Events,
    Dead,
}

impl Kind {
    pub(in crate::cli) fn in_words(self) -> &'static str {
        match self {
            Self::Wanted => "what the fleet runs",
            Self::Plugins => "the fleet's plugins",
            Self::Inbox => "waiting commands",
            Self::Snapshots => "snapshots",
            Self::Events => "events",
            Self::Dead => "parked commands",
        }
    }
}

/// A stream that is to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Planned {
    pub(in crate::cli) stream: String,
    pub(in crate::cli) kind: Kind,
}

/// The event streams of the domains that were named, else of all that are recorded.
pub(in crate::cli) fn logs_in(standing: &[StandingStream], domains: &[Name]) -> Result<Vec<(String, Name)>, CliError> {
    let mut logs: Vec<(String, Name)> =
        standing.iter().filter_map(|stream| Some((stream.name.clone(), domain_in(&stream.config)?))).collect();
    for domain in domains {
        if !logs.iter().any(|(_, found)| found == domain) {
            let why = format!("there is no stream that holds {domain}.events.>: nothing of {domain} is recorded here");
            return Err(CliError::Invalid(why));
        }
    }
    logs.retain(|(_, domain)| domains.is_empty() || domains.contains(domain));
    Ok(logs)
}

/// The streams of the domains that were named, else of all domains and of the fleet.
pub(super) fn of(standing: &[StandingStream], domains: &[Name]) -> Result<Vec<Planned>, CliError> {
    let mut planned = Vec::new();
    for (stream, domain) in logs_in(standing, domains)? {
        planned.push(Planned { stream, kind: Kind::Events });
        planned.extend(beside(&domain).into_iter().map(|(stream, kind)| Planned { stream, kind }));
    }
    if domains.is_empty() {
        planned.extend(of_fleet().map(|(stream, kind)| Planned { stream, kind }));
    }
    planned.retain(|planned| standing.iter().any(|stream| stream.name == planned.stream));
    if planned.is_empty() {
        return Err(CliError::Invalid("there is nothing to back up: no stream here holds a domain's events".into()));
    }
    planned.sort_by(|one, other| (one.kind, &one.stream).cmp(&(other.kind, &other.stream)));
    Ok(planned)
}

/// The streams of these names that stand, in the order of copying.
pub(in crate::cli) fn of_names(standing: &[StandingStream], names: &[String]) -> Vec<Planned> {
    let mut planned: Vec<Planned> = standing
        .iter()
        .filter(|stream| names.contains(&stream.name))
        .map(|stream| Planned { stream: stream.name.clone(), kind: kind_of(&stream.name, &stream.config) })
        .collect();
    planned.sort_by(|one, other| (one.kind, &one.stream).cmp(&(other.kind, &other.stream)));
    planned
}

/// What a stream holds, by its name and configuration; what is not known counts as events, which
/// nothing depends on.
pub(in crate::cli) fn kind_of(name: &str, config: &Value) -> Kind {
    if let Some((_, kind)) = of_fleet().into_iter().find(|(stream, _)| stream == name) {
        return kind;
    }
    match name {
        _ if domain_in(config).is_some() => Kind::Events,
        _ if name.starts_with("KV_") && name.ends_with("_SNAPSHOTS") => Kind::Snapshots,
        _ if name.ends_with("_INBOX") => Kind::Inbox,
        _ if name.ends_with("_DEAD") => Kind::Dead,
        _ => Kind::Events,
    }
}

/// The domain whose events a stream holds.
fn domain_in(config: &Value) -> Option<Name> {
    let subjects = config.get("subjects").and_then(Value::as_array)?;
    let domains = subjects.iter().filter_map(|subject| subject.as_str()?.strip_suffix(".events.>"));
    domains.filter_map(|domain| Name::new(domain).ok()).next()
}

/// What stands beside a domain's events.
fn beside(domain: &Name) -> [(String, Kind); 3] {
    [
        (format!("KV_{}", snapshot_bucket_of(domain)), Kind::Snapshots),
        (inbox_stream_of(domain), Kind::Inbox),
        (dead_stream_of(domain), Kind::Dead),
    ]
}

fn of_fleet() -> [(String, Kind); 2] {
    [(format!("KV_{FLEET_WANTED_BUCKET}"), Kind::Wanted), (format!("OBJ_{FLEET_PLUGINS_BUCKET}"), Kind::Plugins)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stream(name: &str, subjects: &[&str]) -> StandingStream {
        StandingStream { name: name.into(), config: json!({"name": name, "subjects": subjects}), state: json!({}) }
    }

    fn standing() -> Vec<StandingStream> {
        vec![
            stream("AGENT_DEAD", &["agent.dead.>"]),
            stream("AGENT_INBOX", &["agent.inbox.>"]),
            stream("COUNTER_EVENTS", &["counter.events.>"]),
            stream("KV_AGENT_SERVICE_WANTED", &["$KV.AGENT_SERVICE_WANTED.>"]),
            stream("KV_AGENT_SNAPSHOTS", &["$KV.AGENT_SNAPSHOTS.>"]),
            stream("KV_OTHER", &["$KV.OTHER.>"]),
            stream("OBJ_AGENT_SERVICE_PLUGINS", &["$O.AGENT_SERVICE_PLUGINS.C.>"]),
            stream("ORDERS", &["orders.>"]),
            stream("OURS", &["agent.commands.>", "agent.events.>"]),
        ]
    }

    fn names(planned: &[Planned]) -> Vec<&str> {
        planned.iter().map(|planned| planned.stream.as_str()).collect()
    }

    #[test]
    fn all_that_is_ours_is_copied_what_waits_before_what_it_leads_to() {
        let expected = [
            "KV_AGENT_SERVICE_WANTED",
            "OBJ_AGENT_SERVICE_PLUGINS",
            "AGENT_INBOX",
            "KV_AGENT_SNAPSHOTS",
            "COUNTER_EVENTS",
            "OURS",
            "AGENT_DEAD",
        ];
        assert_eq!(names(&of(&standing(), &[]).expect("a plan")), expected);
    }

    #[test]
    fn a_domain_that_is_named_comes_alone() {
        let domain = |name| Name::new(name).expect("a name");
        let planned = of(&standing(), &[domain("agent")]).expect("a plan");
        assert_eq!(names(&planned), ["AGENT_INBOX", "KV_AGENT_SNAPSHOTS", "OURS", "AGENT_DEAD"]);
        assert!(of(&standing(), &[domain("orders")]).is_err(), "none of its events are here");
        assert!(of(&[], &[]).is_err());
    }
}
