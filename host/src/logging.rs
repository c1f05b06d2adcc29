//! Where log lines go and what they look like.

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Sends log lines to standard error from now on. A second call changes nothing.
pub fn start(filter: &str, format: LogFormat) {
    // The settings have checked the filter.
    let filter = EnvFilter::builder().parse_lossy(filter);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => {
            let colours =
                std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colours).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(error, "logging was started before");
    }
}
