//! Promises that the host can be told to break, so that it can be shown that the fault suite, or whoever
//! watches, notices. Only in builds with the feature `sabotage`, which nothing that ships has.

use std::sync::OnceLock;

/// The environment variable that chooses.
const VARIABLE: &str = "AGENT_SABOTAGE";

/// Events are appended without saying which sequence they expect.
pub(crate) fn skips_expected_sequence() -> bool {
    chosen() == "expected-sequence"
}

/// Commands are answered before JetStream has acknowledged their events.
pub(crate) fn answers_before_the_ack() -> bool {
    chosen() == "reply-before-ack"
}

/// The thread that serves a request never comes back from it.
pub(crate) fn gets_stuck() {
    while chosen() == "stuck-shard" {
        std::thread::park();
    }
}

fn chosen() -> &'static str {
    static CHOSEN: OnceLock<String> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let chosen = std::env::var(VARIABLE).unwrap_or_default();
        tracing::warn!(sabotage = chosen, "this build can be told to break promises: it is for tests");
        chosen
    })
}
