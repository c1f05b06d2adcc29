//! A plugin that does what it must not, over the wire: the command gets its answer, its neighbours go
//! on, other domains do not notice, and memory comes back. It must not test what the engine does to a
//! plugin, which its own tests show.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::traffic::Traffic;
use tests::{Counter, Host, HostBuilder, Misbehave, Nats, PATIENCE, eventually};

/// What one call of a plugin may take here.
const DEADLINE: Duration = Duration::from_millis(200);
/// Counters of the other domain, and commands per second that go to them.
const COUNTERS: usize = 50;
const RATE: u32 = 400;
/// Commands of each run.
const COMMANDS: usize = 1_000;
/// Endless loops that are asked for meanwhile.
const LOOPS: usize = 10;
/// How far the other domain's latency may go. What is promised, twice, is measured with a release build
/// on a quiet machine; only a fault reaches this, though other tests run beside.
const TIMES_QUIET_MAX: u32 = 10;
const QUIET_MIN: Duration = Duration::from_millis(20);

fn builder(nats: &Nats) -> Result<HostBuilder> {
    let builder = Host::builder(nats)?.without_plugins().plugin("misbehave")?.plugin("counter")?;
    Ok(builder.env("PLUGIN_DEADLINE", format!("{}ms", DEADLINE.as_millis())).env("PLUGIN_TRIAL_SHARE", 0))
}

#[tokio::test]
async fn every_misdeed_costs_its_command_an_answer_and_nobody_else_anything() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = builder(&nats)?.start(&nats).await?;
    let (neighbour, other) = (Misbehave::new(), Counter::new());
    let mut version = 0;
    // The host's own server takes a megabyte, and a command stores a thousand events at most.
    for (mode, n) in [
        ("trap", 0),
        ("spin", 0),
        ("memory", 0),
        ("recursion", 0),
        ("exit", 0),
        ("huge_event", 2 << 20),
        ("many_events", 1_001),
        ("forbidden_event", 0),
        ("bad_reason", 0),
    ] {
        let culprit = Misbehave::new();
        nats.ask(culprit.run("behave", 0)).await?.ok()?;
        nats.ask(culprit.run(mode, n)).await?.error("plugin_failed")?;
        version += 1;
        ensure!(nats.ask(neighbour.run("behave", 0)).await?.ok()?.version()? == version, "after {mode}");
        // Nothing of it was stored, and it goes on.
        ensure!(nats.ask(culprit.run("behave", 0)).await?.ok()?.version()? == 2, "after {mode}");
        nats.ask(other.increment(1)).await?.ok()?;
    }
    for (mode, n) in
        [("slow", 100), ("many_events", 1_000), ("log_flood", 10_000), ("log_long", 1 << 20), ("print", 10_000)]
    {
        nats.ask(Misbehave::new().run(mode, n)).await?.ok()?;
    }
    ensure!(nats.ask(neighbour.run("behave", 0)).await?.ok()?.version()? == version + 1);
    Ok(())
}

#[tokio::test]
async fn a_flood_of_words_does_not_fill_the_log() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.start(&nats).await?;
    for (mode, n) in [("log_flood", 100_000), ("log_long", 16 << 20), ("print", 100_000)] {
        nats.ask(Misbehave::new().run(mode, n)).await?;
    }
    let bytes = host.log()?.len();
    ensure!(bytes < 256 << 10, "the log has {bytes} bytes");
    Ok(())
}

#[tokio::test]
async fn what_is_stored_and_cannot_be_applied_parks_its_aggregate_and_names_the_event() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = builder(&nats)?.start(&nats).await?;
    let neighbour = Misbehave::new();
    for (mode, version) in [("unevolvable_event", 1), ("trap_in_evolve", 2), ("spin_in_evolve", 3)] {
        let parked = Misbehave::new();
        let answer = nats.ask(parked.run(mode, 0)).await?.ok()?;
        let sequence = answer.events()?[0]["sequence"].to_string();
        for message in [parked.run("behave", 0), parked.state(), parked.run("behave", 0)] {
            nats.ask(message).await?.error("plugin_failed")?.naming(&[&format!("sequence {sequence} "), "parked"])?;
        }
        ensure!(nats.ask(neighbour.run("behave", 0)).await?.ok()?.version()? == version, "after {mode}");
    }
    let counters = nats.counters("misbehave").await?;
    ensure!(counters["parked"].as_u64() >= Some(3), "{counters}");
    Ok(())
}

