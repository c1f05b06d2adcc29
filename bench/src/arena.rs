//! Contenders beside one another: on a fresh server, each in a process of its own, with streams of
//! the same settings. It must not know what load they get.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use xtask::owned_process::OwnedProcess;
use xtask::poll::PATIENCE;

use crate::agents;
use crate::contender::Contender;
use crate::duel::{self, Side, Used};
use crate::ground::Ground;
use crate::host_process::HostProcess;
use crate::load::{Aim, Load, Turn};
use crate::options::Plan;
use crate::process;

/// Between two questions whether a process answers yet.
const INTERVAL: Duration = Duration::from_millis(5);
/// How far messages of different contenders may differ in size, as a share: domain names and
/// stream names are not equally long.
const SIZE_TOLERANCE: f64 = 0.05;

/// A server and everyone on it; all of it ends when dropped.
pub(crate) struct Arena {
    loads: Vec<Load>,
    processes: Vec<u32>,
    // Ended before the server that they use.
    _twins: Vec<OwnedProcess>,
    _service: HostProcess,
    ground: Ground,
}

impl Arena {
    /// Starts the service and some of its twins and deploys so many agents of each.
    pub(crate) async fn start(plan: &Plan, twins: &[Contender], agents: usize) -> Result<Self> {
        let ground = Ground::start().await?;
        // The service is the first: the others' streams get the settings of the one it makes.
        let service = HostProcess::start(plan, &ground, "service", &[]).await?;
        let load = Load::new(ground.client.clone(), Contender::Service, agents::ids(agents));
        load.deploy().await?;
        let (loads, processes) = (vec![load], vec![service.id()]);
        let mut arena = Self { loads, processes, _twins: Vec::new(), _service: service, ground };
        for twin in twins {
            arena.admit(plan, *twin, agents).await?;
        }
        Ok(arena)
    }

    /// Starts a twin, waits until it answers, and deploys its agents.
    async fn admit(&mut self, plan: &Plan, twin: Contender, agents: usize) -> Result<()> {
        let name = twin.name();
        if twin != Contender::Look {
            self.make_stream(twin).await?;
        }
        let log = self.ground.home().join(format!("{name}.log"));
        let file = File::create_new(&log).context("cannot write a log")?;
        let own = std::env::current_exe().context("the system does not tell where this program is")?;
        let mut command = Command::new(own);
        command.args(["respond", name, "--nats-url", self.ground.url()]).env("AGENT_COMPONENT", &plan.plugin);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut process = OwnedProcess::spawn(name, &mut command)?;
        let ids = match twin {
            // What it reads is what the service has stored.
            Contender::Look => self.load(Contender::Service)?.ids().to_vec(),
            _ => agents::ids(agents),
        };
        let load = Load::new(self.ground.client.clone(), twin, ids);
        let deadline = Instant::now() + PATIENCE;
        while !load.is_served().await.with_context(|| format!("the twin `{name}` fails at its first request"))? {
            if let Some(status) = process.exit_status()? {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                bail!("the twin `{name}` ended at start ({status}): {log}");
            }
            ensure!(Instant::now() < deadline, "the twin `{name}` did not answer within {PATIENCE:?}");
            tokio::time::sleep(INTERVAL).await;
        }
        if twin != Contender::Look {
            load.deploy_others().await?;
        }
        self.loads.push(load);
        self.processes.push(process.id());
        self._twins.push(process);
        Ok(())
    }

    async fn make_stream(&self, twin: Contender) -> Result<()> {
        let context = &self.ground.context;
        let mut config = context.get_stream(Contender::Service.stream()).await?.cached_info().config.clone();
        config.name = twin.stream();
        config.subjects = vec![format!("{}.events.>", twin.domain())];
        context.create_stream(config).await.context("cannot make a stream")?;
        Ok(())
    }

    /// The load on a contender.
    pub(crate) fn load(&self, contender: Contender) -> Result<&Load> {
        self.loads.iter().find(|load| load.contender() == contender).context("nobody of that name is here")
    }

    /// One round of contenders in turn, each a side of its own.
    pub(crate) async fn round(
        &self,
        plan: &Plan,
        round: u32,
        contenders: &[Contender],
        aim: &Aim<'_>,
        sides: &mut [Side],
    ) -> Result<()> {
        duel::round(plan, round, sides, async |who| self.turn(plan, contenders[who], aim).await).await
    }

    async fn turn(&self, plan: &Plan, contender: Contender, aim: &Aim<'_>) -> Result<Turn> {
        let before = self.used(contender);
        let mut turn = self.load(contender)?.measure(plan, aim).await?;
        turn.used = self.used(contender).zip(before).map(|(after, before)| after.since(before));
        Ok(turn)
    }

    /// Processor time used so far; `None` where the system does not tell.
    fn used(&self, contender: Contender) -> Option<Used> {
        let at = self.loads.iter().position(|load| load.contender() == contender)?;
        Some(Used {
            client: process::processor_time(std::process::id())?,
            server: self.ground.server_time()?,
            responder: process::processor_time(*self.processes.get(at)?)?,
        })
    }

    /// Sees that everyone did the same work: as many events as replies tell of, events and replies
    /// as large as the service's.
    pub(crate) async fn check(&self) -> Result<()> {
        let mut sizes = Vec::new();
        for load in self.loads.iter().filter(|load| load.contender() != Contender::Look) {
            let name = load.contender().name();
            let stream = self.ground.context.get_stream(load.contender().stream()).await?;
            let (state, told) = (&stream.cached_info().state, load.stored());
            ensure!(state.messages == told, "{name} told of {told} events and stored {}", state.messages);
            // The last is of what was measured last, which is the same for all.
            let last = stream.get_raw_message(state.last_sequence).await?;
            let headers = last.headers.iter().flat_map(|(name, values)| {
                let name = name.to_string().len();
                values.iter().map(move |value| name + value.as_str().len())
            });
            sizes.push((name, (headers.sum::<usize>() + last.payload.len()) as f64, load.last_reply_bytes() as f64));
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
