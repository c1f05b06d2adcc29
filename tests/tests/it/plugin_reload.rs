//! The plugin directory changes while the service runs: what is put there is served, what is taken
//! away is not. It must not test by what code has to prove itself.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tests::plugin_dir::COUNTER_FILE as FILE;
use tests::plugins::{plugin, successor};
use tests::stored::ensure_history;
use tests::{Agent, Counter, Host, HostBuilder, Message, Nats, PATIENCE, PluginDir, eventually};

fn watching(nats: &Nats, dir: &PluginDir) -> Result<HostBuilder> {
    Ok(Host::builder(nats)?.plugins_of(dir))
}

/// A host with the first version of the counter, in a directory of the test's own.
async fn with_counter(nats: &Nats) -> Result<(PluginDir, Host)> {
    let dir = PluginDir::of_counter()?;
    let host = watching(nats, &dir)?.start(nats).await?;
    Ok((dir, host))
}

/// Waits until somebody takes a message, and returns nothing of what is answered.
async fn is_served(nats: &Nats, message: &Message) -> Result<()> {
    eventually("it is served", async || {
        ensure!(nats.try_ask(message.clone(), PATIENCE).await?.is_some(), "no responders");
        Ok(())
    })
    .await
}

async fn is_served_no_more(nats: &Nats, message: &Message) -> Result<()> {
    eventually("it is served no more", async || {
        let reply = nats.try_ask(message.clone(), PATIENCE).await?;
        ensure!(reply.is_none(), "{reply:?}");
        Ok(())
    })
    .await
}

async fn count(nats: &Nats, counter: &Counter) -> Result<u64> {
    let reply = nats.ask(counter.state()).await?.ok()?;
    reply.state()["count"].as_u64().with_context(|| format!("no count: {}", reply.body))
}

#[tokio::test]
async fn a_new_file_serves_a_new_domain_without_a_restart() -> Result<()> {
    let nats = Nats::start().await?;
    let dir = PluginDir::new()?;
    let mut host = watching(&nats, &dir)?.spawn()?;
    host.logs(&["not ready", "no plugin"]).await?;

    dir.put(FILE, &plugin("counter")?)?;
    let counter = Counter::new();
    is_served(&nats, &counter.state()).await?;
    eventually("the host is ready", async || {
        ensure!(nats.new_instance().await?, "no answer to a ping");
        Ok(())
    })
    .await?;
    nats.ask(counter.increment(2)).await?.ok()?;
    let agent = Agent::new();
    ensure!(nats.try_ask(agent.deploy(), PATIENCE).await?.is_none(), "an agent before its plugin");

    dir.put("agent.wasm", &plugin("agent")?)?;
    is_served(&nats, &agent.state()).await?;
    ensure!(nats.ask(agent.deploy()).await?.ok()?.version()? == 1);
    ensure!(count(&nats, &counter).await? == 2);
    ensure!(host.is_running()? && host.terminate().await? == 0);
    Ok(())
}

/// The first version is live, somehow replaced by another one, and that one goes on.
async fn replaced(start: impl Fn(&PluginDir) -> Result<()>, replace: impl Fn(&PluginDir) -> Result<()>) -> Result<()> {
    let nats = Nats::start().await?;
    let dir = PluginDir::new()?;
    start(&dir)?;
    let _host = watching(&nats, &dir)?.start(&nats).await?;
    let counter = Counter::new();
    nats.ask(counter.increment(2)).await?.ok()?;
    ensure!(nats.live("counter").await?["activation"] == 1);

    replace(&dir)?;
    let live = nats.goes_live("counter", "0.1.1").await?;

    ensure!(live["activation"] == 2, "{live}");
    ensure!(nats.ask(counter.increment(3)).await?.ok()?.version()? == 2);
    ensure!(count(&nats, &counter).await? == 5);
    Ok(())
}

#[tokio::test]
async fn a_file_replaced_by_a_rename_goes_live() -> Result<()> {
    let (first, second) = (plugin("counter")?, successor("counter-refactored")?);
    replaced(|dir| dir.put(FILE, &first), |dir| dir.put(FILE, &second)).await
}

