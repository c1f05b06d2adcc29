//! Where log lines go, what they look like, and what is logged, which may change while the host runs.

mod traced;

use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::format::Format;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use self::traced::WithTrace;
use crate::config::{LogFormat, log_filter};

/// What is logged. A clone is the same.
#[derive(Clone)]
pub struct Logging {
    configured: Arc<str>,
    current: Arc<Mutex<Option<Arc<str>>>>,
    reload: reload::Handle<EnvFilter, Registry>,
}

/// What is logged, before and after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The filter before.
    pub before: Arc<str>,
    /// The filter from now on.
    pub after: Arc<str>,
}

impl Logging {
    /// Sends log lines to standard error from now on. A second call changes nothing.
    pub fn start(filter: &str, format: LogFormat) -> Self {
        // The settings have checked the filter.
        let (filtering, reload) = reload::Layer::new(EnvFilter::builder().parse_lossy(filter));
        let lines = fmt::layer().with_writer(std::io::stderr);
        let lines = match format {
            LogFormat::Text => {
                let colours =
                    std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
                lines.with_ansi(colours).boxed()
            }
            LogFormat::Json => {
                lines.json().event_format(WithTrace(Format::default().json().flatten_event(true))).boxed()
            }
        };
        if let Err(error) = tracing_subscriber::registry().with(filtering).with(lines).try_init() {
            tracing::debug!(%error, "logging was started before");
        }
        Self { configured: filter.into(), current: Arc::default(), reload }
    }

    /// The filter of the settings.
    pub fn configured(&self) -> Arc<str> {
        Arc::clone(&self.configured)
    }

    /// The filter now.
    pub fn current(&self) -> Arc<str> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone().unwrap_or_else(|| self.configured())
    }

    /// Logs by this filter from now on, or by that of the settings.
    ///
    /// # Errors
    /// In words what is wrong with the filter; then nothing is changed.
    pub fn change(&self, filter: Option<&str>) -> Result<Changed, String> {
        let wanted = filter.map(log_filter).transpose()?.map(Arc::<str>::from);
        let after = wanted.clone().unwrap_or_else(|| self.configured());
        let parsed = EnvFilter::builder().parse(&*after).map_err(|error| error.to_string())?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        self.reload.reload(parsed).map_err(|error| error.to_string())?;
        let before = std::mem::replace(&mut *current, wanted).unwrap_or_else(|| self.configured());
        Ok(Changed { before, after })
    }
}
