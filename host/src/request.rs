//! Reads a request off the wire and checks everything that can be checked without the
//! aggregate: subject, headers, payload shape, id. Bad input ends here and costs nothing.

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::domain::Description;
use crate::message::{Command, Failure, Query, Request};
use crate::name::{Address, AggregateId, header, printable};
use crate::trace::TraceContext;

/// Longest command id, correlation id or actor in bytes: they are stored with every event.
pub const HEADER_BYTES_MAX: usize = 256;
/// Longest `tracestate` in bytes: what the W3C has systems carry on at least.
pub const TRACESTATE_BYTES_MAX: usize = 512;
/// Deepest JSON of a command. State nests it once more, and what is stored must stay readable
/// for parsers that stop at 128 levels.
pub const NESTING_MAX: usize = 64;
/// Most events in one page of a history.
pub const HISTORY_LIMIT_MAX: u64 = 1_000;
/// Events in a page where the client names no limit.
const HISTORY_LIMIT: u64 = 100;

/// How a request looks up its headers: the value of a name, where it is there.
pub type Headers<'a> = dyn Fn(&str) -> Option<&'a str> + 'a;

/// Reads a request.
///
/// # Errors
/// A [`Failure`] of code `invalid` that names what is wrong.
pub fn read<'a>(
    address: &Address<'_>,
    headers: &Headers<'a>,
    payload: Bytes,
    domain: &Description,
    payload_bytes_max: usize,
) -> Result<Request, Failure> {
    if payload.len() > payload_bytes_max {
        let size = payload.len();
        return Err(Failure::invalid(
            "",
            format!("the payload has {size} bytes, at most {payload_bytes_max} are taken"),
        ));
    }
    match *address {
        Address::Command { id, verb } => command(id, verb, headers, payload, domain).map(Request::Command),
        Address::Query { id, query: name } => query(id, name, &payload, domain).map(Request::Query),
    }
}

fn command<'a>(
    subject_id: Option<&str>,
    verb: &str,
    headers: &Headers<'a>,
    payload: Bytes,
    domain: &Description,
) -> Result<Command, Failure> {
    let Some(verb) = domain.verb(verb) else {
        let known = domain.commands.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Failure::invalid("", format!("unknown verb `{}`: the domain takes {known}", printable(verb))));
    };
    let payload_id = id_in_object(&payload, &domain.id_field)?;
    let id = agreed(subject_id, payload_id.as_deref(), &domain.id_field, domain)?;
    let expected_version = match headers(header::EXPECTED_VERSION) {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            let message = format!(
                "header {} is `{}`, not a version: 0 or a positive number",
                header::EXPECTED_VERSION,
                printable(text)
            );
            Failure::invalid("", message).about(&id)
        })?),
    };
    let text = |name: &str| header_text(headers, name).map_err(|failure| failure.about(&id));
    // The W3C says to go on without a trace context that cannot be read.
    let traceparent = text(header::TRACEPARENT).unwrap_or_default();
    Ok(Command {
        verb: verb.clone(),
        payload,
        command_id: text(header::MESSAGE_ID)?.unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
        expected_version,
        correlation_id: text(header::CORRELATION_ID)?,
        actor: text(header::ACTOR)?,
        tracestate: traceparent.as_deref().and_then(TraceContext::parse).and_then(|_| tracestate(headers)),
        traceparent,
        id,
    })
}

fn query(subject_id: Option<&str>, name: &str, payload: &[u8], domain: &Description) -> Result<Query, Failure> {
    let asked = Fields::read(payload)?;
    let id = agreed(subject_id, asked.text("id")?, "id", domain)?;
    let fault = |field, message: String| Err(Failure::invalid(field, message).about(&id));
    match name {
        "state" => match asked.number("at_version")? {
            Some(0) => fault("at_version", "at_version is 0: versions count from 1".into()),
            at_version => Ok(Query::State { id, at_version }),
        },
        "history" => {
            let limit = asked.number("limit")?.unwrap_or(HISTORY_LIMIT);
            if !(1..=HISTORY_LIMIT_MAX).contains(&limit) {
                return fault("limit", format!("limit is {limit}: it takes 1 to {HISTORY_LIMIT_MAX}"));
            }
            let after = asked.number("after")?.unwrap_or(0);
            Ok(Query::History { id, after, limit: usize::try_from(limit).unwrap_or(usize::MAX) })
        }
        other => fault("", format!("unknown query `{}`: there are state and history", printable(other))),
    }
}

/// The fields of a query, all of which may be missing.
struct Fields(serde_json::Map<String, serde_json::Value>);

