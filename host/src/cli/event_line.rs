//! An event as it is listed, a line each. Knows what events say of themselves, not where
//! they are read from.

use async_nats::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::event_reader::StreamEvent;
use super::output::{ASIDE, BAD, NAME, Output, harmless};
use crate::name::{Name, Subjects, header};

/// Most characters of an event's data on a line for people.
const DATA_CHARS_MAX: usize = 100;
/// Width of the column with an event's name: most names fit.
const NAME_COLUMNS: usize = 22;

/// An event in a page of history.
#[derive(Debug, Deserialize)]
pub(super) struct HistoryEvent {
    #[serde(rename = "type")]
    name: String,
    version: u64,
    pub(super) sequence: u64,
    time: String,
    data: Box<RawValue>,
}

/// A line of the list.
#[derive(Debug, Serialize)]
pub(super) struct EventLine {
    domain: String,
    id: String,
    #[serde(rename = "type")]
    name: String,
    /// None for a message that no host has written.
    version: Option<u64>,
    sequence: u64,
    time: String,
    data: Box<RawValue>,
    #[serde(flatten)]
    origin: Origin,
}

/// What caused an event, by its headers.
#[derive(Debug, Default, Serialize)]
pub(super) struct Origin {
    #[serde(skip_serializing_if = "Option::is_none")]
    command_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<String>,
}

impl Origin {
    /// Reads an event's headers.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        Self {
            command_id: text(headers, header::CE_CAUSATION_ID),
            correlation_id: text(headers, header::CE_CORRELATION_ID),
            actor: text(headers, header::CE_ACTOR),
            plugin: text(headers, header::CE_PLUGIN),
        }
    }
}

impl EventLine {
    /// An event from a history.
    pub(super) fn of_history(domain: &Name, id: &str, event: HistoryEvent, origin: Origin) -> Self {
        let HistoryEvent { name, version, sequence, time, data } = event;
        Self {
            domain: domain.to_string(),
            id: id.to_owned(),
            name,
            version: Some(version),
            sequence,
            time,
            data,
            origin,
        }
    }

    /// An event from the stream.
    pub(super) fn of_stream(domain: &Name, event: &StreamEvent) -> Self {
        Self {
            domain: domain.to_string(),
            id: Subjects::event_aggregate(&event.subject).unwrap_or_default().to_owned(),
            name: Subjects::event_name(&event.subject).unwrap_or_default().to_owned(),
            version: text(&event.headers, header::CE_SEQUENCE).and_then(|version| version.parse().ok()),
            sequence: event.sequence,
            time: text(&event.headers, header::CE_TIME).unwrap_or_else(|| event.stored.clone()),
            data: json(&event.payload),
            origin: Origin::read(&event.headers),
        }
    }

    /// Prints it; `with_id` where the list is of many aggregates.
    pub(super) fn print(&self, output: Output, with_id: bool) -> std::io::Result<()> {
        if output.is_json() { output.document(&self.document()) } else { output.text(&self.in_words(with_id)) }
    }

    fn document(&self) -> Vec<u8> {
        // Serialising it cannot fail: every map key is a string.
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn in_words(&self, with_id: bool) -> String {
        let version = match self.version {
            Some(version) => format!("{version:>5}"),
            None => format!("{BAD}    ?{BAD:#}"),
        };
        let id = if with_id { format!("{}  ", harmless(&self.id)) } else { String::new() };
        let name = format!("{:NAME_COLUMNS$}", harmless(&self.name));
        let mut data: String = harmless(&self.data.get().replace('\n', " ")).chars().take(DATA_CHARS_MAX).collect();
        if self.data.get().chars().nth(DATA_CHARS_MAX).is_some() {
            data.push('…');
        }
        let time = harmless(&self.time);
        format!("{version}  {ASIDE}{time}{ASIDE:#}  {id}{NAME}{name}{NAME:#}  {ASIDE}{data}{ASIDE:#}")
    }
}

/// A payload as JSON; what is none becomes a text.
fn json(payload: &[u8]) -> Box<RawValue> {
    serde_json::from_slice(payload).unwrap_or_else(|_| {
        let text = serde_json::Value::from(String::from_utf8_lossy(payload));
        serde_json::value::to_raw_value(&text).unwrap_or_else(|_| RawValue::NULL.to_owned())
    })
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| value.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(headers: &[(&'static str, &str)], payload: &'static str) -> EventLine {
        let headers = headers.iter().map(|(name, value)| (*name, *value)).collect::<Vec<_>>();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name, value);
        }
        let event = StreamEvent {
            sequence: 41,
            subject: "agent.events.a1.activated".into(),
            headers: map,
            payload: payload.into(),
            stored: "2026-01-02T03:04:05.006Z".into(),
        };
        EventLine::of_stream(&Name::new("agent").expect("a name"), &event)
    }

    fn written() -> EventLine {
        let headers = [
            (header::CE_SEQUENCE, "2"),
            (header::CE_TIME, "2026-01-01T00:00:00.000Z"),
            (header::CE_CAUSATION_ID, "c1"),
            (header::CE_CORRELATION_ID, "u1"),
            (header::CE_ACTOR, "alice"),
            (header::CE_PLUGIN, "agent/0.1.0;sha256=ab"),
        ];
        event(&headers, r#"{"type":"AgentActivated"}"#)
    }

    #[test]
    fn headers_are_decoded() {
        insta::assert_snapshot!(
            String::from_utf8_lossy(&written().document()),
            @r#"{"domain":"agent","id":"a1","type":"activated","version":2,"sequence":41,"time":"2026-01-01T00:00:00.000Z","data":{"type":"AgentActivated"},"command_id":"c1","correlation_id":"u1","actor":"alice","plugin":"agent/0.1.0;sha256=ab"}"#
        );
    }

    #[test]
    fn a_message_that_no_host_wrote_is_shown_as_it_is() {
        insta::assert_snapshot!(
            String::from_utf8_lossy(&event(&[], "boo").document()),
            @r#"{"domain":"agent","id":"a1","type":"activated","version":null,"sequence":41,"time":"2026-01-02T03:04:05.006Z","data":"boo"}"#
        );
    }

    #[test]
    fn people_get_a_line_that_is_not_too_long() {
        let plain = |text: &str| anstream::adapter::strip_str(text).to_string();
        insta::assert_snapshot!(
            plain(&written().in_words(true)),
            @r#"    2  2026-01-01T00:00:00.000Z  a1  activated               {"type":"AgentActivated"}"#
        );
        let long: &'static str = Box::leak(format!("\"{}\"", "x".repeat(1_000)).into_boxed_str());
        assert!(plain(&event(&[], long).in_words(false)).chars().count() < 200);
    }
}
