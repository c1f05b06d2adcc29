//! What a test leaves out on this machine, said aloud. It must not know why.

use std::io::Write;

/// Says so on standard error, which the test runner keeps.
pub fn skipped(what: &str) {
    // A closed standard error wants to know nothing.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}
