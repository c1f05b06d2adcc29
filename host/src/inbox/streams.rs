//! The streams of the durable lane and the one consumer of all hosts: made where they are missing,
//! else adopted as they stand if they keep what is promised. Nothing here changes a stream.

use std::time::Duration;

use serde_json::{Value, json};

use super::PARKING_BYTES;
use crate::name::{Name, Subjects, dead_stream_of, inbox_stream_of};
use crate::nats::{JetStream, unless_refused};

/// The one priority group of the consumer.
pub(super) const GROUP: &str = "hosts";
/// Commands that a host asks for at once.
pub(super) const HELD_MAX: usize = 256;
/// Commands that are delivered and not yet acknowledged, at most. Above what a host asks for: a pin
/// is given together with a message, so that after a host with all of its share another one must
/// still be delivered to.
pub(super) const UNACKNOWLEDGED_MAX: usize = 2 * HELD_MAX;
/// After what time without a sign the server delivers again.
pub(super) const ACK_WAIT: Duration = Duration::from_secs(30);
/// After what time without a pull the pin goes to another host.
pub(super) const PIN_TIMEOUT: Duration = Duration::from_secs(6);
/// How long JetStream itself remembers message ids. The shortest it takes: its memory spans all
/// aggregates, and an id belongs to one.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);
/// JetStream's error code for a stream that is not there.
pub(super) const STREAM_NOT_FOUND: u64 = 10_059;

/// What the streams are made with.
#[derive(Debug, Clone)]
pub(super) struct Making {
    pub(super) domain: Name,
    pub(super) queue_group: String,
    pub(super) replicas: usize,
    pub(super) message_bytes_max: usize,
    pub(super) api_prefix: String,
}

/// The names of what stands.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    /// The stream of commands.
    pub(super) inbox: String,
    /// The consumer.
    pub(super) consumer: String,
    /// What the subjects of JetStream's API begin with.
    pub(super) api_prefix: String,
}

/// Finds the two streams and the consumer, and makes what is missing. With `may_make` false a
/// stream that is missing was deleted under the running host, and stays missing.
pub(super) async fn open(context: &JetStream, making: &Making, may_make: bool) -> Result<Standing, InboxError> {
    let domain = &making.domain;
    let subjects = Subjects::new(domain);
    let inbox = inbox_stream_of(domain);
    let definition = definition(&inbox, &format!("durable commands of the domain {domain}"), &subjects.inbox(), making);
    let found = stream(context, definition, "workqueue", 0, may_make).await?;
    let largest = found["max_msg_size"].as_u64().filter(|bytes| *bytes > 0).unwrap_or(u64::MAX);
    let parked_bytes = largest.min(making.message_bytes_max as u64) + PARKING_BYTES as u64;
    let dead = dead_stream_of(domain);
    let mut definition =
        self::definition(&dead, &format!("commands that the domain {domain} gave up on"), &subjects.dead(), making);
    definition["retention"] = json!("limits");
    definition["max_msg_size"] = json!(-1);
    definition["allow_direct"] = json!(true);
    stream(context, definition, "limits", parked_bytes, may_make).await?;
    let consumer = consumer_name(&making.queue_group);
    let request = json!({"stream_name": inbox, "config": consumer_definition(&consumer)});
    api(context, format!("CONSUMER.CREATE.{inbox}.{consumer}"), &request).await.map_err(|error| {
        InboxError::new(
            &inbox,
            format!("its consumer {consumer} cannot be made: {error}; hosts of one domain share one QUEUE_GROUP"),
        )
    })?;
    Ok(Standing { inbox, consumer, api_prefix: making.api_prefix.clone() })
}

/// One call of JetStream's API.
pub(super) async fn api(context: &JetStream, subject: String, request: &Value) -> Result<Value, ApiError> {
    let asked = unless_refused(&format!(".API.{subject}"), context.request(subject.clone(), request)).await;
    let answer = asked.map_err(|refusal| ApiError { code: 0, text: refusal.to_string() })?;
    let reply: Value =
        answer.map_err(|error| ApiError { code: 0, text: format!("JetStream does not answer: {error}") })?;
    match reply.get("error") {
        None => Ok(reply),
        Some(error) => Err(ApiError {
            code: error.get("err_code").and_then(Value::as_u64).unwrap_or_default(),
            text: error.get("description").and_then(Value::as_str).unwrap_or("no description").to_owned(),
        }),
    }
}

