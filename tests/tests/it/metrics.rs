//! What the host counts, for traffic that is known: names and values that dashboards and alerts go
//! by. It must not test health.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::http::get;
use tests::inbox::misbehave;
use tests::metric_names::METRICS;
use tests::plugin_dir::COUNTER_FILE;
use tests::plugins::{plugin, successor};
use tests::{Agent, Counter, Host, HostBuilder, Message, Metrics, Misbehave, Nats, PluginDir, eventually};

fn builder(nats: &Nats) -> Result<HostBuilder> {
    Ok(Host::builder(nats)?.env("HTTP_ADDR", "127.0.0.1:0"))
}

async fn scrape(address: &str) -> Result<Metrics> {
    let page = get(address, "/metrics").await?;
    ensure!(page.status == 200 && page.head.contains("content-type: text/plain; version=0.0.4"), "{page:?}");
    Metrics::parse(&page.body)
}

/// A sample that is expected: its name without what all names begin with, its labels, its value.
type Sample<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

/// Waits until the samples of these names and labels have these values.
async fn counts(address: &str, expected: &[Sample<'_>]) -> Result<()> {
    eventually("it is counted", async || {
        let metrics = scrape(address).await?;
        for (name, labels, value) in expected {
            let found = metrics.value(&format!("agent_service_{name}"), labels);
            ensure!(found == Some(*value), "{name}{labels:?} is {found:?} and not {value}");
        }
        Ok(())
    })
    .await
}

const AGENT: (&str, &str) = ("domain", "agent");
const COUNTER: (&str, &str) = ("domain", "counter");
const MISBEHAVE: (&str, &str) = ("domain", "misbehave");

#[tokio::test]
async fn known_traffic_gives_known_counts() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.env("PLUGIN_TRIAL_SHARE", 100).start(&nats).await?;
    let address = host.http_address().await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;
    nats.ask(agent.set("key", 1)).await?.ok()?;
    nats.ask(agent.deploy()).await?.rejected("already_deployed")?;
    nats.ask(Message::command("deploy", &json!({"agent_id": "no id"}))).await?.error("invalid")?;
    nats.ask(agent.command("paint", &json!({}))).await?.error("invalid")?;
    nats.ask(agent.state()).await?.ok()?;
    nats.ask(agent.state()).await?.ok()?;
    nats.ask(Agent::new().state()).await?.error("not_found")?;

    let verb = |verb, outcome| [AGENT, ("verb", verb), ("outcome", outcome)];
    let stage = |stage| [AGENT, ("stage", stage)];
    let expected: &[Sample<'_>] = &[
        ("commands_total", &verb("deploy", "ok"), 1.0),
        ("commands_total", &verb("activate", "ok"), 1.0),
        ("commands_total", &verb("update_configuration", "ok"), 1.0),
        ("commands_total", &verb("suspend", "ok"), 0.0),
        ("commands_total", &verb("deploy", "rejected"), 1.0),
        ("commands_total", &verb("deploy", "invalid"), 1.0),
        ("commands_total", &verb("other", "invalid"), 1.0),
        ("queries_total", &[AGENT, ("outcome", "ok")], 2.0),
        ("queries_total", &[AGENT, ("outcome", "not_found")], 1.0),
        ("queries_total", &[AGENT, ("outcome", "timeout")], 0.0),
        ("request_seconds_count", &[AGENT, ("kind", "command")], 6.0),
        ("request_seconds_count", &[AGENT, ("kind", "query")], 3.0),
        // Two commands were refused before they came to a shard, and one was rejected.
        ("stage_seconds_count", &stage("queue"), 7.0),
        ("stage_seconds_count", &stage("load"), 2.0),
        ("stage_seconds_count", &stage("decide"), 4.0),
        ("stage_seconds_count", &stage("append"), 3.0),
        ("stage_seconds_count", &stage("evolve"), 3.0),
        ("cache_hits_total", &[AGENT], 5.0),
        ("cache_misses_total", &[AGENT], 2.0),
        ("replayed_events_count", &[AGENT], 2.0),
        ("replayed_events_sum", &[AGENT], 0.0),
        ("trials_total", &[AGENT], 3.0),
        ("trials_failed_total", &[AGENT], 0.0),
        ("live_aggregates", &[AGENT], 1.0),
        ("mailbox_depth", &[AGENT], 0.0),
        ("snapshot_events_behind", &[AGENT], 3.0),
        ("snapshots_total", &[AGENT], 0.0),
        ("uncovered", &[AGENT], 0.0),
        ("conflicts_total", &[AGENT], 0.0),
        ("overloaded_total", &[AGENT], 0.0),
        ("abused_replies_total", &[AGENT], 0.0),
        ("inbox_messages", &[AGENT], 0.0),
        ("dead_messages", &[AGENT], 0.0),
        ("nats_connected", &[], 1.0),
        ("nats_reconnects_total", &[], 0.0),
        ("ready", &[], 1.0),
    ];
    counts(&address, expected).await?;
    let metrics = scrape(&address).await?;
    let commands = metrics.sum("agent_service_commands_total");
    ensure!(commands == 6.0, "{commands} commands");
    let time = |name: &str, labels: &[_]| metrics.value(name, labels).with_context(|| name.to_owned());
    let all = time("agent_service_request_seconds_sum", &[AGENT, ("kind", "command")])?;
    let append = time("agent_service_stage_seconds_sum", &stage("append"))?;
    ensure!(append > 0.0 && all > append, "{all} s of which {append} s for appends");
    Ok(())
}

