//! The field of one round: a fresh server, the service and the responders, each in a process of
//! its own, with streams of the same settings. It must not know what load they get.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use async_nats::Client;
use async_nats::jetstream;
use tempfile::TempDir;
use xtask::nats_server::NatsServer;
use xtask::owned_process::OwnedProcess;
use xtask::poll::PATIENCE;

use crate::contender::Contender;
use crate::load::Load;
use crate::options::Plan;
use crate::processor;

/// Between two questions whether a process answers yet.
const INTERVAL: Duration = Duration::from_millis(5);
/// How far messages of different contenders may differ in size, as a share: domain names and
/// stream names are not equally long.
const SIZE_TOLERANCE: f64 = 0.05;

/// A server and everyone on it; all of it ends when dropped.
pub(crate) struct Arena {
    context: jetstream::Context,
    loads: Vec<Load>,
    processes: Vec<OwnedProcess>,
    server_process: u32,
    // Dropped after the processes that use them.
    _server: NatsServer,
    home: TempDir,
}

/// Processor time so far of everyone that a command passes.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    pub(crate) client: Duration,
    pub(crate) server: Duration,
    pub(crate) responder: Duration,
}

impl Used {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            client: self.client - before.client,
            server: self.server - before.server,
            responder: self.responder - before.responder,
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            client: self.client + other.client,
            server: self.server + other.server,
            responder: self.responder + other.responder,
        }
    }
}

impl Arena {
    /// Starts everyone and deploys the agents.
    pub(crate) async fn start(plan: &Plan) -> Result<Self> {
        let home = TempDir::with_prefix("bench-").context("cannot make a temporary directory")?;
        let pid_file = home.path().join("nats-server.pid");
        let server = NatsServer::builder().argument("--pid").argument(&pid_file).start()?;
        let server_process = std::fs::read_to_string(&pid_file)?.trim().parse().context("the server has no id")?;
        let url = server.client_url().to_owned();
        let client = async_nats::connect(&url).await.context("the server does not take the client")?;
        let context = jetstream::new(client.clone());
        let mut arena =
            Self { context, loads: Vec::new(), processes: Vec::new(), server_process, _server: server, home };
        // The service is the first: the others' streams get the settings of the one it makes.
        for contender in [Contender::Service, Contender::Bare, Contender::Native] {
            if contender != Contender::Service {
                arena.make_stream(contender).await?;
            }
            let process = spawn(contender, plan, &url, arena.home.path())?;
            arena.admit(contender, process, client.clone()).await?;
        }
        Ok(arena)
    }

    /// Waits until a contender answers, and deploys its agents.
    async fn admit(&mut self, contender: Contender, mut process: OwnedProcess, client: Client) -> Result<()> {
        let name = contender.name();
        let load = Load::new(client, contender);
        let deadline = Instant::now() + PATIENCE;
        while !load.is_served().await.with_context(|| format!("the {name} responder fails at its first command"))? {
            if let Some(status) = process.exit_status()? {
                let log = std::fs::read_to_string(log_file(contender, self.home.path())).unwrap_or_default();
                bail!("the {name} responder ended at start ({status}): {log}");
            }
            ensure!(Instant::now() < deadline, "the {name} responder did not answer within {PATIENCE:?}");
            tokio::time::sleep(INTERVAL).await;
        }
        load.deploy().await?;
        self.loads.push(load);
        self.processes.push(process);
        Ok(())
    }

    async fn make_stream(&self, contender: Contender) -> Result<()> {
        let mut config = self.context.get_stream(Contender::Service.stream()).await?.cached_info().config.clone();
        config.name = contender.stream().to_owned();
        config.subjects = vec![format!("{}.events.>", contender.domain())];
        self.context.create_stream(config).await.context("cannot make a stream")?;
        Ok(())
    }

    /// The load on a contender.
    pub(crate) fn load(&self, contender: Contender) -> Result<&Load> {
        self.loads.iter().find(|load| load.contender() == contender).context("nobody of that name is here")
    }

    /// Processor time used so far; `None` where the system does not tell.
    pub(crate) fn used(&self, contender: Contender) -> Option<Used> {
        let at = self.loads.iter().position(|load| load.contender() == contender)?;
        Some(Used {
            client: processor::time_of(std::process::id())?,
            server: processor::time_of(self.server_process)?,
            responder: processor::time_of(self.processes.get(at)?.id())?,
        })
    }

    /// Sees that everyone did the same work: one event per reply, events and replies as large
    /// as the service's.
    pub(crate) async fn check(&self) -> Result<()> {
        let mut sizes = Vec::new();
        for load in &self.loads {
            let name = load.contender().name();
            let stream = self.context.get_stream(load.contender().stream()).await?;
            let state = &stream.cached_info().state;
            ensure!(
                state.messages == load.answered(),
                "{name} answered {} commands and stored {} events",
                load.answered(),
                state.messages
            );
            sizes.push((name, state.bytes as f64 / state.messages as f64, load.mean_reply_bytes()));
        }
        let alike = |one: f64, other: f64| (one / other - 1.0).abs() <= SIZE_TOLERANCE;
        for pair in sizes.windows(2) {
            let ((one, event, reply), (other, other_event, other_reply)) = (pair[0], pair[1]);
            ensure!(
                alike(event, other_event) && alike(reply, other_reply),
                "messages differ in size: {one} stores {event:.0} B and replies {reply:.0} B, {other} {other_event:.0} B and {other_reply:.0} B"
            );
        }
        Ok(())
    }
}

fn log_file(contender: Contender, home: &Path) -> std::path::PathBuf {
    home.join(format!("{}.log", contender.name()))
}

fn spawn(contender: Contender, plan: &Plan, url: &str, home: &Path) -> Result<OwnedProcess> {
    let mut command = match contender {
        Contender::Service => {
            let plugins = home.join("plugins");
            std::fs::create_dir(&plugins).context("cannot make a plugin directory")?;
            std::fs::copy(&plan.plugin, plugins.join("agent.wasm"))
                .with_context(|| format!("cannot copy {}", plan.plugin.display()))?;
            let mut service = Command::new(&plan.service);
            // With its own defaults, whatever this shell has set.
            service.env_clear().env("NATS_URL", url).env("PLUGIN_DIR", plugins).env("HTTP_ADDR", "");
            service
        }
        Contender::Bare | Contender::Native => {
            let own = std::env::current_exe().context("the system does not tell where this program is")?;
            let mut responder = Command::new(own);
            responder.args(["respond", contender.name(), "--nats-url", url]);
            responder
        }
    };
    let log = File::create(log_file(contender, home)).context("cannot write a log")?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).current_dir(home);
    OwnedProcess::spawn(contender.name(), &mut command)
}
