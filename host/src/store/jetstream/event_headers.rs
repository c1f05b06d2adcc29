//! Events as headers: CloudEvents in binary mode, and back.

use async_nats::HeaderMap;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::domain::Author;
use crate::event::{NewEvents, Origin};
use crate::name::{Name, header};

/// The names, made once: the client library would look each up and copy it for every event.
mod named {
    use async_nats::HeaderName;

    use crate::name::header;

    pub(super) const MESSAGE_ID: HeaderName = HeaderName::from_static(header::MESSAGE_ID);
    pub(super) const CE_ID: HeaderName = HeaderName::from_static(header::CE_ID);
    pub(super) const CE_SPECVERSION: HeaderName = HeaderName::from_static(header::CE_SPECVERSION);
    pub(super) const CONTENT_TYPE: HeaderName = HeaderName::from_static(header::CONTENT_TYPE);
    pub(super) const CE_TYPE: HeaderName = HeaderName::from_static(header::CE_TYPE);
    pub(super) const CE_SOURCE: HeaderName = HeaderName::from_static(header::CE_SOURCE);
    pub(super) const CE_SUBJECT: HeaderName = HeaderName::from_static(header::CE_SUBJECT);
    pub(super) const CE_TIME: HeaderName = HeaderName::from_static(header::CE_TIME);
    pub(super) const CE_SEQUENCE: HeaderName = HeaderName::from_static(header::CE_SEQUENCE);
    pub(super) const CE_CAUSATION_ID: HeaderName = HeaderName::from_static(header::CE_CAUSATION_ID);
    pub(super) const CE_CORRELATION_ID: HeaderName = HeaderName::from_static(header::CE_CORRELATION_ID);
    pub(super) const CE_PLUGIN: HeaderName = HeaderName::from_static(header::CE_PLUGIN);
    pub(super) const CE_ACTIVATION: HeaderName = HeaderName::from_static(header::CE_ACTIVATION);
    pub(super) const CE_ACTOR: HeaderName = HeaderName::from_static(header::CE_ACTOR);
    pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static(header::TRACEPARENT);
    pub(super) const TRACESTATE: HeaderName = HeaderName::from_static(header::TRACESTATE);
}

/// The headers of the event at `index`.
pub(super) fn write(domain: &Name, source: &str, new: &NewEvents, index: usize) -> HeaderMap {
    let event_id = new.event_ids[index].to_string();
    let mut headers = HeaderMap::new();
    headers.insert(named::MESSAGE_ID, event_id.as_str());
    headers.insert(named::CE_ID, event_id);
    headers.insert(named::CE_SPECVERSION, "1.0");
    headers.insert(named::CONTENT_TYPE, "application/json");
    headers.insert(named::CE_TYPE, format!("{domain}.{}", new.events[index].name));
    headers.insert(named::CE_SOURCE, source);
    headers.insert(named::CE_SUBJECT, new.id.as_str());
    headers.insert(named::CE_TIME, new.time.to_rfc3339());
    headers.insert(named::CE_SEQUENCE, (new.first_version + index as u64).to_string());
    headers.insert(named::CE_CAUSATION_ID, new.command_id.as_str());
    headers.insert(named::CE_CORRELATION_ID, new.correlation_id.as_str());
    headers.insert(named::CE_PLUGIN, &*new.author.plugin);
    headers.insert(named::CE_ACTIVATION, new.author.activation.to_string());
    if let Some(actor) = &new.actor {
        headers.insert(named::CE_ACTOR, actor.as_str());
    }
    if let Some(traceparent) = &new.traceparent {
        headers.insert(named::TRACEPARENT, traceparent.as_str());
    }
    if let Some(tracestate) = &new.tracestate {
        headers.insert(named::TRACESTATE, tracestate.as_str());
    }
    headers
}

/// What an event's headers say.
///
/// # Errors
/// Which of them no host would have written, in words.
pub fn read(headers: &HeaderMap) -> Result<Origin, String> {
    let text = |name: &str| headers.get(name).map(async_nats::HeaderValue::as_str);
    let needed = |name: &str| text(name).ok_or_else(|| format!("it has no header {name}"));
    let event_id = needed(header::CE_ID)?;
    if text(header::MESSAGE_ID) != Some(event_id) {
        return Err(format!("its {} is not its {}", header::MESSAGE_ID, header::CE_ID));
    }
    for name in [header::CE_SPECVERSION, header::CE_TYPE, header::CE_SOURCE, header::CE_SUBJECT, header::CONTENT_TYPE] {
        needed(name)?;
    }
    Ok(Origin {
        event_id: parsed(header::CE_ID, event_id, |text| Uuid::parse_str(text).ok())?,
        version: parsed(header::CE_SEQUENCE, needed(header::CE_SEQUENCE)?, |text| {
            text.parse().ok().filter(|v| *v > 0)
        })?,
        time: parsed(header::CE_TIME, needed(header::CE_TIME)?, Timestamp::from_rfc3339)?,
        command_id: needed(header::CE_CAUSATION_ID)?.to_owned(),
        correlation_id: needed(header::CE_CORRELATION_ID)?.to_owned(),
        actor: text(header::CE_ACTOR).map(str::to_owned),
        author: Author {
            plugin: needed(header::CE_PLUGIN)?.into(),
            activation: parsed(header::CE_ACTIVATION, needed(header::CE_ACTIVATION)?, |text| text.parse().ok())?,
        },
    })
}

fn parsed<T>(name: &str, text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, String> {
    parse(text).ok_or_else(|| format!("its header {name} cannot be read: `{}`", crate::name::printable(text)))
}
