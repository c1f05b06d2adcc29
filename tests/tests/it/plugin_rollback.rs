//! Back to the code before: because an operator says so, or by itself where new code fails. It
//! must not test how new code goes live.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::operator::digest;
use tests::plugin_dir::COUNTER_FILE as FILE;
use tests::plugins::{plugin, successor};
use tests::{Counter, Host, HostBuilder, Nats, PluginDir, eventually};

fn builder(nats: &Nats, dir: &PluginDir) -> Result<HostBuilder> {
    Ok(Host::builder(nats)?.plugins_of(dir))
}

async fn roll_back(nats: &Nats) -> Result<Value> {
    let answer = nats.operate("rollback", &json!({"domain": "counter"})).await?;
    ensure!(answer["status"] == "ok", "{answer}");
    Ok(answer)
}

async fn count(nats: &Nats, counter: &Counter) -> Result<Value> {
    Ok(nats.ask(counter.state()).await?.ok()?.state()["count"].clone())
}

/// Which code decided an aggregate's newest event: its version and its activation number.
async fn newest_author(nats: &Nats, counter: &Counter) -> Result<(String, String)> {
    let event = nats.stored_in("COUNTER_EVENTS", &counter.events()).await?.pop().context("no event")?;
    let plugin = event.header("ce-plugin")?.split(';').next().unwrap_or_default().to_owned();
    Ok((plugin, event.header("ce-activation")?.to_owned()))
}

#[tokio::test]
async fn the_code_before_decides_again_under_a_higher_number() -> Result<()> {
    let nats = Nats::start().await?;
    let dir = PluginDir::of_counter()?;
    let host = builder(&nats, &dir)?.start(&nats).await?;
    let counters = [Counter::named("first"), Counter::named("second")];
    nats.ask(counters[0].increment(1)).await?.ok()?;
    let answer = nats.operate("rollback", &json!({"domain": "counter"})).await?;
    ensure!(answer["status"] == "error", "nothing was live before: {answer}");
    dir.put(FILE, &successor("counter-refactored")?)?;
    nats.goes_live("counter", "0.1.1").await?;
    for counter in &counters {
        nats.ask(counter.increment(2)).await?.ok()?;
    }
    let mut events = nats.plugin_events("counter.rolled_back").await?;

    let answer = roll_back(&nats).await?;

    ensure!(answer["activation"] == 3 && answer["digest"] == digest(&plugin("counter")?)?, "{answer}");
    let told = events.next().await?["detail"].clone();
    ensure!(told["activation"] == 3 && told["parked"] == 0 && told["why"].is_null(), "{told}");
    host.logs(&["rolled back", "activation=3"]).await?;
    let status = nats.domain_status("counter").await?;
    ensure!(status["live"]["version"] == "0.1.0" && status["previous"]["version"] == "0.1.1", "{status}");
    for (counter, expected) in counters.iter().zip([3 + 4, 2 + 4]) {
        nats.ask(counter.increment(4)).await?.ok()?;
        ensure!(count(&nats, counter).await? == expected);
        ensure!(newest_author(&nats, counter).await? == ("counter/0.1.0".into(), "3".into()));
    }
    // The state that the newer code had is not read, whatever it is.
    let told = nats.counters("counter").await?;
    ensure!(told["replays"] == 2 && told["roll_backs"] == 1, "{told}");

    let answer = roll_back(&nats).await?;
    ensure!(answer["activation"] == 4, "{answer}");
    nats.ask(counters[0].increment(1)).await?.ok()?;
    ensure!(newest_author(&nats, &counters[0]).await? == ("counter/0.1.1".into(), "4".into()));
    ensure!(count(&nats, &counters[0]).await? == 8);
    Ok(())
}

