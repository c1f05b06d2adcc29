//! The service as a child process, started the way a deployment starts it: by environment.
//! It must not know what is done with it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::owned_process::OwnedProcess;
use crate::poll::{self, PATIENCE};
use crate::service_ping;

/// What the service promises for its own end, with room for a loaded machine.
const DRAIN_PATIENCE: Duration = Duration::from_secs(20);

/// Settings that a caller's environment may hold for another service and that must not
/// reach this one.
const FOREIGN_SETTINGS: &[&str] =
    &["NATS_", "STREAM_", "SNAPSHOT_", "QUEUE_GROUP", "PLUGIN_", "CACHE_CAPACITY", "HTTP_ADDR", "LOG_", "CONFIG_FILE"];

/// What it takes to start the service, as often as wanted.
pub(crate) struct Service {
    pub(crate) binary: PathBuf,
    pub(crate) nats_url: String,
    pub(crate) plugin_dir: PathBuf,
    /// Where it logs; without one, to our own standard error.
    pub(crate) log: Option<PathBuf>,
}

/// A started service.
pub(crate) struct RunningService {
    process: OwnedProcess,
}

impl Service {
    /// A call of the service's binary with nothing of the caller's settings but the server.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().into_owned();
            if FOREIGN_SETTINGS.iter().any(|beginning| text.starts_with(beginning)) {
                command.env_remove(name);
            }
        }
        command.env("NATS_URL", &self.nats_url).stdin(Stdio::null());
        command
    }

    /// Starts the service and waits until it answers. Tells how long that took.
    pub(crate) fn start(&self) -> Result<(RunningService, Duration)> {
        let mut command = self.command();
        // No port is taken for health and metrics: another service may have it.
        command.env("PLUGIN_DIR", &self.plugin_dir).env("HTTP_ADDR", "");
        if let Some(log) = &self.log {
            let log = File::options().create(true).append(true).open(log).context("cannot write the service's log")?;
            command.stdout(log.try_clone().context("cannot write the service's log")?).stderr(log);
        }
        let begun = Instant::now();
        let mut process = OwnedProcess::spawn("the service", &mut command)?;
        let ready = poll::until(PATIENCE, || {
            if let Some(status) = process.exit_status()? {
                bail!("the service ended at start ({status}){}", self.last_words());
            }
            Ok(service_ping::answers(&self.nats_url, "agent-service")?.then_some(()))
        })?;
        if ready.is_none() {
            bail!("the service was not ready within {PATIENCE:?}{}", self.last_words());
        }
        Ok((RunningService { process }, begun.elapsed()))
    }

    /// The end of the log, for an error message; nothing where it went to the terminal.
    pub(crate) fn last_words(&self) -> String {
        const LINES: usize = 20;
        let Some(text) = self.log.as_deref().and_then(|log: &Path| fs::read_to_string(log).ok()) else {
            return String::new();
        };
        let lines: Vec<&str> = text.lines().collect();
        format!("; its log ends with:\n{}", lines[lines.len().saturating_sub(LINES)..].join("\n"))
    }
}

impl RunningService {
    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Whether it has ended by itself, which it should not.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.process.exit_status()?.is_some())
    }

    /// Asks it to end and waits; ending in any way but its own is an error.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.process.terminate()?;
        match self.process.wait(DRAIN_PATIENCE)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the service did not end as promised ({status})"),
            None => bail!("the service did not end within {DRAIN_PATIENCE:?} of SIGTERM"),
        }
    }
}
