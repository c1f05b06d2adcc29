//! What a plugin logs or prints reaches the host's log, a bounded part of it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::loaded::{MISBEHAVE, One};

/// The host's log, line by line as JSON.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What is logged while `speaking`.
    fn of(speaking: impl FnOnce()) -> Vec<Value> {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt().json().with_writer(log.clone()).finish();
        tracing::subscriber::with_default(subscriber, speaking);
        let text = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8(text).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What is logged when a plugin runs in these modes, one call each.
fn spoken(runs: &[Value]) -> Vec<Value> {
    let mut plugin = One::of(&MISBEHAVE, "m1");
    Log::of(|| {
        for run in runs {
            plugin.events("run", run);
        }
    })
}

fn message(line: &Value) -> &str {
    line["fields"]["message"].as_str().expect("a message")
}

#[test]
fn lines_come_under_the_domains_name() {
    for (mode, first) in [("log_flood", "line 0"), ("print", "printed 0")] {
        let lines = spoken(&[json!({ "mode": mode, "n": 2 })]);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(message(&lines[0]), first);
        assert_eq!((&lines[0]["target"], &lines[0]["level"]), (&json!("plugin"), &json!("INFO")));
        assert_eq!(lines[0]["fields"]["domain"], "misbehave");
    }
}

#[test]
fn a_flood_of_lines_is_cut_and_counted_per_call() {
    for mode in ["log_flood", "print"] {
        let lines = spoken(&[json!({ "mode": mode, "n": 1_000 }), json!({ "mode": mode, "n": 1 })]);
        assert_eq!(lines.len(), 32 + 1 + 1, "{mode}");
        let told = &lines[32];
        assert_eq!((&told["level"], &told["fields"]["dropped"]), (&json!("WARN"), &json!(968)), "{told}");
        assert!(message(&lines[33]).ends_with(" 0"), "the next call has an allowance of its own");
    }
}

#[test]
fn a_long_line_is_cut() {
    let lines = spoken(&[json!({ "mode": "log_long", "n": 100_000 })]);
    assert_eq!(message(&lines[0]).len(), 2_048);
}

#[test]
fn a_panic_says_its_words_in_the_log() {
    let mut plugin = One::of(&MISBEHAVE, "m1");
    let lines = Log::of(|| {
        plugin.decide("run", &json!({ "mode": "trap" })).expect_err("it panics");
    });
    assert!(lines.iter().any(|line| message(line).contains("asked to panic")), "{lines:?}");
}
