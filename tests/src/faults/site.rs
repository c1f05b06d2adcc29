//! Where a run takes place: the ground, two hosts on it, the lines between them, the directory of
//! plugins. It must not break anything by itself, nor know commands.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use tempfile::TempDir;
use xtask::nats_server::NatsServer;

use super::checker::Violation;
use super::dice::Dice;
use super::disk::Disk;
use super::ground::{Footing, Ground, LinkedHub};
use super::shifted_clock::ShiftedClock;
use crate::agent::Agent;
use crate::counter::Counter;
use crate::eventually::eventually;
use crate::host::{Host, HostBuilder};
use crate::nats::Nats;
use crate::plugin_dir::{COUNTER_FILE, PluginDir};
use crate::plugins::{plugin, successor};
use crate::proxy::{Line, Proxy};
use crate::servers::Servers;

/// Hosts.
const HOSTS: usize = 2;
/// Rounds of waiting until all is well: a cluster that lost servers takes longer than a test waits
/// for anything else.
const ROUNDS: usize = 4;
/// What replicas must have.
const STREAMS: [&str; 4] = ["AGENT_EVENTS", "COUNTER_EVENTS", "AGENT_INBOX", "COUNTER_INBOX"];

/// The place.
pub struct Site {
    seats: Vec<Seat>,
    footing: Footing,
    plugins: PluginDir,
    successor_is_live: bool,
    brief: bool,
    found: Vec<Violation>,
    dir: TempDir,
}

/// A host's place: how it is started, and the one that runs now.
pub struct Seat {
    /// The one that runs.
    pub host: Host,
    builder: HostBuilder,
    /// One to each server.
    lines: Vec<Proxy>,
    clock: Option<ShiftedClock>,
    /// Logs of those before.
    past: Vec<String>,
    /// How many ended though nobody killed them.
    ended: usize,
}

impl Site {
    /// Starts everything and waits until it serves. `brief`: what would last for a minute is made shorter.
    pub async fn set_up(ground: Ground, own_disk: bool, brief: bool, sabotage: Option<&str>) -> Result<Self> {
        let dir = TempDir::with_prefix("agent-service-faults-")?;
        let footing = ground.put_up(own_disk).await?;
        let plugins = PluginDir::of_counter()?;
        plugins.put("agent.wasm", &plugin("agent")?)?;
        let mut site =
            Self { seats: Vec::new(), footing, plugins, successor_is_live: false, brief, found: Vec::new(), dir };
        for number in 0..HOSTS {
            let seat = site.seat(number, sabotage).await?;
            site.seats.push(seat);
        }
        Ok(site)
    }

    async fn seat(&self, number: usize, sabotage: Option<&str>) -> Result<Seat> {
        let ports = self.footing.servers.ports()?;
        let lines = try_join_all(ports.iter().map(|port| Proxy::to(*port))).await?;
        // Each begins with another server.
        let urls: Vec<String> = lines.iter().cycle().skip(number).take(lines.len()).map(Proxy::url).collect();
        let mut builder = Host::builder_for(&urls.join(","))?
            .plugins_of(&self.plugins)
            .quiet()
            .env("PLUGIN_CACHE_DIR", self.dir.path().join("cache").display())
            .env("STREAM_REPLICAS", ports.len())
            // Often, so that hosts that come back begin with one.
            .env("SNAPSHOT_FREQUENCY", 10)
            .env("APPEND_TIMEOUT", "2s")
            // A cluster on a busy machine may be longer without a leader than the default.
            .env("NATS_CONNECT_TIMEOUT", "2m")
            .env("PLUGIN_GATE_TIME", "1s");
        if let Some(domain) = self.nats().domain() {
            builder = builder.env("NATS_JS_DOMAIN", domain);
        }
        if let Some(promise) = sabotage {
            builder = builder.sabotaged(promise);
        }
        let clock = match cfg!(target_os = "linux") {
            true => Some(ShiftedClock::new(self.dir.path(), &format!("host-{number}"))?),
            false => None,
        };
        for (name, value) in clock.iter().flat_map(ShiftedClock::environment) {
            builder = builder.env(name, value);
        }
        let host = builder.start(self.nats()).await?;
        Ok(Seat { host, builder, lines, clock, past: Vec::new(), ended: 0 })
    }

    /// A client of the servers.
    pub fn nats(&self) -> &Nats {
        &self.footing.servers.nats
    }

    /// What the hosts stand on.
    pub fn servers(&self) -> &Servers {
        &self.footing.servers
    }

    /// The hub that sources the events.
    pub fn hub(&self) -> Result<&LinkedHub> {
        self.footing.hub.as_ref().context("there is no hub")
    }

