//! The servers that hosts stand on: one, or a cluster of three whose routes can be cut. It must not
//! know who stands on them.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use async_nats::ConnectOptions;
use serde_json::{Value, json};
use xtask::nats_server::{NatsServer, free_port};

use crate::eventually::{PATIENCE, eventually_within};
use crate::nats::Nats;
use crate::proxy::{Line, Proxy};

/// Servers of a cluster.
pub const SERVERS: usize = 3;
/// A cluster that lost servers takes longer than a test waits for anything else.
pub const CLUSTER_PATIENCE: Duration = Duration::from_secs(4 * PATIENCE.as_secs());
/// Where nobody listens. Servers tell one another where a third can be reached; told this, they keep to
/// the lines they were given.
const NOWHERE: &str = "127.0.0.1:1";

/// One server or three.
pub struct Servers {
    /// The first server, and a client of all.
    pub nats: Nats,
    peers: Vec<Mutex<NatsServer>>,
    routes: Vec<Route>,
}

/// The way by which one server connects to another.
struct Route {
    ends: [usize; 2],
    line: Proxy,
}

impl Servers {
    /// One that stands already.
    pub fn of(nats: Nats) -> Self {
        Self { nats, peers: Vec::new(), routes: Vec::new() }
    }

    /// A cluster of three, once it can keep three replicas; the stream that shows it stays.
    pub async fn three() -> Result<Self> {
        let ports = (0..SERVERS).map(|_| free_port()).collect::<Result<Vec<u16>>>()?;
        let mut routes = Vec::new();
        for (from, to) in (0..SERVERS).flat_map(|from| (0..SERVERS).map(move |to| (from, to))) {
            if from != to {
                routes.push(Route { ends: [from, to], line: Proxy::to(ports[to]).await? });
            }
        }
        let start = |number: usize| {
            let own = routes.iter().filter(|route| route.ends[0] == number);
            let urls: Vec<String> = own.map(|route| format!("\"{}\"", route.line.url())).collect();
            let cluster = format!(
                "cluster {{ name: tests, listen: \"127.0.0.1:{}\", advertise: \"{NOWHERE}\", no_advertise: true, \
                 routes: [{}] }}",
                ports[number],
                urls.join(", ")
            );
            NatsServer::builder().settings(&format!("server_name: server-{number}\n{cluster}")).start()
        };
        let first = start(0)?;
        let peers = (1..SERVERS).map(start).collect::<Result<Vec<NatsServer>>>()?;
        let urls: Vec<String> =
            [&first].into_iter().chain(&peers).map(|server| server.client_url().to_owned()).collect();
        let nats = Nats::connect_among(first, ConnectOptions::new(), &urls).await?;
        let servers = Self { nats, peers: peers.into_iter().map(Mutex::new).collect(), routes };
        servers.can_keep_replicas().await?;
        Ok(servers)
    }

    /// Where clients connect.
    pub fn urls(&self) -> Result<Vec<String>> {
        self.each(|server| server.client_url().to_owned())
    }

    /// The ports of these.
    pub fn ports(&self) -> Result<Vec<u16>> {
        self.each(NatsServer::port)
    }

    /// Does something to one of them.
    pub fn server<T>(&self, number: usize, act: impl FnOnce(&mut NatsServer) -> Result<T>) -> Result<T> {
        match number.checked_sub(1) {
            None => act(&mut *self.nats.server()?),
            Some(peer) => act(&mut *locked(self.peers.get(peer).context("there is no such server")?)?),
        }
    }

    /// Makes all routes of one server so.
    pub fn set_routes_of(&self, number: usize, line: Line) {
        let own = self.routes.iter().filter(|route| route.ends.contains(&number));
        own.for_each(|route| route.line.set(line));
    }

    /// Which of them leads a stream.
    pub async fn leader(&self, stream: &str) -> Result<usize> {
        let leader = eventually_within(CLUSTER_PATIENCE, "the stream has a leader", async || {
            let info = self.nats.jetstream_api(&format!("STREAM.INFO.{stream}"), &json!({})).await?;
            info["cluster"]["leader"].as_str().map(str::to_owned).context("none")
        });
        leader.await?.trim_start_matches("server-").parse().context("a server of another name")
    }

    /// Waits until every server has all that is in these streams.
    pub async fn replicas_are_current(&self, streams: &[&str]) -> Result<()> {
        eventually_within(CLUSTER_PATIENCE, "all replicas are current", async || {
            for stream in streams {
                let info = self.nats.jetstream_api(&format!("STREAM.INFO.{stream}"), &json!({})).await?;
                let replicas = info["cluster"]["replicas"].as_array().context("no replicas")?;
                let current = replicas.iter().filter(|replica| replica["current"] == true).count();
                ensure!(current == SERVERS - 1, "{stream}: {}", Value::from(replicas.clone()));
            }
            Ok(())
        })
        .await
    }

    /// What they have logged.
    pub fn logs(&self) -> Result<Vec<String>> {
        self.each(NatsServer::log)
    }

    fn each<T>(&self, look: impl Fn(&NatsServer) -> T) -> Result<Vec<T>> {
        let first = look(&*self.nats.server()?);
        let peers = self.peers.iter().map(|peer| Ok(look(&*locked(peer)?)));
        [Ok(first)].into_iter().chain(peers).collect()
    }

    async fn can_keep_replicas(&self) -> Result<()> {
        eventually_within(CLUSTER_PATIENCE, "JetStream is ready", async || {
            let stream = json!({"name": "READY", "subjects": ["ready"], "num_replicas": SERVERS});
            self.nats.create_stream(&stream).await
        })
        .await
    }
}

fn locked(server: &Mutex<NatsServer>) -> Result<MutexGuard<'_, NatsServer>> {
    server.lock().map_err(|_| anyhow!("a test has panicked"))
}