#[tokio::test]
async fn a_file_written_over_goes_live() -> Result<()> {
    let (first, second) = (plugin("counter")?, successor("counter-refactored")?);
    replaced(|dir| dir.put(FILE, &first), |dir| dir.rewrite(FILE, &second)).await
}

#[tokio::test]
async fn a_file_replaced_as_kubernetes_does_it_goes_live() -> Result<()> {
    let (first, second) = (plugin("counter")?, successor("counter-refactored")?);
    replaced(|dir| dir.mount(FILE, &first, 1), |dir| dir.mount(FILE, &second, 2)).await
}

/// Increments a counter until nobody takes it any more; how many were answered.
async fn until_no_responders(nats: &Nats, counter: &Counter) -> Result<u64> {
    let mut answered = 0;
    // Whatever was taken is answered: silence is an error here.
    while let Some(reply) = nats.try_ask(counter.increment(1), PATIENCE).await? {
        reply.ok()?;
        answered += 1;
    }
    Ok(answered)
}

#[tokio::test]
async fn a_removed_file_retires_its_domain_after_what_is_in_flight() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, host) = with_counter(&nats).await?;
    let mut retired = nats.plugin_events("counter.retired").await?;
    let counters: Vec<Counter> = (0..8).map(|_| Counter::new()).collect();
    nats.ask(counters[0].increment(1)).await?.ok()?;

    let working = futures::future::try_join_all(counters.iter().map(|counter| until_no_responders(&nats, counter)));
    let removing = async {
        eventually("there is work in flight", async || {
            ensure!(nats.stream_messages("COUNTER_EVENTS").await? > 50, "not yet");
            Ok(())
        })
        .await?;
        dir.remove(FILE)
    };
    let (answered, removed) = tokio::join!(working, removing);
    removed?;
    let mut answered = answered?;
    answered[0] += 1;

    host.logs(&["counter", "retired"]).await?;
    ensure!(retired.next().await?["detail"]["origin"].as_str().is_some_and(|origin| origin.ends_with(FILE)));
    ensure!(nats.live("counter").await?.is_null(), "it is still listed");
    is_served_no_more(&nats, &counters[0].state()).await?;
    dir.put(FILE, &plugin("counter")?)?;
    is_served(&nats, &counters[0].state()).await?;
    for (counter, answered) in counters.iter().zip(answered) {
        ensure!(count(&nats, counter).await? == answered, "{answered} were answered");
        let events = nats.stored_in("COUNTER_EVENTS", &counter.events()).await?;
        ensure_history(&events)?;
        ensure!(events.len() as u64 == answered, "{answered} answered, {} stored", events.len());
    }
    Ok(())
}

#[tokio::test]
async fn of_two_files_for_one_domain_the_live_one_stays() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, host) = with_counter(&nats).await?;
    let counter = Counter::new();
    nats.ask(counter.increment(2)).await?.ok()?;

    dir.put("another.wasm", &successor("counter-refactored")?)?;
    let refusal = nats.is_refused("another.wasm", "0.1.1").await?;

    host.logs(&["refused", "another.wasm", FILE]).await?;
    ensure!(refusal["why"].as_str().is_some_and(|why| why.contains(FILE)), "{refusal}");
    let live = nats.live("counter").await?;
    ensure!(live["version"] == "0.1.0" && live["activation"] == 1, "{live}");
    ensure!(nats.ask(counter.increment(3)).await?.ok()?.version()? == 2);

    dir.remove(FILE)?;
    let live = nats.goes_live("counter", "0.1.1").await?;
    ensure!(live["origin"].as_str().is_some_and(|origin| origin.ends_with("another.wasm")), "{live}");
    ensure!(count(&nats, &counter).await? == 5);
    let list = nats.plugins().await?;
    ensure!(list["refused"].as_array().is_some_and(Vec::is_empty), "{list}");
    Ok(())
}