impl Fields {
    /// Reads them; an empty payload has none.
    fn read(payload: &[u8]) -> Result<Self, Failure> {
        if payload.is_empty() {
            return Ok(Self(serde_json::Map::new()));
        }
        match serde_json::from_slice(payload) {
            Ok(serde_json::Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Failure::invalid("", "the payload is no JSON object")),
            Err(error) => Err(Failure::invalid("", format!("the payload is not JSON: {error}"))),
        }
    }

    fn number(&self, field: &str) -> Result<Option<u64>, Failure> {
        match self.0.get(field) {
            None | Some(serde_json::Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(Failure::invalid(field, format!("{field} is no whole number from 0 on"))),
            },
        }
    }

    fn text(&self, field: &str) -> Result<Option<&str>, Failure> {
        match self.0.get(field) {
            None | Some(serde_json::Value::Null) => Ok(None),
            Some(serde_json::Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Failure::invalid(field, format!("{field} is no string"))),
        }
    }
}

/// The aggregate's id from subject and payload, which must not differ.
fn agreed(
    subject: Option<&str>,
    payload: Option<&str>,
    field: &str,
    domain: &Description,
) -> Result<AggregateId, Failure> {
    let id = match (subject, payload) {
        (Some(subject), Some(payload)) if subject != payload => {
            let message = format!("the subject names `{}`, the payload `{}`", printable(subject), printable(payload));
            return Err(Failure::invalid(field, message));
        }
        (Some(id), _) | (None, Some(id)) => id,
        (None, None) => return Err(Failure::invalid(field, format!("missing field `{field}`"))),
    };
    AggregateId::of_format(id, domain.id_format).map_err(|error| Failure::invalid(field, error.to_string()))
}

/// The text of a header that is stored with events.
fn header_text<'a>(headers: &Headers<'a>, name: &str) -> Result<Option<String>, Failure> {
    match headers(name) {
        None | Some("") => Ok(None),
        Some(text) if text.len() > HEADER_BYTES_MAX => Err(Failure::invalid(
            "",
            format!("header {name} has {} bytes, at most {HEADER_BYTES_MAX} are taken", text.len()),
        )),
        Some(text) if text.chars().any(char::is_control) => {
            Err(Failure::invalid("", format!("header {name} has control characters")))
        }
        Some(text) => Ok(Some(text.to_owned())),
    }
}

