//! Which settings of a stream break a promise of the service, in words that name the
//! setting, what it would do, and the remedy.

use std::fmt;

use serde_json::Value;

use super::stream::subjects;
use crate::name::{Name, Subjects};

/// A setting that breaks a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    setting: &'static str,
    why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.setting, self.why)
    }
}

/// Everything in a stream's configuration that breaks a promise.
pub fn audit(domain: &Name, config: &Value) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut broken = |setting, why: &str| found.push(Violation { setting, why: why.to_owned() });
    let flag = |name: &str| config.get(name).and_then(Value::as_bool).unwrap_or(false);
    let text = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
    let present = |name: &str| config.get(name).is_some_and(|value| !is_empty(value));
    let bounded = |name: &str| config.get(name).and_then(Value::as_i64).is_some_and(|limit| limit > 0);

    if flag("no_ack") {
        broken("no_ack", "is set: without acknowledgements nothing is known to be stored");
    }
    if !matches!(text("retention"), "" | "limits") {
        let why = format!("is {}: consumers would delete events, it must be limits", text("retention"));
        broken("retention", &why);
    }
    if present("mirror") {
        broken("mirror", "is set: a mirror takes no events, name the stream it mirrors instead");
    }
    if present("sources") {
        broken("sources", "is set: events of other streams would mix with the domain's own");
    }
    if present("subject_transform") {
        broken("subject_transform", "is set: events would be stored under other subjects");
    }
    if flag("sealed") {
        broken("sealed", "is set: a sealed stream takes no events");
    }
    if bounded("max_msgs_per_subject") {
        broken("max_msgs_per_subject", "is set: it would delete an aggregate's older events");
    }
    if flag("allow_rollup_hdrs") {
        broken("allow_rollup_hdrs", "is set: one message with a rollup header would delete events");
    }
    if flag("allow_msg_counter") {
        broken("allow_msg_counter", "is set: messages would be taken for counters");
    }
    if text("persist_mode") == "async" {
        broken("persist_mode", "is async: events would be acknowledged before they are stored");
    }
    if matches!(text("discard"), "" | "old") {
        for limit in ["max_msgs", "max_bytes"] {
            if bounded(limit) {
                broken(
                    limit,
                    "is set together with discard old: it would delete events, set discard to new or remove it",
                );
            }
        }
    }
    audit_subjects(domain, config, &mut broken);
    found
}

fn audit_subjects(domain: &Name, config: &Value, broken: &mut impl FnMut(&'static str, &str)) {
    let own = Subjects::new(domain);
    let (events, commands) = (own.events(), own.commands());
    let found: Vec<&str> = subjects(config).collect();
    if !found.contains(&events.as_str()) {
        broken("subjects", &format!("are {}: {events} must be among them", list(&found)));
    }
    let foreign: Vec<&str> = found.into_iter().filter(|subject| *subject != events && *subject != commands).collect();
    if !foreign.is_empty() {
        broken("subjects", &format!("include {}: only {events} and {commands} may be among them", list(&foreign)));
    }
}

fn list(subjects: &[&str]) -> String {
    if subjects.is_empty() { "none".into() } else { subjects.join(", ") }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn violations(change: Value) -> Vec<String> {
        let mut config = json!({
            "name": "AGENT_EVENTS", "subjects": ["agent.commands.>", "agent.events.>"], "retention": "limits",
            "discard": "old", "max_msgs": -1, "max_bytes": -1, "max_msgs_per_subject": -1, "max_age": 0,
        });
        for (name, value) in change.as_object().expect("an object") {
            config[name] = value.clone();
        }
        let domain = Name::new("agent").expect("a name");
        audit(&domain, &config).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_guides_own_stream_is_fine() {
        assert_eq!(violations(json!({})), Vec::<String>::new());
        assert_eq!(violations(json!({"discard": "new", "max_msgs": 10})), Vec::<String>::new());
    }

    #[test]
    fn every_broken_promise_names_its_setting() {
        for (change, setting) in [
            (json!({"no_ack": true}), "no_ack"),
            (json!({"retention": "workqueue"}), "retention"),
            (json!({"retention": "interest"}), "retention"),
            (json!({"mirror": {"name": "OTHER"}}), "mirror"),
            (json!({"sources": [{"name": "OTHER"}]}), "sources"),
            (json!({"subject_transform": {"src": ">", "dest": "x.>"}}), "subject_transform"),
            (json!({"sealed": true}), "sealed"),
            (json!({"max_msgs_per_subject": 1}), "max_msgs_per_subject"),
            (json!({"persist_mode": "async"}), "persist_mode"),
            (json!({"allow_rollup_hdrs": true}), "allow_rollup_hdrs"),
            (json!({"allow_msg_counter": true}), "allow_msg_counter"),
            (json!({"max_msgs": 10}), "max_msgs"),
            (json!({"max_bytes": 10}), "max_bytes"),
            (json!({"subjects": ["agent.events.*.*"]}), "subjects"),
            (json!({"subjects": ["agent.>"]}), "subjects"),
            (json!({"subjects": ["agent.events.>", "other.>"]}), "subjects"),
        ] {
            let found = violations(change.clone());
            assert!(found.iter().any(|v| v.starts_with(setting)), "{change}: {found:?}");
        }
    }
}