#[tokio::test]
async fn of_two_files_at_start_one_is_served_and_the_other_named() -> Result<()> {
    let nats = Nats::start().await?;
    let dir = PluginDir::of_counter()?;
    dir.put("later.wasm", &successor("counter-refactored")?)?;

    let host = watching(&nats, &dir)?.start(&nats).await?;

    host.logs(&["refused", "later.wasm", FILE]).await?;
    ensure!(nats.live("counter").await?["version"] == "0.1.0");
    Ok(())
}

#[tokio::test]
async fn a_file_replaced_ten_times_in_a_second_ends_with_the_last_one() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, _host) = with_counter(&nats).await?;
    let counter = Counter::new();
    let others = [successor("counter-refactored")?, plugin("counter")?];
    let mut versions: Vec<&Path> = others.iter().map(AsRef::as_ref).cycle().take(9).collect();
    let last = successor("counter-wider")?;
    versions.push(&last);

    for version in versions {
        dir.put(FILE, version)?;
        // Some milliseconds pass meanwhile, and what is asked meanwhile is done.
        for _ in 0..20 {
            nats.ask(counter.increment(1)).await?.ok()?;
        }
    }

    nats.goes_live("counter", "2.0.0").await?;
    ensure!(nats.counters("counter").await?["swaps"].as_u64().is_some_and(|swaps| swaps <= 10));
    nats.ask(counter.decrement(50)).await?.ok()?;
    ensure!(count(&nats, &counter).await? == 150);
    ensure!(nats.live("counter").await?["version"] == "2.0.0");
    Ok(())
}

#[tokio::test]
async fn a_renamed_file_goes_on_serving() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, host) = with_counter(&nats).await?;
    let counter = Counter::new();
    nats.ask(counter.increment(1)).await?.ok()?;

    dir.rename(FILE, "renamed.wasm")?;
    eventually("the host has seen the new name", async || {
        // Never a moment without the domain.
        nats.ask(counter.increment(1)).await?.ok()?;
        let live = nats.live("counter").await?;
        ensure!(live["origin"].as_str().is_some_and(|origin| origin.ends_with("renamed.wasm")), "{live}");
        Ok(())
    })
    .await?;

    ensure!(nats.live("counter").await?["activation"] == 1);
    ensure!(nats.counters("counter").await?["swaps"] == 0);
    ensure!(!host.log()?.contains("retired"), "it was retired meanwhile");
    Ok(())
}

#[tokio::test]
async fn a_file_that_brings_another_domain_than_before_retires_the_former() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, host) = with_counter(&nats).await?;
    let counter = Counter::new();
    nats.ask(counter.increment(2)).await?.ok()?;

    dir.put(FILE, &plugin("agent")?)?;
    is_served(&nats, &Agent::new().state()).await?;
    is_served_no_more(&nats, &counter.state()).await?;
    host.logs(&["counter", "retired"]).await?;

    dir.put("another.wasm", &successor("counter-refactored")?)?;
    nats.goes_live("counter", "0.1.1").await?;
    ensure!(count(&nats, &counter).await? == 2);
    Ok(())
}

#[tokio::test]
async fn a_domain_goes_on_while_any_file_for_it_is_good() -> Result<()> {
    let nats = Nats::start().await?;
    let (dir, _host) = with_counter(&nats).await?;
    let counter = Counter::new();
    nats.ask(counter.increment(2)).await?.ok()?;
    dir.put("drifting.wasm", &successor("counter-drifting")?)?;
    nats.is_refused("drifting.wasm", "0.1.2").await?;
    dir.put("good.wasm", &successor("counter-refactored")?)?;
    nats.is_refused("good.wasm", "0.1.1").await?;

    dir.remove(FILE)?;

    nats.goes_live("counter", "0.1.1").await?;
    ensure!(count(&nats, &counter).await? == 2);
    let refusal = nats.is_refused("drifting.wasm", "0.1.2").await?;
    ensure!(refusal["report"]["verdict"] == "different", "{refusal}");
    Ok(())
}