#[tokio::test]
async fn what_is_tried_out_first_is_not_stored_where_it_cannot_be_applied() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = builder(&nats)?.env("PLUGIN_TRIAL_SHARE", 100).start(&nats).await?;
    let tried = Misbehave::new();
    for (mode, version) in [("unevolvable_event", 1), ("trap_in_evolve", 2), ("spin_in_evolve", 3)] {
        nats.ask(tried.run(mode, 0)).await?.error("plugin_failed")?.naming(&["nothing is stored"])?;
        ensure!(nats.ask(tried.run("behave", 0)).await?.ok()?.version()? == version, "after {mode}");
    }
    let stored = nats.stored_in("MISBEHAVE_EVENTS", &format!("misbehave.events.{}.>", tried.id)).await?;
    ensure!(stored.len() == 3, "{stored:?}");
    let counters = nats.counters("misbehave").await?;
    ensure!(counters["trials"] == 6 && counters["trials_failed"] == 3, "{counters}");
    Ok(())
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_costs_a_replay_and_no_state() -> Result<()> {
    let nats = Nats::start().await?;
    let builder = builder(&nats)?.env("SNAPSHOT_FREQUENCY", 1);
    let mut host = builder.start(&nats).await?;
    let aggregate = Misbehave::new();
    nats.ask(aggregate.run("unreadable_snapshot", 0)).await?.ok()?;
    nats.ask(aggregate.run("behave", 0)).await?.ok()?;
    ensure!(host.terminate().await? == 0);

    let host = builder.start(&nats).await?;
    let state = nats.ask(aggregate.state()).await?.ok()?;
    ensure!(state.version()? == 2 && state.state()["runs"] == 2, "{}", state.body);
    host.logs(&["error", "does not read the snapshot"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_view_that_is_no_json_fails_its_query_alone() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = builder(&nats)?.start(&nats).await?;
    let (blind, neighbour) = (Misbehave::new(), Misbehave::new());
    nats.ask(neighbour.run("behave", 0)).await?.ok()?;
    nats.ask(blind.run("bad_view", 0)).await?.ok()?;
    nats.ask(blind.state()).await?.error("plugin_failed")?;
    nats.ask(blind.run("behave", 0)).await?.ok()?;
    ensure!(nats.ask(neighbour.state()).await?.ok()?.state()["runs"] == 1);
    Ok(())
}

#[tokio::test]
async fn an_endless_loop_in_one_domain_is_not_noticed_in_another() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.start(&nats).await?;
    let traffic = Traffic::new(&nats, COUNTERS, RATE).await?;
    let quiet_time = Duration::from_secs(1) * u32::try_from(COMMANDS)? / RATE;
    let quiet = traffic
        .during(async {
            let mut end = tests::traffic::pace(quiet_time);
            end.tick().await;
            end.tick().await;
            Ok(())
        })
        .await?;
    let resident = host.resident_kib()?;
    let looping = traffic
        .during(async {
            for _ in 0..LOOPS {
                nats.ask(Misbehave::new().run("spin", 0)).await?.error("plugin_failed")?;
            }
            Ok(())
        })
        .await?;
    eprintln!("quiet: {quiet}; beside {LOOPS} endless loops: {looping}");
    let bound = TIMES_QUIET_MAX * quiet.p99().max(QUIET_MIN);
    ensure!(looping.p99() < bound, "p99 {:?} beside loops, {:?} in quiet time", looping.p99(), quiet.p99());
    traffic.ensure_log_agrees(&nats).await?;

    // What bombs have taken comes back: an instance may have 64 MiB.
    for _ in 0..LOOPS {
        nats.ask(Misbehave::new().run("memory", 0)).await?.error("plugin_failed")?;
    }
    eventually("memory has come back", async || {
        let now = host.resident_kib()?;
        ensure!(now < resident + (64 << 10), "{resident} KiB before, {now} KiB after");
        Ok(())
    })
    .await?;
    ensure!(nats.try_ask(Counter::new().increment(1), PATIENCE).await?.is_some());
    Ok(())
}
