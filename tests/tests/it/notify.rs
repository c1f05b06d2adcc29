//! What systemd is told, through a socket like its own. It must not test what systemd does with it.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tests::plugins::plugin;
use tests::{Agent, Host, HostBuilder, Nats, PATIENCE, PluginDir, http};
use tokio::net::UnixDatagram;

/// The half of systemd that listens.
struct Systemd {
    socket: UnixDatagram,
    dir: TempDir,
}

impl Systemd {
    fn listen() -> Result<Self> {
        let dir = TempDir::with_prefix("agent-service-notify-")?;
        Ok(Self { socket: UnixDatagram::bind(dir.path().join("notify"))?, dir })
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("notify")
    }

    fn starts(&self, builder: HostBuilder) -> HostBuilder {
        builder.env("NOTIFY_SOCKET", self.path().display())
    }

    /// What it is told next, line by line.
    async fn told(&self) -> Result<Vec<String>> {
        let mut message = vec![0; 4_096];
        let length =
            tokio::time::timeout(PATIENCE, self.socket.recv(&mut message)).await.context("nothing is told")??;
        Ok(std::str::from_utf8(&message[..length])?.lines().map(str::to_owned).collect())
    }

    /// What it is told up to a line that begins so, all lines.
    async fn told_until(&self, beginning: &str) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        while !lines.iter().any(|line: &String| line.starts_with(beginning)) {
            let told = self.told().await.with_context(|| format!("waiting for {beginning}, so far: {lines:?}"))?;
            lines.extend(told);
        }
        Ok(lines)
    }
}

fn count(lines: &[String], line: &str) -> usize {
    lines.iter().filter(|told| *told == line).count()
}

#[tokio::test]
async fn systemd_is_told_of_the_start_once_and_of_the_stop() -> Result<()> {
    let nats = Nats::start().await?;
    let systemd = Systemd::listen()?;
    let dir = PluginDir::new()?;
    let mut host = systemd.starts(Host::builder(&nats)?.plugins_of(&dir)).spawn()?;
    let before = systemd.told_until("STATUS=not ready: plugins: there is no plugin").await?;
    ensure!(count(&before, "READY=1") == 0, "{before:?}");

    dir.put("agent.wasm", &plugin("agent")?)?;
    let ready = systemd.told_until("STATUS=ready, serving agent").await?;
    ensure!(count(&ready, "READY=1") == 1, "{ready:?}");

    // Not ready for a while is a state, and no second start.
    dir.remove("agent.wasm")?;
    let mut later = systemd.told_until("STATUS=not ready: plugins").await?;
    dir.put("agent.wasm", &plugin("agent")?)?;
    later.extend(systemd.told_until("STATUS=ready, serving agent").await?);
    host.signal("TERM").await?;
    later.extend(systemd.told_until("STOPPING=1").await?);
    ensure!(host.exit_code().await? == 0);
    ensure!(count(&later, "READY=1") == 0 && count(&later, "STATUS=stopping") == 1, "{later:?}");
    // No watchdog was asked for.
    ensure!(count(&[before, ready, later].concat(), "WATCHDOG=1") == 0);
    Ok(())
}

#[tokio::test]
async fn the_watchdog_is_told_again_and_again_from_start_to_stop() -> Result<()> {
    let nats = Nats::start().await?;
    let systemd = Systemd::listen()?;
    let mut host = systemd.starts(Host::builder(&nats)?).env("WATCHDOG_USEC", 400_000).start(&nats).await?;

    for _ in 0..5 {
        systemd.told_until("WATCHDOG=1").await?;
    }
    // Stopping waits for a server that does not answer, and systemd must not take that for an end.
    nats.server()?.pause()?;
    host.signal("TERM").await?;
    systemd.told_until("STOPPING=1").await?;
    for _ in 0..3 {
        systemd.told_until("WATCHDOG=1").await?;
    }
    nats.server()?.resume()?;
    ensure!(host.exit_code().await? == 0);
    Ok(())
}

#[tokio::test]
async fn a_shard_that_is_stuck_is_not_covered_up() -> Result<()> {
    let nats = Nats::start().await?;
    let systemd = Systemd::listen()?;
    let builder = systemd.starts(Host::builder(&nats)?.sabotaged("stuck-shard")).env("HTTP_ADDR", "127.0.0.1:0");
    let host = builder.env("PLUGIN_DEADLINE", "10ms").env("WATCHDOG_USEC", 1_000_000).start(&nats).await?;
    let address = host.http_address().await?;
    systemd.told_until("WATCHDOG=1").await?;

    nats.publish(Agent::new().deploy()).await?;

    systemd.told_until("STATUS=stuck: shard").await?;
    for _ in 0..3 {
        let told = systemd.told().await?;
        ensure!(told.iter().all(|line| line.starts_with("STATUS=stuck: shard")), "{told:?}");
    }
    let live = http::get(&address, "/livez").await?;
    ensure!(live.status == 503 && live.body.contains("of agent has been silent"), "{live:?}");
    Ok(())
}

#[tokio::test]
async fn the_watchdog_of_another_process_is_not_told() -> Result<()> {
    let nats = Nats::start().await?;
    let systemd = Systemd::listen()?;
    let builder = systemd.starts(Host::builder(&nats)?).env("WATCHDOG_USEC", 1_000).env("WATCHDOG_PID", 1);
    let mut host = builder.start(&nats).await?;
    ensure!(host.terminate().await? == 0);

    let told = systemd.told_until("STOPPING=1").await?;
    ensure!(count(&told, "WATCHDOG=1") == 0, "{told:?}");
    Ok(())
}
