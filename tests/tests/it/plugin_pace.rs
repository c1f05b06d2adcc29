//! How long plugins take: from a file's arrival until it is live, and from the connection until a
//! host is ready. Figures for people, with bounds that only a fault reaches; what is promised is
//! measured with a release build and `AGENT_RECORDED=1000`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use tempfile::TempDir;
use tests::plugins::plugin;
use tests::{Agent, Host, Nats, PluginDir, eventually};

const FILE: &str = "agent.wasm";
/// Agents that are recorded, where `AGENT_RECORDED` does not say how many.
const RECORDED: usize = 200;
/// Events of each.
const EVENTS: usize = 10;
/// Agents that are recorded at once.
const AT_ONCE: usize = 50;
/// Far above what it takes on a busy machine in a build for debugging.
const PATIENCE: Duration = Duration::from_secs(10);
/// A section that means nothing: other bytes, the same code.
const CUSTOM_SECTION: &[u8] = b"\0\x05\x04note";

/// The time of the first line of a log that names something, in seconds of its day.
fn logged_at(log: &str, what: &str) -> Result<f64> {
    let line = log.lines().find(|line| line.contains(what)).with_context(|| format!("no line with {what}"))?;
    let time = line.split_once('T').and_then(|(_, rest)| rest.split_once('Z')).context("no time")?.0;
    let mut seconds = 0.0;
    for part in time.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>()?;
    }
    Ok(seconds)
}

#[tokio::test]
async fn a_new_version_of_the_agent_plugin_is_soon_live_and_a_kept_one_soon_ready() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, cache) = (PluginDir::with(FILE, &plugin("agent")?)?, TempDir::new()?);
    let builder = Host::builder(&nats)?.plugins_of(&dir).env("PLUGIN_CACHE_DIR", cache.path().display());
    let mut host = builder.start(&nats).await?;
    let recorded = std::env::var("AGENT_RECORDED").map_or(Ok(RECORDED), |text| text.parse())?;
    let agents: Vec<Agent> = (0..recorded).map(|_| Agent::new()).collect();
    for some in agents.chunks(AT_ONCE) {
        try_join_all(some.iter().map(|agent| record(&nats, agent))).await?;
    }

    let mut component = std::fs::read(plugin("agent")?)?;
    component.extend_from_slice(CUSTOM_SECTION);
    let begun = Instant::now();
    dir.put_bytes(FILE, &component)?;
    let live = eventually("the new version is live", async || {
        let live = nats.live("agent").await?;
        ensure!(live["activation"] == 2, "{live}");
        Ok(live)
    })
    .await?;
    let took = begun.elapsed();
    let report = &live["report"];
    ensure!(
        report["compared"]["aggregates"] == recorded && report["compared"]["events"] == recorded * EVENTS,
        "{report}"
    );
    ensure!(host.terminate().await? == 0);

    let mut host = builder.start(&nats).await?;
    host.logs(&["plugin loaded", "code=cached"]).await?;
    let log = host.log()?;
    let ready = logged_at(&log, ": ready")? - logged_at(&log, "NATS connected")?;
    ensure!(host.terminate().await? == 0);

    eprintln!(
        "{recorded} agents of {EVENTS} events: live after {took:.1?}, {} ms of it in the gate; a kept one ready after {:.0} ms",
        report["took_ms"],
        ready * 1e3
    );
    ensure!(took < PATIENCE && ready < PATIENCE.as_secs_f64(), "live after {took:?}, ready after {ready} s");
    Ok(())
}

async fn record(nats: &Nats, agent: &Agent) -> Result<()> {
    nats.ask(agent.deploy()).await?.ok()?;
    for number in 1..EVENTS {
        nats.ask(agent.set("number", number)).await?.ok()?;
    }
    Ok(())
}
