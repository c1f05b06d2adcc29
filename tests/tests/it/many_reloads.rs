//! Reload after reload: what a host holds in memory does not grow with them. It must not test
//! what a reload does.

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tests::plugin_dir::COUNTER_FILE as FILE;
use tests::plugins::{plugin, successor};
use tests::{Counter, Host, HostBuilder, Nats, PluginDir};

/// Reloads after which the memory is taken for what it should stay at.
const AT_FIRST: usize = 20;
/// The same where every reload compiles: the compiler's threads keep what they have once needed, and
/// that fills up over more of them.
const AT_FIRST_COMPILING: usize = 40;
/// Reloads in all, where `AGENT_RELOADS` does not say how many.
const RELOADS: usize = 60;
/// Counters that are live all the time.
const COUNTERS: usize = 20;
/// Events of each, recorded before the first reload: a log that grew with the reloads would let each
/// of them compare more than the one before, and hold more while it does.
const EVENTS: usize = 20;

fn reloads() -> Result<usize> {
    Ok(std::env::var("AGENT_RELOADS").map_or(Ok(RELOADS), |text| text.parse())?)
}

/// Reloads two versions in turn, each used by every counter.
#[expect(clippy::print_stderr, reason = "the figures are what one wants to see")]
async fn memory_stays(nats: &Nats, dir: &PluginDir, builder: HostBuilder, first: usize) -> Result<()> {
    let host = builder.start(nats).await?;
    let counters: Vec<Counter> = (0..COUNTERS).map(|_| Counter::new()).collect();
    let versions = [("0.1.1", successor("counter-refactored")?), ("0.1.0", plugin("counter")?)];
    for counter in &counters {
        for _ in 0..EVENTS {
            nats.ask(counter.increment(1)).await?.ok()?;
        }
    }
    let (all, mut at_first) = (reloads()?, 0);

    for (number, (version, component)) in versions.iter().cycle().take(all).enumerate() {
        dir.put(FILE, component)?;
        nats.goes_live("counter", version).await?;
        for counter in &counters {
            nats.ask(counter.state()).await?.ok()?;
        }
        if number + 1 == first {
            at_first = host.resident_kib()?;
        }
    }

    let at_last = host.resident_kib()?;
    eprintln!("{at_first} KiB after {first} reloads, {at_last} KiB after {all}");
    ensure!(nats.counters("counter").await?["swaps"] == all);
    ensure!(at_last * 100 <= at_first * 115, "{at_first} KiB after {first} reloads, {at_last} KiB after {all}");
    Ok(())
}

#[tokio::test]
async fn memory_does_not_grow_where_compiled_code_is_kept() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, cache) = (PluginDir::of_counter()?, TempDir::new()?);
    let builder = Host::builder(&nats)?.plugins_of(&dir).env("PLUGIN_CACHE_DIR", cache.path().display());
    memory_stays(&nats, &dir, builder, AT_FIRST).await
}

#[tokio::test]
async fn memory_does_not_grow_where_every_reload_compiles() -> Result<()> {
    let nats = Nats::start().await?;
    let dir = PluginDir::of_counter()?;
    let builder = Host::builder(&nats)?.plugins_of(&dir).env("PLUGIN_CACHE_DIR", "");
    memory_stays(&nats, &dir, builder, AT_FIRST_COMPILING).await
}
