//! Turns a trace into spans, with the names that the semantic conventions for messaging have and our own
//! beside them.

use std::borrow::Cow;
use std::time::Instant;

use opentelemetry::trace::{Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SpanData, SpanEvents, SpanLinks};

use super::trace_id;
use crate::message::Code;
use crate::metrics::Stage;
use crate::name::SERVICE;
use crate::trace::{Line, Part, Trace};

/// The verb in the name of a span whose command has one that the domain does not know: clients choose
/// those, and names are few.
const OTHER: &str = "other";

/// Makes spans.
pub(super) struct Spans {
    ids: RandomIdGenerator,
    scope: InstrumentationScope,
}

impl Spans {
    pub(super) fn new() -> Self {
        let scope = InstrumentationScope::builder(SERVICE).with_version(env!("CARGO_PKG_VERSION")).build();
        Self { ids: RandomIdGenerator::default(), scope }
    }

    /// The spans of a trace: the command's, and below it one for each part of its way.
    pub(super) fn of(&self, trace: &Trace, into: &mut Vec<SpanData>) {
        into.push(self.command(trace));
        into.extend(trace.parts().iter().map(|part| self.part(trace, part)));
    }

    fn command(&self, trace: &Trace) -> SpanData {
        let subject = &trace.subject;
        let verb = if subject.verb_known { &subject.verb } else { OTHER };
        let name = format!("{}.{verb}", subject.domain).into();
        let ended = trace.answer.as_ref().map_or(trace.arrived, |answer| answer.at);
        let mut span = self.span(trace, trace.context.span_id, name, trace.arrived, ended);
        if let Some(parent) = &trace.parent {
            span.parent_span_id = SpanId::from_bytes(parent.span_id);
            span.parent_span_is_remote = true;
        }
        span.span_kind = SpanKind::Server;
        span.attributes = attributes(trace);
        span.events.events = trace.lines().iter().map(|line| event(trace, line)).collect();
        span.events.dropped_count = trace.dropped();
        if let Some(answer) = &trace.answer
            && answer.code.is_some_and(is_fault)
        {
            span.status = Status::error(answer.message.clone());
        }
        span
    }

    fn part(&self, trace: &Trace, part: &Part) -> SpanData {
        let id = self.ids.new_span_id().to_bytes();
        let mut span = self.span(trace, id, part.name.into(), part.begun, part.ended);
        span.parent_span_id = SpanId::from_bytes(trace.context.span_id);
        if part.name == Stage::Append.as_str() {
            span.span_kind = SpanKind::Client;
        }
        if part.attempt > 1 {
            span.attributes.push(KeyValue::new("agent_service.attempt", i64::from(part.attempt)));
        }
        span
    }

    fn span(&self, trace: &Trace, id: [u8; 8], name: Cow<'static, str>, begun: Instant, ended: Instant) -> SpanData {
        let (id, flags) = (SpanId::from_bytes(id), TraceFlags::new(trace.context.flags));
        let state = trace.state.as_deref().and_then(|text| text.parse().ok()).unwrap_or(TraceState::NONE);
        SpanData {
            span_context: SpanContext::new(trace_id(&trace.context), id, flags, false, state),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name,
            start_time: trace.wall(begun),
            end_time: trace.wall(ended),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

fn attributes(trace: &Trace) -> Vec<KeyValue> {
    let subject = &trace.subject;
    let mut all = vec![
        KeyValue::new("messaging.system", "nats"),
        KeyValue::new("messaging.operation.type", "process"),
        KeyValue::new("agent_service.domain", subject.domain.to_string()),
        KeyValue::new("agent_service.verb", subject.verb.clone()),
    ];
    if let Some(id) = &subject.aggregate {
        all.push(KeyValue::new("agent_service.aggregate.id", id.to_string()));
    }
    if let Some(id) = &subject.command_id {
        all.push(KeyValue::new("messaging.message.id", id.clone()));
    }
    if let Some((plugin, activation)) = &trace.code {
        all.push(KeyValue::new("agent_service.plugin", plugin.to_string()));
        all.push(KeyValue::new("agent_service.activation", whole(*activation)));
    }
    if trace.attempts() > 1 {
        all.push(KeyValue::new("agent_service.attempts", i64::from(trace.attempts())));
    }
    let Some(answer) = &trace.answer else { return all };
    all.push(KeyValue::new("agent_service.outcome", answer.code.map_or("ok", Code::as_str)));
    if let Some(code) = answer.code {
        all.push(KeyValue::new("error.type", code.as_str()));
    }
    if let Some(reason) = &answer.reason {
        all.push(KeyValue::new("agent_service.reason", reason.clone()));
    }
    if let Some(version) = answer.version {
        all.push(KeyValue::new("agent_service.version", whole(version)));
    }
    if answer.code.is_none() {
        all.push(KeyValue::new("agent_service.duplicate", answer.duplicate));
        all.push(KeyValue::new("agent_service.events", whole(answer.events as u64)));
    }
    all
}

fn event(trace: &Trace, line: &Line) -> Event {
    let at = trace.wall(line.at);
    match line.level {
        Some(level) => {
            let attributes =
                vec![KeyValue::new("log.severity", level), KeyValue::new("log.message", line.text.clone())];
            Event::new("plugin.log", at, attributes, 0)
        }
        None => Event::new(line.text.clone(), at, Vec::new(), 0),
    }
}

/// Whether it is the host's or the plugin's fault, and not the client's.
fn is_fault(code: Code) -> bool {
    matches!(code, Code::PluginFailed | Code::Unavailable | Code::Timeout | Code::Overloaded)
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
