//! A command whose way is traced: what is recorded, and that its events name the host's span. Knows
//! nothing of how a trace is exported.

use std::sync::Arc;
use std::time::Duration;

use super::Job;
use super::live::Live;
use super::pipeline::Pipeline;
use crate::message::{Command, Reply, Request};
use crate::metrics::Stage;
use crate::name::AggregateId;
use crate::trace::{self, Subject, Trace, TraceContext};

impl Pipeline {
    /// Counts how long a stage took, also for the command whose it is.
    pub(super) fn passed(&self, stage: Stage, took: Duration) {
        self.meter.passed(stage, took);
        if self.tracer.is_some() {
            trace::passed(stage, took);
        }
    }

    /// Begins the trace of a command that is to have one; its events will name the host's span
    /// instead of the client's.
    pub(super) fn begin_trace(&self, job: &mut Job) -> Option<Trace> {
        let tracer = self.tracer.as_deref()?;
        let Request::Command(command) = &mut job.request else { return None };
        let parent = command.traceparent.as_deref().and_then(TraceContext::parse);
        let context = tracer.sample(parent.as_ref())?;
        command.traceparent = Some(context.to_string());
        let mut trace = Trace::new(context, parent, self.subject(command), job.arrived);
        trace.state.clone_from(&command.tracestate);
        Some(trace)
    }

    /// Traces a command that is not served at all.
    pub(super) fn trace_refused(&self, job: &Job, reply: &Reply) {
        let (Some(tracer), Request::Command(command)) = (&self.tracer, &job.request) else { return };
        let parent = command.traceparent.as_deref().and_then(TraceContext::parse);
        trace::refused(&**tracer, parent, self.subject(command), job.arrived, reply);
    }

    fn subject(&self, command: &Command) -> Subject {
        Subject {
            domain: self.domain.clone(),
            verb: command.verb.to_string(),
            verb_known: true,
            aggregate: Some(command.id.clone()),
            command_id: Some(command.command_id.clone()),
        }
    }
}

/// Serves a command as any other, and hands its trace on.
pub(super) async fn serve(pipeline: &Pipeline, id: &AggregateId, live: &mut Option<Live>, job: Job, trace: Trace) {
    let recorded = trace::record(trace, super::task::serve(pipeline, id, live, job)).await;
    if let (Some(mut trace), Some(tracer)) = (recorded, &pipeline.tracer) {
        let activation = match live {
            Some(live) => Arc::clone(live.activation()),
            None => pipeline.instances.activation(),
        };
        trace.code = Some((Arc::clone(&activation.author.plugin), activation.number()));
        tracer.finish(trace);
    }
}
