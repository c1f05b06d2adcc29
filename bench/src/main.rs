//! The benchmark's binary: runs the rounds and prints what came of them; or, started by itself
//! with a subcommand, is one of the responders that the service is held against. It must not
//! know how anything is measured.

mod arena;
mod boundary;
mod contender;
mod goals;
mod load;
mod machine;
mod options;
mod processor;
mod report;
mod respond;
mod results;
mod rounds;
mod sample_agent;
mod spread;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::options::{Options, Role};

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where not even this can be written, the exit code still says it.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    // One thread, as the service's own connection has: more of them would only take the
    // processors from the server.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("the system gives no event loop")?;
    match &options.role {
        Some(Role::Respond { rules, nats_url }) => runtime.block_on(respond::run(*rules, nats_url)),
        None => measure(options, &runtime),
    }
}

fn measure(options: &Options, runtime: &tokio::runtime::Runtime) -> Result<()> {
    let machine = machine::describe()?;
    let plan = options.plan()?;
    let boundary = boundary::measure(&plan)?;
    let rounds = runtime.block_on(rounds::run(&plan))?;
    let results = results::Results::new(machine, options, rounds, boundary);
    let mut output = std::io::stdout().lock();
    output.write_all(report::markdown(&results).as_bytes()).context("cannot print the results")?;
    match options.json_file() {
        Some(file) => results.write(&file),
        None => Ok(()),
    }
}
