//! The service that can be told to break its promises, for tests of the fault suite. It must not
//! do more than serve, and is never shipped.

use agent_service::cli::CommandLine;
use agent_service::config;

fn main() -> anyhow::Result<()> {
    let line = config::parse::<CommandLine>(std::env::args_os())?;
    let logging = agent_service::logging::Logging::start(&line.service.log_level, line.service.log_format);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(agent_service::serve::run(line.connection, line.service, logging));
    runtime.shutdown_background();
    Ok(served?)
}
