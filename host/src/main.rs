//! The binary: reads the command line, then serves or does what was asked. Knows nothing
//! of how either is done.

use std::process::ExitCode;

use agent_service::cli::{self, CliError, CommandLine, Exit};
use agent_service::logging::Logging;
use agent_service::{config, serve};

/// Fast on small pieces that one thread makes and another one frees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let exit = match config::parse::<CommandLine>(std::env::args_os()) {
        Ok(line) => run(line).unwrap_or_else(|error| error.report()),
        Err(error) => cli::explain(&error),
    };
    exit.into()
}

fn run(line: CommandLine) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Failed(format!("the system gives no event loop: {error}")))?;
    let exit = runtime.block_on(async {
        let Some(command) = line.command else {
            let logging = Logging::start(&line.service.log_level, line.service.log_format);
            serve::run(line.connection, line.service, logging).await.map_err(CliError::failed)?;
            return Ok(Exit::Ok);
        };
        cli::run(command, &line.connection, &line.service).await
    });
    // A plugin that is being compiled or held against a long history keeps nobody from ending.
    runtime.shutdown_background();
    exit
}
