//! Where a run takes place: one server or a cluster of three, two hosts, the lines between them, the
//! directory of plugins. It must not break anything by itself, nor know commands.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use async_nats::ConnectOptions;
use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::nats_server::{NatsServer, NatsServerBuilder, free_port};

use super::dice::Dice;
use super::proxy::Proxy;
use super::shifted_clock::ShiftedClock;
use crate::agent::Agent;
use crate::counter::Counter;
use crate::eventually::eventually;
use crate::host::{Host, HostBuilder};
use crate::nats::Nats;
use crate::plugin_dir::{COUNTER_FILE, PluginDir};
use crate::plugins::{plugin, successor};

/// Servers of a cluster.
pub const SERVERS: usize = 3;
/// Hosts.
const HOSTS: usize = 2;
/// What JetStream may use on disk where there is one server: some times what a run writes.
pub const FILE_BYTES_MAX: usize = 32 << 20;
/// Rounds of waiting until all is well: a cluster that lost servers takes longer than a test waits
/// for anything else.
const ROUNDS: usize = 4;

/// What the hosts stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// One server that syncs every write.
    Single,
    /// Three servers, streams with three replicas.
    Cluster,
}

impl Ground {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "one server",
            Self::Cluster => "three servers",
        }
    }
}

/// The place.
pub struct Site {
    /// The first server, and a client of all.
    pub nats: Nats,
    peers: Vec<NatsServer>,
    lines: Vec<Proxy>,
    seats: Vec<Seat>,
    plugins: PluginDir,
    successor_is_live: bool,
    _dir: TempDir,
}

/// A host's place: how it is started, and the one that runs now.
pub struct Seat {
    /// The one that runs.
    pub host: Host,
    builder: HostBuilder,
    clock: Option<ShiftedClock>,
    /// Logs of those before.
    past: Vec<String>,
    /// How many ended though nobody killed them.
    ended: usize,
}

impl Site {
    /// Starts everything and waits until it serves.
    pub async fn set_up(ground: Ground, sabotage: Option<&str>) -> Result<Self> {
        let dir = TempDir::with_prefix("agent-service-faults-")?;
        let mut servers = match ground {
            Ground::Single => vec![single().start()?],
            Ground::Cluster => cluster()?,
        };
        let urls: Vec<String> = servers.iter().map(|server| server.client_url().to_owned()).collect();
        let ports: Vec<u16> = servers.iter().map(NatsServer::port).collect();
        let peers = servers.split_off(1);
        let first = servers.pop().context("there is no server")?;
        let nats = Nats::connect_among(first, ConnectOptions::new(), &urls).await?;
        ready(&nats, ports.len()).await?;

        let plugins = PluginDir::of_counter()?;
        plugins.put("agent.wasm", &plugin("agent")?)?;
        let (mut lines, mut seats) = (Vec::new(), Vec::new());
        for number in 0..HOSTS {
            let url = if ground == Ground::Single {
                lines.push(Proxy::to(ports[0]).await?);
                lines[number].url()
            } else {
                // Each begins with another server.
                let rotated = urls.iter().cycle().skip(number).take(urls.len());
                rotated.cloned().collect::<Vec<_>>().join(",")
            };
            let mut builder = Host::builder_for(&url)?
                .plugins_of(&plugins)
                .quiet()
                .env("PLUGIN_CACHE_DIR", dir.path().join("cache").display())
                .env("STREAM_REPLICAS", ports.len())
                // Often, so that hosts that come back begin with one.
                .env("SNAPSHOT_FREQUENCY", 10)
                .env("APPEND_TIMEOUT", "2s")
                .env("PLUGIN_GATE_TIME", "1s");
            if let Some(promise) = sabotage {
                builder = builder.sabotaged(promise);
            }
            let clock = match cfg!(target_os = "linux") {
                true => Some(ShiftedClock::new(dir.path(), &format!("host-{number}"))?),
                false => None,
            };
            for (name, value) in clock.iter().flat_map(ShiftedClock::environment) {
                builder = builder.env(name, value);
            }
            let host = builder.start(&nats).await?;
            seats.push(Seat { host, builder, clock, past: Vec::new(), ended: 0 });
        }
        Ok(Self { nats, peers, lines, seats, plugins, successor_is_live: false, _dir: dir })
    }

