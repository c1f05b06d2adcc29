//! The service as a process, started as a deployment starts it. It must not know what is asked of it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use async_nats::client::RequestErrorKind;
use serde_json::Value;
use xtask::owned_process::OwnedProcess;
use xtask::poll::PATIENCE;

use crate::ground::Ground;
use crate::options::Plan;
use crate::process;

/// Between two looks at what a process has done.
const INTERVAL: Duration = Duration::from_millis(2);
/// The log's line of a host that serves, after the module's name.
const READY: &str = ": ready";
/// Where a host answers even what means nothing.
const QUERIES: &str = "agent.queries.state";
/// The log's line of a host that is connected.
const CONNECTED: &str = "NATS connected";

/// A running host; killed when dropped.
pub(crate) struct HostProcess {
    process: OwnedProcess,
    log: PathBuf,
    begun: Instant,
}

impl HostProcess {
    /// Starts it with its own defaults but for some settings; comes back once it is ready. The name
    /// is unlike that of any other start on this ground.
    pub(crate) async fn start(plan: &Plan, ground: &Ground, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let mut host = Self::spawn(plan, ground, name, settings)?;
        let deadline = Instant::now() + PATIENCE;
        while !host.log()?.contains(READY) {
            if let Some(status) = host.process.exit_status()? {
                bail!("the service ended at start ({status}): {}", host.log()?);
            }
            ensure!(Instant::now() < deadline, "the service was not ready within {PATIENCE:?}: {}", host.log()?);
            tokio::time::sleep(INTERVAL).await;
        }
        // Its subscriptions take a connection of their own, and may come a moment later.
        while !is_answered(ground, QUERIES).await? {
            ensure!(Instant::now() < deadline, "the service did not answer within {PATIENCE:?}: {}", host.log()?);
            tokio::time::sleep(INTERVAL).await;
        }
        Ok(host)
    }

    /// Starts it and waits for nothing.
    pub(crate) fn spawn(plan: &Plan, ground: &Ground, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let plugins = ground.home().join("plugins");
        std::fs::create_dir_all(&plugins).context("cannot make a plugin directory")?;
        let plugin = plugins.join("agent.wasm");
        if !plugin.exists() {
            std::fs::copy(&plan.plugin, &plugin).with_context(|| format!("cannot copy {}", plan.plugin.display()))?;
        }
        let log = ground.home().join(format!("{name}.log"));
        let file = File::create_new(&log).context("cannot write a log")?;
        let mut command = Command::new(&plan.service);
        // With its own defaults, whatever this shell has set.
        command.env_clear().env("NATS_URL", ground.url()).env("PLUGIN_DIR", plugins).env("HTTP_ADDR", "");
        command.env("PLUGIN_CACHE_DIR", plan.code_cache.path()).envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).current_dir(ground.home());
        let begun = Instant::now();
        Ok(Self { process: OwnedProcess::spawn("the service", &mut command)?, log, begun })
    }

    /// When it was started.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.process.exit_status()
    }

    pub(crate) fn log(&self) -> Result<String> {
        std::fs::read_to_string(&self.log).context("cannot read a log")
    }

    /// Resident memory, where the system tells.
    pub(crate) fn resident_bytes(&self) -> Result<f64> {
        let bytes = process::resident_bytes(self.id()).context("the system tells no resident memory")?;
        Ok(bytes as f64)
    }

    /// From the connection until it was ready, as its log has it.
    pub(crate) fn connected_to_ready(&self) -> Result<Duration> {
        let log = self.log()?;
        let took = logged_at(&log, READY)? - logged_at(&log, CONNECTED)?;
        Duration::try_from_secs_f64(took).context("midnight came between")
    }

    /// SIGTERM, and waits until it has left its snapshots.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.process.terminate()?;
        match self.process.wait(PATIENCE)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the service did not end as promised ({status}): {}", self.log()?),
            None => bail!("the service did not end within {PATIENCE:?} of SIGTERM"),
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.process.kill()
    }
}

/// Whether anybody answers there, in whatever way.
pub(crate) async fn is_answered(ground: &Ground, subject: &'static str) -> Result<bool> {
    match ground.client.request(subject, "".into()).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == RequestErrorKind::NoResponders => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The counters of the hosts' agent domain, one document for each host that answers.
pub(crate) async fn counters(ground: &Ground, hosts: usize) -> Result<Vec<Value>> {
    use futures::StreamExt as _;
    let inbox = ground.client.new_inbox();
    let mut answers = ground.client.subscribe(inbox.clone()).await?;
    ground.client.publish_with_reply("$SRV.STATS.agent-service", inbox, "".into()).await?;
    let mut counters = Vec::new();
    while counters.len() < hosts {
        let answer = tokio::time::timeout(PATIENCE, answers.next()).await;
        let answer = answer.context("a host does not tell its counters")?.context("the connection has ended")?;
        let mut stats: Value = serde_json::from_slice(&answer.payload)?;
        counters.push(stats.pointer_mut("/endpoints/0/data").map(Value::take).context("a host without counters")?);
    }
    Ok(counters)
}

/// The time of the first line of a log that holds something, in seconds of its day.
fn logged_at(log: &str, what: &str) -> Result<f64> {
    let line = log.lines().find(|line| line.contains(what)).with_context(|| format!("no line with `{what}`"))?;
    let time = line.split_once('T').and_then(|(_, rest)| rest.split_once('Z')).context("a line without a time")?.0;
    time.split(':').try_fold(0.0, |seconds, part| Ok(seconds * 60.0 + part.parse::<f64>()?))
}

#[cfg(test)]
mod tests {
    use super::logged_at;

    #[test]
    fn times_are_of_the_line_that_is_looked_for() {
        let log = "2026-01-02T01:00:00.500000Z  INFO a: NATS connected\n2026-01-02T01:02:03.25Z  INFO b: ready x=1\n";
        assert_eq!(logged_at(log, "NATS connected").unwrap(), 3_600.5);
        assert_eq!(logged_at(log, ": ready").unwrap(), 3_723.25);
        assert!(logged_at(log, "nothing").is_err());
    }
}