#[tokio::test]
async fn every_promised_name_is_there_and_none_beside() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.env("SNAPSHOT_FREQUENCY", 1).start(&nats).await?;
    let address = host.http_address().await?;
    nats.ask(Agent::new().deploy()).await?.ok()?;

    eventually("all names are there", async || {
        let metrics = scrape(&address).await?;
        let mut found: Vec<&str> = metrics.names().into_iter().collect();
        found.sort_unstable();
        let mut promised: Vec<&str> = METRICS.iter().map(|(name, ..)| *name).collect();
        promised.sort_unstable();
        ensure!(found == promised, "{found:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_clients_choose_is_no_label() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.start(&nats).await?;
    let address = host.http_address().await?;
    let mut agents = vec![Agent::new()];
    nats.ask(agents[0].deploy()).await?.ok()?;
    nats.ask(agents[0].command("made_up", &json!({}))).await?.error("invalid")?;
    let other = [AGENT, ("verb", "other"), ("outcome", "invalid")];
    let expected: &[Sample<'_>] = &[("commands_total", &other, 1.0), ("inbox_messages", &[AGENT], 0.0)];
    counts(&address, expected).await?;
    let before = scrape(&address).await?.samples().len();

    for number in 0..1_000 {
        let agent = Agent::new();
        nats.publish(agent.command(&format!("made_up_{number}"), &json!({}))).await?;
        nats.publish(agent.deploy()).await?;
        agents.push(agent);
    }
    let deployed = [AGENT, ("verb", "deploy"), ("outcome", "ok")];
    counts(&address, &[("commands_total", &other, 1_001.0), ("commands_total", &deployed, 1_001.0)]).await?;

    let page = get(&address, "/metrics").await?.body;
    let after = Metrics::parse(&page)?.samples().len();
    ensure!(after == before, "{before} samples became {after}");
    let named = agents.iter().find(|agent| page.contains(&agent.id));
    ensure!(named.is_none(), "an aggregate is named: {page}");
    ensure!(!page.contains("made_up"), "a client's word is a label: {page}");
    Ok(())
}

#[tokio::test]
async fn snapshots_and_replays_are_counted_with_their_lengths() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = builder(&nats)?.env("SNAPSHOT_FREQUENCY", 2).start(&nats).await?;
    let address = host.http_address().await?;
    let (snapshotted, young) = (Agent::new(), Agent::new());
    for command in [snapshotted.deploy(), snapshotted.activate(), snapshotted.set("key", 1), young.deploy()] {
        nats.ask(command).await?.ok()?;
    }
    counts(&address, &[("snapshots_total", &[AGENT], 1.0), ("snapshot_events_behind", &[AGENT], 1.0)]).await?;
    let metrics = scrape(&address).await?;
    let at = metrics.value("agent_service_last_snapshot_timestamp_seconds", &[AGENT]).context("no time")?;
    let started = metrics.value("process_start_time_seconds", &[]).context("no start")?;
    // The start is told by the kernel, in hundredths of a second.
    ensure!(at > started - 1.0, "saved at {at}, started at {started}");
    host.kill().await?;

    let host = builder(&nats)?.start(&nats).await?;
    let address = host.http_address().await?;
    nats.ask(snapshotted.state()).await?.ok()?;
    nats.ask(young.state()).await?.ok()?;

    let expected: &[Sample<'_>] = &[
        ("replays_total", &[AGENT], 1.0),
        ("replayed_events_count", &[AGENT], 2.0),
        ("replayed_events_sum", &[AGENT], 2.0),
        ("replayed_events_bucket", &[AGENT, ("le", "0")], 0.0),
        ("replayed_events_bucket", &[AGENT, ("le", "10")], 2.0),
        ("live_aggregates", &[AGENT], 2.0),
    ];
    counts(&address, expected).await
}

#[tokio::test]
async fn a_plugins_life_is_counted() -> Result<()> {
    let nats = Nats::start().await?;
    let dir = PluginDir::of_counter()?;
    let host = builder(&nats)?.plugins_of(&dir).start(&nats).await?;
    let address = host.http_address().await?;
    let counter = Counter::new();
    nats.ask(counter.increment(1)).await?.ok()?;
    counts(&address, &[("plugin_generation", &[COUNTER], 1.0), ("swaps_total", &[COUNTER], 0.0)]).await?;

    dir.put(COUNTER_FILE, &successor("counter-refactored")?)?;
    nats.goes_live("counter", "0.1.1").await?;
    let gate = |result| [COUNTER, ("result", result)];
    let expected: &[Sample<'_>] = &[
        ("plugin_generation", &[COUNTER], 2.0),
        ("swaps_total", &[COUNTER], 1.0),
        ("gate_results_total", &gate("accepted"), 1.0),
        ("gate_results_total", &gate("refused"), 0.0),
    ];
    counts(&address, expected).await?;

    nats.operate("rollback", &json!({"domain": "counter"})).await?;
    counts(&address, &[("plugin_generation", &[COUNTER], 3.0), ("rollbacks_total", &[COUNTER], 1.0)]).await?;
    let metrics = scrape(&address).await?;
    let live: Vec<_> = metrics.samples().iter().filter(|s| s.name == "agent_service_plugin_info").collect();
    let digest = tests::operator::digest(&plugin("counter")?)?;
    ensure!(live.len() == 1 && live[0].value == 1.0, "{live:?}");
    let label = |name: &str| live[0].labels.get(name).map(String::as_str);
    ensure!(label("plugin") == Some("counter") && label("version") == Some("0.1.0"), "{live:?}");
    ensure!(label("digest").is_some_and(|told| digest.ends_with(told) && told.len() == 64), "{live:?}");

    dir.put(COUNTER_FILE, &successor("counter-drifting")?)?;
    counts(&address, &[("gate_results_total", &gate("refused"), 1.0)]).await
}

#[tokio::test]
async fn misdeeds_are_counted() -> Result<()> {
    let nats = Nats::start().await?;
    let builder = builder(&nats)?.without_plugins().plugin("misbehave")?.env("INBOX_TRIES", 1);
    let host = builder.env("PLUGIN_PROBATION", 0).env("PLUGIN_TRIAL_SHARE", 0).start(&nats).await?;
    let address = host.http_address().await?;
    nats.stream_stands("MISBEHAVE_DEAD").await?;

    nats.ask(Misbehave::new().run("trap", 0)).await?.error("plugin_failed")?;
    nats.publish_with_reply(Misbehave::new().run("behave", 0), "misbehave.events.a.b").await?;
    let failed = [MISBEHAVE, ("verb", "run"), ("outcome", "plugin_failed")];
    let expected: &[Sample<'_>] = &[
        ("plugin_failures_total", &[MISBEHAVE], 1.0),
        ("commands_total", &failed, 1.0),
        ("abused_replies_total", &[MISBEHAVE], 1.0),
        ("dead_messages", &[MISBEHAVE], 0.0),
    ];
    counts(&address, expected).await?;

    nats.accept(misbehave("bad", "trap")).await?;
    nats.accept(misbehave("bad", "behave")).await?;
    counts(&address, &[("dead_messages", &[MISBEHAVE], 2.0), ("inbox_messages", &[MISBEHAVE], 0.0)]).await
}

#[tokio::test]
async fn an_outage_is_counted() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.start(&nats).await?;
    let address = host.http_address().await?;
    counts(&address, &[("nats_connected", &[], 1.0), ("ready", &[], 1.0)]).await?;

    nats.server()?.kill()?;
    counts(&address, &[("nats_connected", &[], 0.0), ("ready", &[], 0.0)]).await?;

    nats.restart_server().await?;
    let expected: &[Sample<'_>] =
        &[("nats_connected", &[], 1.0), ("ready", &[], 1.0), ("nats_reconnects_total", &[], 1.0)];
    counts(&address, expected).await
}

#[tokio::test]
async fn appends_that_collide_are_counted() -> Result<()> {
    let nats = Nats::start().await?;
    let hosts = [builder(&nats)?.start(&nats).await?, builder(&nats)?.start(&nats).await?];
    let counted = async |name: &str| {
        let mut all = 0.0;
        for host in &hosts {
            all += scrape(&host.http_address().await?).await?.sum(name);
        }
        anyhow::Ok(all)
    };
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    let mut sent = 0.0;

    eventually("two hosts have collided", async || {
        for number in 0..50 {
            nats.publish(agent.set("key", format!("{sent} {number}"))).await?;
        }
        sent += 50.0;
        let conflicts = counted("agent_service_conflicts_total").await?;
        ensure!(conflicts > 0.0, "{conflicts} conflicts");
        Ok(())
    })
    .await?;

    eventually("all are answered", async || {
        let answered = counted("agent_service_commands_total").await?;
        ensure!(answered == sent + 1.0, "{answered} of {sent}");
        Ok(())
    })
    .await
}