/// What tracing systems keep beside the trace context: carried on as it is, or not at all.
fn tracestate(headers: &Headers<'_>) -> Option<String> {
    let fits = |text: &&str| {
        (1..=TRACESTATE_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
    };
    headers(header::TRACESTATE).filter(fits).map(str::to_owned)
}

/// Checks that `payload` is one JSON object and finds the id in it, reading nothing else.
fn id_in_object(payload: &[u8], field: &str) -> Result<Option<String>, Failure> {
    let text =
        std::str::from_utf8(payload).map_err(|_| Failure::invalid("", "the payload is not UTF-8, so not JSON"))?;
    if nesting(payload) > NESTING_MAX {
        return Err(Failure::invalid(
            "",
            format!("the payload's JSON is nested too deep, at most {NESTING_MAX} levels are taken"),
        ));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let id = IdIn(field).deserialize(&mut json).and_then(|id| json.end().map(|()| id));
    match id {
        Ok(Ok(id)) => Ok(id),
        Ok(Err(message)) => Err(Failure::invalid(field, message)),
        Err(error) if error.is_data() => Err(Failure::invalid("", "the payload is no JSON object")),
        Err(error) => Err(Failure::invalid("", format!("the payload is not JSON: {error}"))),
    }
}

/// How deep objects and arrays lie in one another, in a text that may or may not be JSON.
fn nesting(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Visits an object for one string field; the inner error is that field's fault.
struct IdIn<'f>(&'f str);

impl<'de> DeserializeSeed<'de> for IdIn<'_> {
    type Value = Result<Option<String>, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for IdIn<'_> {
    type Value = Result<Option<String>, String>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut found = Ok(None);
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if key != self.0 {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value::<serde_json::Value>().map_err(M::Error::custom)?;
            found = match (found, value) {
                (Ok(None), serde_json::Value::String(id)) => Ok(Some(id)),
                (Ok(None), _) => Err(format!("`{}` is no string", self.0)),
                // Two readers could each take another one of them.
                _ => Err(format!("`{}` is there twice", self.0)),
            };
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MessageType;
    use crate::message::Code;
    use crate::name::{IdFormat, Name};

    fn domain() -> Description {
        let verb = MessageType {
            name: Name::new("add").expect("a name"),
            description: String::new(),
            schema: serde_json::json!({}),
        };
        Description {
            domain: Name::new("counter").expect("a name"),
            version: "1.0.0".into(),
            state_schema: 1,
            id_field: "counter_id".into(),
            id_format: IdFormat::Token,
            commands: vec![verb],
            events: vec![],
        }
    }

    fn read_command(id: Option<&str>, payload: &str) -> Result<Request, Failure> {
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        read(&Address::Command { id, verb: "add" }, &|_| None, payload, &domain(), 96)
    }

    #[test]
    fn the_id_comes_from_subject_or_payload() {
        for (id, payload) in
            [(None, r#"{"counter_id":"c1"}"#), (Some("c1"), "{}"), (Some("c1"), r#"{"counter_id":"c1"}"#)]
        {
            let request = read_command(id, payload).expect("valid");
            assert_eq!(request.id().as_str(), "c1");
        }
    }

    #[test]
    fn bad_payloads_are_invalid_and_say_why() {
        for (id, payload, why) in [
            (None, "{", "not JSON"),
            (None, "", "not JSON"),
            (None, "{} {}", "not JSON"),
            (None, "[1]", "no JSON object"),
            (None, "\"x\"", "no JSON object"),
            (None, "{}", "missing field `counter_id`"),
            (None, &"[".repeat(65), "nested too deep"),
            (None, r#"{"counter_id":1}"#, "no string"),
            (None, r#"{"counter_id":"a","counter_id":"b"}"#, "twice"),
            (None, r#"{"counter_id":"a.b"}"#, "no id"),
            (Some("b"), r#"{"counter_id":"a"}"#, "the subject names `b`"),
            (Some("b"), &format!(r#"{{"x":"{}"}}"#, "y".repeat(100)), "at most 96"),
        ] {
            let failure = read_command(id, payload).expect_err(payload);
            assert_eq!(failure.code, Code::Invalid, "{payload}");
            assert!(failure.message.contains(why), "{payload}: {}", failure.message);
        }
    }

    #[test]
    fn a_tracestate_is_carried_on_beside_a_readable_trace_context_alone() {
        const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let longest = "a".repeat(TRACESTATE_BYTES_MAX);
        for (parent, state, carried) in [
            (Some(PARENT), "rojo=1", Some("rojo=1")),
            (Some(PARENT), &longest, Some(&*longest)),
            (Some(PARENT), &format!("{longest}a"), None),
            (Some(PARENT), "rojo=1\u{b}", None),
            (Some(PARENT), "", None),
            (Some(&PARENT[1..]), "rojo=1", None),
            (None, "rojo=1", None),
        ] {
            let headers = |name: &str| match name {
                header::TRACEPARENT => parent,
                header::TRACESTATE => Some(state),
                _ => None,
            };
            let address = Address::Command { id: Some("c1"), verb: "add" };
            let read = read(&address, &headers, Bytes::from_static(b"{}"), &domain(), 96).expect("valid");
            let Request::Command(command) = read else { panic!("a command") };
            assert_eq!(command.tracestate.as_deref(), carried, "{parent:?} {state}");
        }
    }

    #[test]
    fn nesting_is_counted_outside_of_strings() {
        assert_eq!(nesting(br#"{"a":[{"b":"[[[\"{{"}]}"#), 3);
        assert_eq!(nesting(b"[[[[]]]]"), 4);
        assert_eq!(nesting(br#""plain""#), 0);
    }

    #[test]
    fn bad_headers_are_invalid() {
        for (name, value) in [
            (header::EXPECTED_VERSION, "-1"),
            (header::EXPECTED_VERSION, "two"),
            (header::EXPECTED_VERSION, "18446744073709551616"),
            (header::MESSAGE_ID, &*"x".repeat(HEADER_BYTES_MAX + 1)),
            (header::ACTOR, "a\tb"),
        ] {
            let headers = |asked: &str| (asked == name).then_some(value);
            let address = Address::Command { id: Some("c1"), verb: "add" };
            let failure = read(&address, &headers, Bytes::from_static(b"{}"), &domain(), 64).expect_err(name);
            assert!(failure.message.contains(name), "{}", failure.message);
        }
    }

    #[test]
    fn queries_have_bounds() {
        let ask = |query, payload: &'static str| {
            let address = Address::Query { id: Some("c1"), query };
            read(&address, &|_| None, Bytes::from_static(payload.as_bytes()), &domain(), 64)
        };
        let Ok(Request::Query(history)) = ask("history", "") else { panic!("an empty query is fine") };
        let id = AggregateId::new("c1").expect("an id");
        assert_eq!(history, Query::History { id, after: 0, limit: 100 });
        for (query, payload) in [
            ("state", r#"{"at_version":0}"#),
            ("state", r#"{"at_version":-1}"#),
            ("state", "[]"),
            ("history", r#"{"limit":1001}"#),
            ("history", r#"{"limit":0}"#),
            ("other", "{}"),
        ] {
            assert_eq!(ask(query, payload).expect_err(payload).code, Code::Invalid, "{query} {payload}");
        }
    }
}
