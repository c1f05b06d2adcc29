//! What a host knows of its plugins after it was away: which code was live, whose snapshots it may
//! read, and what was compiled. It must not test what happens while the service runs.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;
use tests::operator::digest;
use tests::plugin_dir::COUNTER_FILE as FILE;
use tests::plugins::successor;
use tests::{Counter, Host, HostBuilder, Nats, PluginDir};

fn with_cache(nats: &Nats, dir: &PluginDir, cache: &TempDir) -> Result<HostBuilder> {
    Ok(Host::builder(nats)?.plugins_of(dir).env("PLUGIN_CACHE_DIR", cache.path().display()))
}

/// Two counters that the first version has recorded, and its host gone: a snapshot of each is left.
async fn left_behind(nats: &Nats, builder: HostBuilder) -> Result<[Counter; 2]> {
    let mut host = builder.start(nats).await?;
    let counters = [Counter::named("first"), Counter::named("second")];
    for counter in &counters {
        for _ in 0..3 {
            nats.ask(counter.increment(2)).await?.ok()?;
        }
    }
    ensure!(host.terminate().await? == 0);
    Ok(counters)
}

async fn replays(nats: &Nats) -> Result<u64> {
    nats.counters("counter").await?["replays"].as_u64().context("no replays")
}

#[tokio::test]
async fn compiled_code_is_kept_for_the_next_start() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, cache) = (PluginDir::of_counter()?, TempDir::new()?);
    let builder = with_cache(&nats, &dir, &cache)?;

    let mut host = builder.start(&nats).await?;
    host.logs(&["plugin loaded", FILE, "code=compiled"]).await?;
    ensure!(host.terminate().await? == 0);

    let host = builder.start(&nats).await?;
    host.logs(&["plugin loaded", FILE, "code=cached"]).await?;
    ensure!(nats.ask(Counter::new().increment(1)).await?.ok()?.version()? == 1);
    Ok(())
}

#[tokio::test]
async fn code_that_was_live_is_served_where_its_successor_is_refused_at_start() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, cache) = (PluginDir::of_counter()?, TempDir::new()?);
    let builder = with_cache(&nats, &dir, &cache)?;
    let [first, _] = left_behind(&nats, builder.clone()).await?;

    dir.put(FILE, &successor("counter-drifting")?)?;
    let host = builder.start(&nats).await?;

    host.logs(&["plugin refused", FILE, "/count: 2 became 3"]).await?;
    let refusal = nats.is_refused(FILE, "0.1.2").await?;
    ensure!(refusal["report"]["differing"] == 2, "{refusal}");
    let live = nats.live("counter").await?;
    ensure!(live["version"] == "0.1.0" && live["origin"] == "kept", "{live}");
    nats.ask(first.increment(1)).await?.ok()?;
    ensure!(nats.ask(first.state()).await?.ok()?.state()["count"] == 7);

    let request =
        json!({"domain": "counter", "digest": digest(&successor("counter-drifting")?)?, "accept_drift": true});
    let answer = nats.operate("activate", &request).await?;
    ensure!(answer["status"] == "ok", "{answer}");
    ensure!(nats.ask(first.state()).await?.ok()?.state()["count"] == 11);
    Ok(())
}

/// Other code is found at start; how many aggregates it has to replay.
async fn replays_after(name: &str, kept: bool) -> Result<u64> {
    let nats = Nats::start().await?;
    let (dir, cache) = (PluginDir::of_counter()?, TempDir::new()?);
    let builder = match kept {
        true => with_cache(&nats, &dir, &cache)?,
        false => Host::builder(&nats)?.plugins_of(&dir).env("PLUGIN_CACHE_DIR", ""),
    };
    let counters = left_behind(&nats, builder.clone()).await?;

    dir.put(FILE, &successor(name)?)?;
    let _host = builder.start(&nats).await?;

    for counter in &counters {
        ensure!(nats.ask(counter.increment(1)).await?.ok()?.version()? == 4);
        ensure!(nats.ask(counter.state()).await?.ok()?.state()["count"] == 7);
    }
    replays(&nats).await
}

#[tokio::test]
async fn the_snapshots_of_code_that_is_proven_equal_are_used() -> Result<()> {
    ensure!(replays_after("counter-refactored", true).await? == 0);
    Ok(())
}

#[tokio::test]
async fn the_snapshots_of_code_that_nothing_is_held_against_are_not_used() -> Result<()> {
    ensure!(replays_after("counter-refactored", false).await? == 2);
    Ok(())
}

#[tokio::test]
async fn snapshots_of_a_former_state_schema_are_offered() -> Result<()> {
    ensure!(replays_after("counter-migrating", false).await? == 0);
    ensure!(replays_after("counter-declining", false).await? == 2);
    Ok(())
}

#[tokio::test]
async fn what_was_proven_before_a_restart_holds_after_it() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, cache) = (PluginDir::of_counter()?, TempDir::new()?);
    let builder = with_cache(&nats, &dir, &cache)?;
    let [first, second] = left_behind(&nats, builder.clone()).await?;
    dir.put(FILE, &successor("counter-refactored")?)?;
    let mut host = builder.start(&nats).await?;
    // Only one of them is used, so that the other's snapshot is still that of the first version.
    nats.ask(first.increment(1)).await?.ok()?;
    ensure!(host.terminate().await? == 0);

    let _host = builder.start(&nats).await?;

    let live = nats.live("counter").await?;
    ensure!(live["version"] == "0.1.1" && live["activation"] == 2, "{live}");
    for (counter, count) in [(first, 7), (second, 6)] {
        ensure!(nats.ask(counter.state()).await?.ok()?.state()["count"] == count);
    }
    ensure!(replays(&nats).await? == 0);
    Ok(())
}