#[tokio::test]
async fn the_way_back_is_still_there_after_a_restart() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, cache) = (PluginDir::of_counter()?, TempDir::new()?);
    let builder = builder(&nats, &dir)?.env("PLUGIN_CACHE_DIR", cache.path().display());
    let mut host = builder.start(&nats).await?;
    let counter = Counter::new();
    nats.ask(counter.increment(1)).await?.ok()?;
    dir.put(FILE, &successor("counter-refactored")?)?;
    nats.goes_live("counter", "0.1.1").await?;
    nats.ask(counter.increment(1)).await?.ok()?;
    ensure!(host.terminate().await? == 0);

    let mut host = builder.start(&nats).await?;
    let answer = roll_back(&nats).await?;
    ensure!(answer["activation"] == 3 && answer["digest"] == digest(&plugin("counter")?)?, "{answer}");
    nats.ask(counter.increment(1)).await?.ok()?;
    ensure!(newest_author(&nats, &counter).await? == ("counter/0.1.0".into(), "3".into()));
    ensure!(count(&nats, &counter).await? == 3);
    ensure!(host.terminate().await? == 0);

    // Exchanged while nobody served: what was live at last is what one goes back to.
    dir.put(FILE, &successor("counter-wider")?)?;
    let _host = builder.start(&nats).await?;
    nats.goes_live("counter", "2.0.0").await?;
    let answer = roll_back(&nats).await?;
    ensure!(answer["digest"] == digest(&plugin("counter")?)?, "{answer}");
    Ok(())
}

#[tokio::test]
async fn what_older_code_cannot_read_is_parked_and_counted() -> Result<()> {
    let nats = Nats::start().await?;
    let dir = PluginDir::of_counter()?;
    let _host = builder(&nats, &dir)?.start(&nats).await?;
    let (down, up) = (Counter::named("down"), Counter::named("up"));
    nats.ask(down.increment(9)).await?.ok()?;
    nats.ask(up.increment(9)).await?.ok()?;
    dir.put(FILE, &successor("counter-wider")?)?;
    nats.goes_live("counter", "2.0.0").await?;
    nats.ask(down.decrement(4)).await?.ok()?;
    nats.ask(up.increment(1)).await?.ok()?;
    let unknown = nats.stored_in("COUNTER_EVENTS", &down.events()).await?.pop().context("no event")?;
    let mut events = nats.plugin_events("counter.rolled_back").await?;

    let answer = roll_back(&nats).await?;

    let failure = &answer["report"]["failures"][0];
    ensure!(answer["report"]["failing"] == 1 && failure["aggregate"] == "down", "{answer}");
    ensure!(failure["event"] == "decremented" && failure["sequence"] == unknown.sequence, "{answer}");
    let told = events.next().await?["detail"].clone();
    ensure!(told["parked"] == 1 && told["report"]["failing"] == 1, "{told}");
    let sequence = format!("sequence {}", unknown.sequence);
    for message in [down.increment(1), down.state()] {
        nats.ask(message).await?.error("plugin_failed")?.naming(&[&sequence])?;
    }
    nats.ask(up.increment(1)).await?.ok()?;
    ensure!(count(&nats, &up).await? == 11);

    roll_back(&nats).await?;
    nats.ask(down.decrement(1)).await?.ok()?;
    ensure!(count(&nats, &down).await? == 4);
    ensure!(count(&nats, &up).await? == 11);
    Ok(())
}

/// Code that fails at every tenth decision goes live, is used, and is put back by itself.
async fn put_back_by_itself(nats: &Nats, dir: &PluginDir, host: &Host) -> Result<Counter> {
    let counter = Counter::new();
    nats.ask(counter.increment(1)).await?.ok()?;
    dir.put(FILE, &successor("counter-stumbling")?)?;
    nats.goes_live("counter", "0.1.5").await?;
    is_put_back(nats, host, &counter).await?;
    Ok(counter)
}

/// Live code that fails at every tenth decision is used, and is put back by itself.
async fn is_put_back(nats: &Nats, host: &Host, counter: &Counter) -> Result<()> {
    let mut events = nats.plugin_events("counter.rolled_back").await?;
    let mut failed = 0;
    eventually("the code before is put back", async || {
        for _ in 0..10 {
            let reply = nats.ask(counter.increment(1)).await?;
            failed += u64::from(reply.body["status"] == "error");
        }
        let live = nats.live("counter").await?;
        ensure!(live["version"] == "0.1.0", "{live}");
        Ok(())
    })
    .await?;
    // Four are one more than are let pass; a command or two more may be decided meanwhile.
    ensure!((4..=6).contains(&failed), "{failed} commands failed");
    let told = events.next().await?["detail"].clone();
    ensure!(told["activation"] == 3 && told["why"].as_str().is_some_and(|why| why.contains("failures")), "{told}");
    host.logs(&["error", "put back", "0.1.5"]).await?;
    for _ in 0..20 {
        nats.ask(counter.increment(1)).await?.ok()?;
    }
    Ok(())
}