/// Finds a stream that takes messages of so many bytes, or makes it; gives its settings.
async fn stream(
    context: &JetStream,
    definition: Value,
    retention: &str,
    message_bytes: u64,
    may_make: bool,
) -> Result<Value, InboxError> {
    let name = definition["name"].as_str().unwrap_or_default().to_owned();
    let refused = |error: ApiError| InboxError::new(&name, error.to_string());
    let mut found = match api(context, format!("STREAM.INFO.{name}"), &json!({})).await {
        Err(error) if error.code == STREAM_NOT_FOUND && may_make => {
            let made = api(context, format!("STREAM.CREATE.{name}"), &definition).await.map_err(refused)?;
            tracing::info!(stream = name, "stream made");
            made
        }
        Err(error) if error.code == STREAM_NOT_FOUND => {
            let why = "it was deleted while this host runs, with what was in it: start the host anew to have an empty one made";
            return Err(InboxError::new(&name, why));
        }
        found => found.map_err(refused)?,
    };
    let subject = definition["subjects"][0].as_str().unwrap_or_default();
    match broken_promises(&found["config"], subject, retention, message_bytes) {
        broken if broken.is_empty() => Ok(found["config"].take()),
        broken => Err(InboxError::new(&name, format!("it cannot be used: {}", broken.join("; ")))),
    }
}

/// What in the settings of a domain's inbox breaks a promise, in words.
pub fn audit_inbox(domain: &Name, config: &Value) -> Vec<String> {
    broken_promises(config, &Subjects::new(domain).inbox(), "workqueue", 0)
}

/// The same of the stream of what is given up on, where commands may have so many bytes.
pub fn audit_dead(domain: &Name, config: &Value, command_bytes_max: usize) -> Vec<String> {
    let parked_bytes = command_bytes_max.saturating_add(PARKING_BYTES) as u64;
    broken_promises(config, &Subjects::new(domain).dead(), "limits", parked_bytes)
}

/// What in a stream's settings breaks a promise, in words.
fn broken_promises(config: &Value, subject: &str, retention: &str, message_bytes: u64) -> Vec<String> {
    let mut broken = Vec::new();
    let is_set = |name: &str| match &config[name] {
        Value::Bool(set) => *set,
        Value::Number(number) => number.as_i64().is_some_and(|number| number > 0),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Null | Value::String(_) => false,
    };
    if config["subjects"] != json!([subject]) {
        broken.push(format!("subjects must be {subject} alone"));
    }
    if config["retention"] != retention {
        broken.push(format!("retention must be {retention}"));
    }
    for setting in [
        "no_ack",
        "sealed",
        "mirror",
        "sources",
        "subject_transform",
        "max_age",
        "max_msgs_per_subject",
        "allow_rollup_hdrs",
        "allow_msg_ttl",
        "deny_delete",
    ] {
        if is_set(setting) {
            broken.push(format!("{setting} is set, which would lose, move or refuse commands"));
        }
    }
    // A command that cannot be parked would stop all that follow of its aggregate.
    if let Some(bytes) = config["max_msg_size"].as_u64().filter(|bytes| (1..message_bytes).contains(bytes)) {
        broken.push(format!(
            "max_msg_size is {bytes}, and a command that is parked needs up to {message_bytes} bytes: raise it (`nats stream edit --max-msg-size`) or remove the limit"
        ));
    }
    if config["persist_mode"] == "async" {
        broken.push("persist_mode is async: commands would be acknowledged before they are stored".into());
    }
    if config["discard"] != "new" && (is_set("max_msgs") || is_set("max_bytes")) {
        broken.push("a limit is set together with discard old, which would drop commands: set discard to new".into());
    }
    broken
}