    /// The servers' addresses.
    pub fn urls(&self) -> Vec<String> {
        let peers = self.peers.iter().map(|server| server.client_url().to_owned());
        [self.nats.url()].into_iter().chain(peers).collect()
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

    /// The line of one of the hosts.
    pub fn any_line(&self, dice: &mut Dice) -> Result<&Proxy> {
        ensure!(!self.lines.is_empty(), "the hosts of a cluster have no lines of their own");
        Ok(dice.one_of(&self.lines))
    }

    /// Does something to a server.
    pub fn server(&mut self, number: usize, act: impl FnOnce(&mut NatsServer) -> Result<()>) -> Result<()> {
        match number.checked_sub(1) {
            None => act(&mut *self.nats.server()?),
            Some(peer) => act(self.peers.get_mut(peer).context("there is no such server")?),
        }
    }

    /// Puts other code of the counter in the place of the one that is there.
    pub fn put_other_plugin(&mut self) -> Result<()> {
        let component = if self.successor_is_live { plugin("counter")? } else { successor("counter-refactored")? };
        self.successor_is_live = !self.successor_is_live;
        self.plugins.put(COUNTER_FILE, &component)
    }

    /// Which server leads the agents' events.
    pub async fn leader(&self) -> Result<usize> {
        let leader = eventually("the stream has a leader", async || {
            let info = self.nats.jetstream_api("STREAM.INFO.AGENT_EVENTS", &json!({})).await?;
            info["cluster"]["leader"].as_str().map(str::to_owned).context("none")
        });
        let name = leader.await?;
        let number: usize = name.trim_start_matches("server-").parse().context("a server of another name")?;
        Ok(number)
    }

    /// Waits until every server has all of the events.
    pub async fn replicas_are_current(&self) -> Result<()> {
        patiently("all replicas are current", async || {
            for stream in ["AGENT_EVENTS", "COUNTER_EVENTS"] {
                let info = self.nats.jetstream_api(&format!("STREAM.INFO.{stream}"), &json!({})).await?;
                let replicas = info["cluster"]["replicas"].as_array().context("no replicas")?;
                let current = replicas.iter().filter(|replica| replica["current"] == true).count();
                ensure!(current == SERVERS - 1, "{stream}: {}", Value::from(replicas.clone()));
            }
            Ok(())
        })
        .await
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
            ensure!(self.nats.ping().await?.len() >= HOSTS, "some do not");
            Ok(())
        })
        .await?;
        for query in [Agent::new().state(), Counter::new().state()] {
            eventually("a query is answered", async || self.nats.ask(query.clone()).await?.error("not_found")).await?;
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
        let servers = [self.nats.server()?.log()].into_iter().chain(self.peers.iter().map(NatsServer::log));
        for (number, log) in servers.enumerate() {
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

/// One server that keeps what it has acknowledged also when the power fails.
fn single() -> NatsServerBuilder {
    let server = NatsServer::builder().sync_interval("always");
    server.jetstream_settings(&format!("max_file_store: {FILE_BYTES_MAX}"))
}

fn cluster() -> Result<Vec<NatsServer>> {
    let ports = (0..SERVERS).map(|_| free_port()).collect::<Result<Vec<u16>>>()?;
    let routes: Vec<String> = ports.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
    let start = |(number, port): (usize, &u16)| {
        let routes = routes.join(", ");
        let cluster =
            format!("cluster {{ name: faults, listen: \"127.0.0.1:{port}\", no_advertise: true, routes: [{routes}] }}");
        NatsServer::builder().settings(&format!("server_name: server-{number}\n{cluster}")).start()
    };
    ports.iter().enumerate().map(start).collect()
}

/// Waits until JetStream can keep as many replicas as there are servers; the stream that shows it stays.
async fn ready(nats: &Nats, replicas: usize) -> Result<()> {
    patiently("JetStream is ready", async || {
        let stream = json!({"name": "READY", "subjects": ["ready"], "num_replicas": replicas});
        nats.create_stream(&stream).await
    })
    .await
}

/// As [`eventually`], for what takes a cluster longer than anything else.
async fn patiently(what: &str, mut attempt: impl AsyncFnMut() -> Result<()>) -> Result<()> {
    for _ in 1..ROUNDS {
        if eventually(what, &mut attempt).await.is_ok() {
            return Ok(());
        }
    }
    eventually(what, attempt).await
}
