//! What is known of one command's way while it is under way, and after it. Everything in it is bounded.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::TraceContext;
use crate::message::{Code, Outcome, Reply};
use crate::metrics::Stage;
use crate::name::{AggregateId, Name};

/// Parts of one command's way that are kept: more than sixteen attempts have.
const PARTS_MAX: usize = 64;
/// Lines and notes that are kept of one command; the rest is counted.
const LINES_MAX: usize = 64;
/// Longest line that is kept, in bytes.
const LINE_BYTES_MAX: usize = 2_048;

/// The trace of one command.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The command's span.
    pub context: TraceContext,
    /// The client's, where it has one.
    pub parent: Option<TraceContext>,
    /// The client's `tracestate`, where it has one.
    pub state: Option<String>,
    /// What was asked.
    pub subject: Subject,
    /// When the command arrived.
    pub arrived: Instant,
    /// The code that served it, `<name>/<version>;sha256=<hex>`, and its activation number.
    pub code: Option<(Arc<str>, u64)>,
    /// Its reply.
    pub answer: Option<Answer>,
    /// One moment by both clocks, to turn the one into the other.
    anchor: (Instant, SystemTime),
    attempt: u32,
    parts: Vec<Part>,
    lines: Vec<Line>,
    dropped: u32,
}

/// What a command asks.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The domain.
    pub domain: Name,
    /// The verb as the client has it.
    pub verb: String,
    /// Whether the domain knows it.
    pub verb_known: bool,
    /// The aggregate, where it is known.
    pub aggregate: Option<AggregateId>,
    /// The command's id, where it is known.
    pub command_id: Option<String>,
}

/// A part of a command's way.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// When it began.
    pub begun: Instant,
    /// When it ended.
    pub ended: Instant,
    /// How often the command had been decided by then.
    pub attempt: u32,
}

/// What the plugin said, or what happened on the way.
#[derive(Debug, Clone)]
pub struct Line {
    /// When.
    pub at: Instant,
    /// How loud the plugin said it; `None` where the host notes something.
    pub level: Option<&'static str>,
    /// In words.
    pub text: String,
}

/// What a command came to.
#[derive(Debug, Clone)]
pub struct Answer {
    /// When it was known.
    pub at: Instant,
    /// The code of an error.
    pub code: Option<Code>,
    /// The error in words, empty where there is none.
    pub message: String,
    /// The domain's token, where it refused.
    pub reason: Option<String>,
    /// The aggregate's version, where it is known.
    pub version: Option<u64>,
    /// Whether it is the outcome of an earlier delivery.
    pub duplicate: bool,
    /// Events that were stored.
    pub events: usize,
}

impl Trace {
    /// The trace of a command that arrived.
    pub fn new(context: TraceContext, parent: Option<TraceContext>, subject: Subject, arrived: Instant) -> Self {
        let anchor = (Instant::now(), SystemTime::now());
        let (code, answer, attempt, dropped) = (None, None, 0, 0);
        // A command that goes well has these, and a snapshot at times.
        let parts = Vec::with_capacity(Stage::ALL.len() + 1);
        let (state, lines) = (None, Vec::new());
        Self { context, parent, state, subject, arrived, code, answer, anchor, attempt, parts, lines, dropped }
    }

    /// The parts of its way.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// What was said on it.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Parts and lines that found no room.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// How often the command was decided.
    pub fn attempts(&self) -> u32 {
        self.attempt
    }

    /// A moment by the clock on the wall.
    pub fn wall(&self, at: Instant) -> SystemTime {
        let (instant, wall) = self.anchor;
        match at.checked_duration_since(instant) {
            Some(after) => wall + after,
            None => wall - instant.duration_since(at),
        }
    }

    pub(super) fn passed(&mut self, name: &'static str, begun: Instant, ended: Instant) {
        self.attempt += u32::from(name == Stage::Decide.as_str());
        if self.parts.len() < PARTS_MAX {
            self.parts.push(Part { name, begun, ended, attempt: self.attempt });
        } else {
            self.dropped += 1;
        }
    }

    pub(super) fn note(&mut self, what: &'static str) {
        self.say(None, what);
    }

    pub(super) fn line(&mut self, level: &'static str, text: &str) {
        self.say(Some(level), text);
    }

    fn say(&mut self, level: Option<&'static str>, text: &str) {
        if self.lines.len() < LINES_MAX {
            let text = text[..text.floor_char_boundary(LINE_BYTES_MAX)].to_owned();
            self.lines.push(Line { at: Instant::now(), level, text });
        } else {
            self.dropped += 1;
        }
    }

    /// Notes the reply.
    pub fn answered(&mut self, reply: &Reply) {
        let at = Instant::now();
        self.answer = Some(match reply {
            Reply::Ok(outcome) => {
                let (version, duplicate, events) = match outcome {
                    Outcome::Accepted { version, duplicate, events, .. } => (*version, *duplicate, events.len()),
                    Outcome::State { version, .. } => (*version, false, 0),
                    Outcome::History { .. } => (0, false, 0),
                };
                let message = String::new();
                Answer { at, code: None, message, reason: None, version: Some(version), duplicate, events }
            }
            Reply::Error(failure) => Answer {
                at,
                code: Some(failure.code),
                message: failure.message.clone(),
                reason: failure.reason.clone(),
                version: failure.version,
                duplicate: false,
                events: 0,
            },
        });
    }
}

#[cfg(test)]
impl Subject {
    /// A command as tests of traces have it.
    pub(crate) fn of_a_counter() -> Self {
        Self {
            domain: Name::new("counter").expect("a name"),
            verb: "add".into(),
            verb_known: true,
            aggregate: None,
            command_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn trace(arrived: Instant) -> Trace {
        Trace::new(TraceContext::root([1; 16], [2; 8]), None, Subject::of_a_counter(), arrived)
    }

    #[test]
    fn times_by_the_wall_are_as_far_apart_as_they_were() {
        let now = Instant::now();
        let trace = trace(now);
        let (before, after) = (now - Duration::from_millis(3), now + Duration::from_secs(2));
        let apart = trace.wall(after).duration_since(trace.wall(before));
        assert_eq!(apart.expect("in order"), Duration::from_millis(2_003));
    }

    #[test]
    fn a_command_can_neither_do_nor_say_without_bound() {
        let mut trace = trace(Instant::now());
        for _ in 0..1_000 {
            trace.passed("decide", Instant::now(), Instant::now());
            trace.line("info", &"é".repeat(LINE_BYTES_MAX));
        }
        assert_eq!((trace.parts().len(), trace.lines().len()), (PARTS_MAX, LINES_MAX));
        assert_eq!(trace.dropped() as usize, 2_000 - PARTS_MAX - LINES_MAX);
        assert!(trace.lines()[0].text.len() <= LINE_BYTES_MAX);
        assert_eq!(trace.attempts(), 1_000);
    }
}
