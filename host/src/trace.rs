//! A trace of one command: the parts of its way with their times, the plugin's lines, the outcome. Knows
//! neither how traces are exported nor who reads them.
//!
//! A shard works on many commands on one thread, so that the trace that is being recorded goes with the
//! command's future, and whoever takes part adds to it from where it is. Where none is recorded, each of
//! the functions below is one look at a thread's own variable.

mod context;
mod record;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use tokio::task_local;

pub use self::context::TraceContext;
pub use self::record::{Answer, Line, Part, Subject, Trace};
use crate::message::Reply;
use crate::metrics::Stage;

task_local! {
    static CURRENT: RefCell<Trace>;
}

/// Decides which commands are traced, and takes their traces.
pub trait Tracer: Send + Sync {
    /// The span of a command under its client's, if it is to be recorded.
    fn sample(&self, parent: Option<&TraceContext>) -> Option<TraceContext>;

    /// Takes a trace that is complete. It does not wait: what is too much is dropped, and counted.
    fn finish(&self, trace: Trace);
}

/// Traces a command that was refused before anything was done for it.
pub fn refused(tracer: &dyn Tracer, parent: Option<TraceContext>, subject: Subject, arrived: Instant, reply: &Reply) {
    if let Some(context) = tracer.sample(parent.as_ref()) {
        let mut trace = Trace::new(context, parent, subject, arrived);
        trace.answered(reply);
        tracer.finish(trace);
    }
}

/// Records into `trace` whatever takes part in `work`.
pub async fn record(trace: Trace, work: impl Future<Output = ()>) -> Option<Trace> {
    let mut recorded = Box::pin(CURRENT.scope(RefCell::new(trace), work));
    recorded.as_mut().await;
    recorded.as_mut().take_value().map(RefCell::into_inner)
}

/// The span that is being recorded here.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|trace| trace.try_borrow().ok().map(|trace| trace.context)).ok().flatten()
}

/// A stage has just ended.
pub fn passed(stage: Stage, took: Duration) {
    with(|trace| {
        let now = Instant::now();
        trace.passed(stage.as_str(), now.checked_sub(took).unwrap_or(now), now);
    });
}

/// Something that is no stage begins; it ends when what this gives is dropped.
pub fn part(name: &'static str) -> OpenPart {
    OpenPart { name, begun: current().map(|_| Instant::now()) }
}

/// Something happened on the way.
pub fn note(what: &'static str) {
    with(|trace| trace.note(what));
}

/// The plugin said something.
pub fn line(level: &'static str, text: &str) {
    with(|trace| trace.line(level, text));
}

/// The command has its reply.
pub fn answered(reply: &Reply) {
    with(|trace| trace.answered(reply));
}

fn with(change: impl FnOnce(&mut Trace)) {
    // Outside of a recorded command there is nothing to change.
    let _ = CURRENT.try_with(|trace| {
        if let Ok(mut trace) = trace.try_borrow_mut() {
            change(&mut trace);
        }
    });
}

/// A part of a command's way that goes on.
#[must_use]
pub struct OpenPart {
    name: &'static str,
    begun: Option<Instant>,
}

impl Drop for OpenPart {
    fn drop(&mut self) {
        if let Some(begun) = self.begun {
            with(|trace| trace.passed(self.name, begun, Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    fn begun(last: u8) -> Trace {
        let context = TraceContext { trace_id: [1; 16], span_id: [last; 8], flags: 1 };
        Trace::new(context, None, Subject::of_a_counter(), Instant::now())
    }

    async fn yielded() {
        let mut first = true;
        std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::take(&mut first) { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
        })
        .await;
    }

    #[test]
    fn commands_that_take_turns_on_one_thread_have_their_own_parts() {
        let work = |name: &'static str| async move {
            let _part = part(name);
            yielded().await;
            note(name);
        };
        let (one, other) = block_on(async { futures::join!(record(begun(1), work("a")), record(begun(2), work("b"))) });
        for (trace, name) in [(one, "a"), (other, "b")] {
            let trace = trace.expect("a trace");
            assert_eq!(trace.parts().iter().map(|part| part.name).collect::<Vec<_>>(), [name]);
            assert_eq!(trace.lines().iter().map(|line| &*line.text).collect::<Vec<_>>(), [name]);
        }
    }

    #[test]
    fn outside_of_a_command_nothing_is_recorded() {
        passed(Stage::Decide, Duration::ZERO);
        line("info", "nobody hears");
        assert_eq!(current(), None);
        assert!(part("load").begun.is_none());
    }
}
