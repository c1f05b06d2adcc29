//! The project's own instrument: scenarios, each of which holds the service against a twin of its
//! own, in turns, and says how far the goals are met. Started by itself with a subcommand it is one
//! of the twins. The library is for its binary and its finer benchmarks.

mod agents;
mod arena;
mod contender;
mod duel;
mod ground;
mod host_process;
mod load;
mod machine;
mod options;
pub mod place;
mod process;
mod results;
pub mod sample_agent;
mod scenario;
mod seed;
mod twin;

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;

use crate::options::{Options, Role};
use crate::results::{Results, markdown};

/// Does what the command line says.
///
/// # Errors
/// What cannot be measured, and why.
pub fn run() -> Result<()> {
    let options = Options::parse();
    match options.role {
        Some(Role::Respond { twin, nats_url }) => event_loop()?.block_on(twin::run(twin, &nats_url)),
        None => measure(&options),
    }
}

/// One thread, as the service's own connection has: more of them would only take the processors
/// from the server.
fn event_loop() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("the system gives no event loop")
}

fn measure(options: &Options) -> Result<()> {
    let chosen = scenario::choose(&options.scenarios)?;
    let machine = machine::describe()?;
    let plan = options.plan()?;
    let (mut results, mut failed) = (Results::new(machine, &plan), Vec::new());
    for scenario in chosen {
        tell(&format!("{}: {}", scenario.name, scenario.about));
        let begun = Instant::now();
        match (scenario.run)(&plan) {
            Ok(outcome) => {
                tell(&format!("  took {:.1} s", begun.elapsed().as_secs_f64()));
                results.add(scenario, outcome);
            }
            // What the others say is worth having.
            Err(error) => failed.push(format!("the scenario {} fails: {error:#}", scenario.name)),
        }
    }
    let page = markdown::page(&results);
    std::io::stdout().lock().write_all(page.as_bytes()).context("cannot print the results")?;
    if let Some(directory) = options.directory() {
        results.write(&directory, &page)?;
    }
    ensure!(failed.is_empty(), failed.join("; "));
    Ok(())
}

/// Progress is for those who wait; nobody is hurt where it cannot be written.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
