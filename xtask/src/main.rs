//! The `xtask` binary: hands the arguments to the library and turns its answer into an
//! exit code. It must not know any command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    xtask::front_door::run(&arguments)
}
