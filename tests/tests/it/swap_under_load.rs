//! Other code goes live again and again while many clients are at work. It must not know what the
//! code does.

use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tests::plugin_dir::COUNTER_FILE as FILE;
use tests::plugins::{plugin, successor};
use tests::traffic::{Traffic, pace};
use tests::{Host, Nats, PluginDir};

const COUNTERS: usize = 400;
/// Swaps where `AGENT_SWAPS` does not say how many.
const SWAPS: u32 = 6;
/// How long a plugin is held against what is recorded, where `AGENT_GATE_TIME` does not say: beside other
/// tests, and built for debugging, all of it would take longer than there is time.
const GATE_TIME: &str = "1s";
/// Commands per second where `AGENT_LOAD_RATE` does not say how many: what a build for debugging
/// does with half a processor, beside a server and the clients.
const RATE: u32 = 1_000;
/// Milliseconds between two swaps where `AGENT_SWAP_PERIOD_MS` does not say.
const PERIOD_MS: u32 = 1_500;
/// Only a fault reaches this, though other tests run beside: a swap that keeps commands waiting.
const TIMES_QUIET_MAX: u32 = 10;
/// Less than this tells nothing on a busy machine.
const QUIET_MIN: Duration = Duration::from_millis(20);

#[tokio::test]
async fn no_command_is_lost_doubled_or_failed_by_swaps() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, cache) = (PluginDir::of_counter()?, TempDir::new()?);
    let host = Host::builder(&nats)?.plugins_of(&dir).env("PLUGIN_CACHE_DIR", cache.path().display());
    let host = host.env("PLUGIN_GATE_TIME", std::env::var("AGENT_GATE_TIME").unwrap_or_else(|_| GATE_TIME.into()));
    let _host = host.start(&nats).await?;
    let setting = |name: &str, default: u32| std::env::var(name).map_or(Ok(default), |text| text.parse());
    let rate = setting("AGENT_LOAD_RATE", RATE)?;
    let swaps = setting("AGENT_SWAPS", SWAPS)?;
    let period = Duration::from_millis(u64::from(setting("AGENT_SWAP_PERIOD_MS", PERIOD_MS)?));
    let traffic = Traffic::new(&nats, COUNTERS, rate).await?;
    let versions = [("0.1.1", successor("counter-refactored")?), ("0.1.0", plugin("counter")?)];

    let mut quiet_time = pace(period);
    let quiet = traffic
        .during(async {
            for _ in 0..5 {
                quiet_time.tick().await;
            }
            Ok(())
        })
        .await?;
    let mut slowest = Duration::ZERO;
    let swapping = traffic
        .during(async {
            let mut pace = pace(period);
            for (version, component) in versions.iter().cycle().take(swaps as usize) {
                pace.tick().await;
                let begun = std::time::Instant::now();
                dir.put(FILE, component)?;
                nats.goes_live("counter", version).await?;
                slowest = slowest.max(begun.elapsed());
            }
            Ok(())
        })
        .await?;

    eprintln!("quiet: {quiet}; {swaps} swaps: {swapping}; slowest swap {slowest:.1?}");
    let live = nats.live("counter").await?;
    ensure!(live["activation"] == 1 + swaps, "{live}");
    ensure!(nats.counters("counter").await?["swaps"] == swaps);
    let stored = traffic.ensure_log_agrees(&nats).await?;
    ensure!(stored == quiet.count() + swapping.count());
    let bound = TIMES_QUIET_MAX * quiet.p99().max(QUIET_MIN);
    ensure!(swapping.p99() < bound, "p99 {:?} while swapping, {:?} in quiet time", swapping.p99(), quiet.p99());
    Ok(())
}