    /// The file system of the only server.
    pub fn disk(&self) -> Result<&Disk> {
        self.footing.disk.as_ref().context("the store has no file system of its own")
    }

    /// Whether what would last for a minute is to be shorter.
    pub fn is_brief(&self) -> bool {
        self.brief
    }

    /// Notes what must not be, and was seen while something was broken.
    pub fn report(&mut self, violation: Violation) {
        self.found.push(violation);
    }

    /// All of that.
    pub fn reported(&self) -> Vec<Violation> {
        self.found.clone()
    }

    /// The first of the hosts.
    pub fn first_seat(&mut self) -> &mut Seat {
        &mut self.seats[0]
    }

    /// One of the hosts.
    pub fn any_seat(&mut self, dice: &mut Dice) -> &mut Seat {
        let seat = usize::try_from(dice.below(HOSTS as u64)).unwrap_or_default();
        &mut self.seats[seat]
    }

    /// Does something to a server.
    pub fn server<T>(&self, number: usize, act: impl FnOnce(&mut NatsServer) -> Result<T>) -> Result<T> {
        self.footing.servers.server(number, act)
    }

    /// Puts other code of the counter in the place of the one that is there.
    pub fn put_other_plugin(&mut self) -> Result<()> {
        let component = if self.successor_is_live { plugin("counter")? } else { successor("counter-refactored")? };
        self.successor_is_live = !self.successor_is_live;
        self.plugins.put(COUNTER_FILE, &component)
    }

    /// Which server leads the agents' events.
    pub async fn leader(&self) -> Result<usize> {
        self.servers().leader("AGENT_EVENTS").await
    }

    /// Waits until every server has all of the events.
    pub async fn replicas_are_current(&self) -> Result<()> {
        self.servers().replicas_are_current(&STREAMS).await
    }

    /// How many events of agents are stored.
    pub async fn events(&self) -> Result<u64> {
        self.nats().stream_messages("AGENT_EVENTS").await
    }

    /// Starts hosts anew that ended though nobody killed them, as whoever supervises them does.
    pub fn revive_ended(&mut self) -> Result<()> {
        for seat in &mut self.seats {
            if !seat.host.is_running()? {
                seat.ended += 1;
                seat.start_anew()?;
            }
        }
        Ok(())
    }

    /// Waits until all hosts are there and serve both domains.
    pub async fn settled(&mut self) -> Result<()> {
        for _ in 0..ROUNDS {
            self.revive_ended()?;
            if self.serves().await.is_ok() {
                return Ok(());
            }
        }
        let logs: Vec<String> = self.seats.iter().map(Seat::whole_log).collect();
        bail!("the hosts do not come back by themselves:\n{}", logs.join("\n--- the next host ---\n"))
    }

    async fn serves(&self) -> Result<()> {
        eventually("all hosts answer", async || {
            ensure!(self.nats().ping().await?.len() >= HOSTS, "some do not");
            Ok(())
        })
        .await?;
        for query in [Agent::new().state(), Counter::new().state()] {
            eventually("a query is answered", async || self.nats().ask(query.clone()).await?.error("not_found"))
                .await?;
        }
        Ok(())
    }

    /// How many hosts ended though nobody killed them.
    pub fn ended(&self) -> usize {
        self.seats.iter().map(|seat| seat.ended).sum()
    }

    /// Leaves all logs in a directory.
    pub fn keep_logs(&self, directory: &Path, seed: u64) -> Result<()> {
        fs::create_dir_all(directory)?;
        for (number, seat) in self.seats.iter().enumerate() {
            fs::write(directory.join(format!("seed-{seed}-host-{number}.log")), seat.whole_log())?;
        }
        for (number, log) in self.servers().logs()?.into_iter().enumerate() {
            fs::write(directory.join(format!("seed-{seed}-server-{number}.log")), log)?;
        }
        Ok(())
    }
}

impl Seat {
    /// Another host in the place of the one that has ended.
    pub fn start_anew(&mut self) -> Result<()> {
        self.past.push(self.host.log().unwrap_or_default());
        self.host = self.builder.spawn()?;
        Ok(())
    }

    /// Makes all its lines so.
    pub fn set_lines(&self, line: Line) {
        self.lines.iter().for_each(|own| own.set(line));
    }

    /// Puts its clock that many seconds off.
    pub fn shift_clock(&self, seconds: i64) -> Result<()> {
        self.clock.as_ref().context("the clock cannot be shifted on this system")?.shift(seconds)
    }

    fn whole_log(&self) -> String {
        let now = self.host.log().unwrap_or_default();
        let all: Vec<&str> = self.past.iter().chain([&now]).map(String::as_str).collect();
        all.join("--- started anew ---\n")
    }
}