fn definition(name: &str, description: &str, subject: &str, making: &Making) -> Value {
    json!({
        "name": name,
        "description": description,
        "subjects": [subject],
        "retention": "workqueue",
        "storage": "file",
        // A full stream tells its publisher so; it drops nothing that it has accepted.
        "discard": "new",
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "max_msg_size": making.message_bytes_max,
        "num_replicas": making.replicas,
        "duplicate_window": nanos(DUPLICATE_WINDOW),
    })
}

fn consumer_definition(name: &str) -> Value {
    json!({
        "durable_name": name,
        "name": name,
        "description": "all hosts; one of them is pinned at a time",
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": nanos(ACK_WAIT),
        "max_deliver": -1,
        "max_ack_pending": UNACKNOWLEDGED_MAX,
        "priority_groups": [GROUP],
        "priority_policy": "pinned_client",
        "priority_timeout": nanos(PIN_TIMEOUT),
    })
}

/// The queue group as the name of a consumer, which has no dots or slashes.
fn consumer_name(queue_group: &str) -> String {
    queue_group.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What JetStream answered.
#[derive(Debug, thiserror::Error)]
#[error("{text} ({code})")]
pub(super) struct ApiError {
    pub(super) code: u64,
    text: String,
}

/// The durable lane cannot be served for now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stream {stream}: {why}")]
pub(super) struct InboxError {
    stream: String,
    why: String,
}

impl InboxError {
    pub(super) fn new(stream: &str, why: impl Into<String>) -> Self {
        Self { stream: stream.to_owned(), why: why.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn making() -> Making {
        let domain = Name::new("agent").expect("a name");
        Making {
            domain,
            queue_group: "agent-workers".into(),
            replicas: 1,
            message_bytes_max: 1_000,
            api_prefix: "$JS.API".into(),
        }
    }

    #[test]
    fn what_is_made_keeps_what_is_promised() {
        let made = definition("AGENT_INBOX", "x", "agent.inbox.>", &making());
        assert_eq!(broken_promises(&made, "agent.inbox.>", "workqueue", 0), Vec::<String>::new());
    }

    #[test]
    fn every_broken_promise_names_its_setting() {
        for (setting, value) in [
            ("subjects", json!(["agent.>"])),
            ("retention", json!("limits")),
            ("no_ack", json!(true)),
            ("mirror", json!({"name": "OTHER"})),
            ("sources", json!([{"name": "OTHER"}])),
            ("max_age", json!(1)),
            ("max_msgs_per_subject", json!(1)),
            ("sealed", json!(true)),
            ("persist_mode", json!("async")),
        ] {
            let mut config = definition("AGENT_INBOX", "x", "agent.inbox.>", &making());
            config[setting] = value;
            let broken = broken_promises(&config, "agent.inbox.>", "workqueue", 0);
            assert!(broken.len() == 1 && broken[0].contains(setting), "{setting}: {broken:?}");
        }
        let mut config = definition("AGENT_INBOX", "x", "agent.inbox.>", &making());
        config["max_msgs"] = json!(10);
        assert_eq!(broken_promises(&config, "agent.inbox.>", "workqueue", 0), Vec::<String>::new());
        config["discard"] = json!("old");
        assert_eq!(broken_promises(&config, "agent.inbox.>", "workqueue", 0).len(), 1);
    }

    #[test]
    fn what_is_too_small_for_a_parked_command_is_refused() {
        let broken = |bytes: i64| {
            let mut config = definition("AGENT_DEAD", "x", "agent.dead.>", &making());
            config["max_msg_size"] = json!(bytes);
            broken_promises(&config, "agent.dead.>", "workqueue", 9_192)
        };
        let told = broken(9_191).join("");
        assert!(["max_msg_size", "9191", "9192"].iter().all(|word| told.contains(word)), "{told}");
        for fits in [-1, 0, 9_192] {
            assert_eq!(broken(fits), Vec::<String>::new(), "{fits}");
        }
    }

    #[test]
    fn a_queue_group_becomes_the_name_of_a_consumer() {
        assert_eq!(consumer_name("agent-workers"), "agent-workers");
        assert_eq!(consumer_name("a.b/c"), "a_b_c");
    }
}
