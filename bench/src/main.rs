//! The benchmark's binary. It must not know what is measured.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match bench::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where not even this can be written, the exit code still says it.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