/// The code that was put back is on record, and is not tried again.
async fn is_denied(nats: &Nats, host: &Host, stumbling: &str) -> Result<()> {
    let refusal = nats.is_refused(FILE, "0.1.5").await?;
    let why = refusal["why"].as_str().context("no reason")?;
    ensure!(why.contains("put back before") && why.contains("plugin activate counter"), "{why}");
    host.logs(&["plugin refused", FILE, "put back before"]).await?;
    let list = nats.plugins().await?;
    let denied = &list["denied"][0];
    ensure!(denied["domain"] == "counter" && denied["digest"] == stumbling, "{list}");
    ensure!(nats.live("counter").await?["version"] == "0.1.0");
    Ok(())
}

#[tokio::test]
async fn code_that_fails_on_probation_is_put_back_and_not_tried_again_until_told() -> Result<()> {
    let nats = Nats::start().await?;
    let dir = PluginDir::of_counter()?;
    let host = builder(&nats, &dir)?.start(&nats).await?;
    let stumbling = digest(&successor("counter-stumbling")?)?;
    put_back_by_itself(&nats, &dir, &host).await?;
    ensure!(nats.plugins().await?["denied"][0]["digest"] == stumbling);

    dir.put(FILE, &successor("counter-stumbling")?)?;
    is_denied(&nats, &host, &stumbling).await?;

    let answer = nats.operate("activate", &json!({"domain": "counter", "digest": stumbling})).await?;
    ensure!(answer["status"] == "ok" && answer["activation"] == 4, "{answer}");
    let list = nats.plugins().await?;
    ensure!(list["denied"] == json!([]) && list["refused"] == json!([]), "{list}");
    ensure!(nats.live("counter").await?["version"] == "0.1.5");
    Ok(())
}

#[tokio::test]
async fn code_that_was_put_back_is_not_tried_again_after_a_restart() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, cache) = (PluginDir::of_counter()?, TempDir::new()?);
    let builder = builder(&nats, &dir)?.env("PLUGIN_CACHE_DIR", cache.path().display());
    let mut host = builder.start(&nats).await?;
    let stumbling = digest(&successor("counter-stumbling")?)?;
    let counter = put_back_by_itself(&nats, &dir, &host).await?;
    let before = count(&nats, &counter).await?;
    ensure!(host.terminate().await? == 0);

    let host = builder.start(&nats).await?;

    is_denied(&nats, &host, &stumbling).await?;
    ensure!(count(&nats, &counter).await? == before);
    for _ in 0..20 {
        nats.ask(counter.increment(1)).await?.ok()?;
    }
    Ok(())
}

#[tokio::test]
async fn new_code_that_came_with_a_restart_is_put_back_as_well() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, cache) = (PluginDir::of_counter()?, TempDir::new()?);
    let builder = builder(&nats, &dir)?.env("PLUGIN_CACHE_DIR", cache.path().display());
    let mut host = builder.start(&nats).await?;
    let counter = Counter::new();
    nats.ask(counter.increment(1)).await?.ok()?;
    ensure!(host.terminate().await? == 0);
    dir.put(FILE, &successor("counter-stumbling")?)?;

    let mut host = builder.start(&nats).await?;

    nats.goes_live("counter", "0.1.5").await?;
    is_put_back(&nats, &host, &counter).await?;
    let stumbling = digest(&successor("counter-stumbling")?)?;
    ensure!(nats.plugins().await?["denied"][0]["digest"] == stumbling);
    ensure!(host.terminate().await? == 0);
    let host = builder.start(&nats).await?;
    is_denied(&nats, &host, &stumbling).await
}

#[tokio::test]
async fn failures_after_the_probation_put_nothing_back() -> Result<()> {
    let nats = Nats::start().await?;
    let dir = PluginDir::of_counter()?;
    let _host = builder(&nats, &dir)?.env("PLUGIN_PROBATION", "0").start(&nats).await?;
    let counter = Counter::new();
    dir.put(FILE, &successor("counter-stumbling")?)?;
    nats.goes_live("counter", "0.1.5").await?;

    for _ in 0..60 {
        nats.ask(counter.increment(1)).await?;
    }

    let live = nats.live("counter").await?;
    ensure!(live["version"] == "0.1.5" && live["failures"].as_u64().is_some_and(|failures| failures > 4), "{live}");
    Ok(())
}
