//! Snapshots as a cache: when they are taken, and that none of their troubles shows in an answer.
//! It must not know their format.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::stream::event_stream;
use tests::{Agent, Host, Nats, eventually};
use uuid::Uuid;

fn snapshot_subject(agent: &Agent) -> String {
    format!("$KV.AGENT_SNAPSHOTS.{}", agent.id)
}

async fn has_snapshot(nats: &Nats, agent: &Agent) -> Result<()> {
    eventually("a snapshot is taken", async || {
        ensure!(nats.snapshot_messages(&agent.id).await? > 0, "none");
        Ok(())
    })
    .await
}

async fn snapshot(nats: &Nats, agent: &Agent) -> Result<Vec<u8>> {
    let stream = nats.jetstream().get_stream("KV_AGENT_SNAPSHOTS").await?;
    Ok(stream.get_last_raw_message_by_subject(&snapshot_subject(agent)).await?.payload.to_vec())
}

/// An agent with a snapshot at its fourth event and one event more, and its host killed.
async fn agent_with_snapshot(nats: &Nats) -> Result<(Agent, tests::Reply)> {
    let mut host = Host::builder(nats)?.env("SNAPSHOT_FREQUENCY", 4).start(nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    for number in 0..4 {
        nats.ask(agent.set(&format!("key-{number}"), number)).await?.ok()?;
    }
    has_snapshot(nats, &agent).await?;
    let state = nats.ask(agent.state()).await?.ok()?;
    host.kill().await?;
    Ok((agent, state))
}

#[tokio::test]
async fn a_snapshot_is_taken_every_so_many_events() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::builder(&nats)?.env("SNAPSHOT_FREQUENCY", 3).start(&nats).await?;
    let (busy, quiet) = (Agent::new(), Agent::new());
    nats.ask(quiet.deploy()).await?.ok()?;
    nats.ask(busy.deploy()).await?.ok()?;
    nats.ask(busy.activate()).await?.ok()?;
    nats.ask(busy.suspend()).await?.ok()?;

    has_snapshot(&nats, &busy).await?;
    let first = snapshot(&nats, &busy).await?;
    for number in 0..3 {
        nats.ask(busy.set("number", number)).await?.ok()?;
    }

    eventually("the next snapshot is taken", async || {
        ensure!(snapshot(&nats, &busy).await? != first, "still the first");
        Ok(())
    })
    .await?;
    ensure!(nats.snapshot_messages(&quiet.id).await? == 0, "a snapshot of an agent with one event");
    Ok(())
}

#[tokio::test]
async fn changes_are_saved_while_nobody_waits() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(agent.set("key", 1)).await?.ok()?;
    let before = nats.ask(agent.state()).await?.ok()?;
    has_snapshot(&nats, &agent).await?;

    host.kill().await?;
    let _host = Host::start(&nats).await?;
    ensure!(nats.ask(agent.state()).await?.ok()?.body == before.body, "another state");
    ensure!(nats.counters("agent").await?["replays"] == 0, "it was replayed, not read");
    Ok(())
}

#[tokio::test]
async fn an_agent_goes_on_from_snapshot_and_tail() -> Result<()> {
    let nats = Nats::start().await?;
    let (agent, before) = agent_with_snapshot(&nats).await?;

    let _host = Host::start(&nats).await?;

    let after = nats.ask(agent.state()).await?.ok()?;
    ensure!(after.body == before.body, "{} became {}", before.body, after.body);
    ensure!(nats.ask(agent.set("key-0", "new")).await?.ok()?.version()? == 6);
    Ok(())
}

#[tokio::test]
async fn a_damaged_snapshot_is_replaced_by_replay() -> Result<()> {
    let nats = Nats::start().await?;
    let (agent, before) = agent_with_snapshot(&nats).await?;
    let good = snapshot(&nats, &agent).await?;
    let flipped = |index: usize| {
        let mut bytes = good.clone();
        bytes[index] ^= 0x10;
        bytes
    };
    let damages = [
        flipped(0),
        flipped(good.len() / 3),
        flipped(good.len() / 2),
        flipped(good.len() - 1),
        good[..good.len() / 2].to_vec(),
        b"no snapshot".to_vec(),
    ];

    for damaged in damages {
        nats.client().publish(snapshot_subject(&agent), damaged.into()).await?;
        nats.client().flush().await?;
        let mut host = Host::start(&nats).await?;

        let after = nats.ask(agent.state()).await?.ok()?;
        ensure!(after.body == before.body, "{} became {}", before.body, after.body);
        host.logs(&["snapshot", &agent.id]).await?;
        host.kill().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_snapshot_is_replaced_by_replay() -> Result<()> {
    let nats = Nats::start().await?;
    let (agent, before) = agent_with_snapshot(&nats).await?;
    let bucket = nats.jetstream().get_key_value("AGENT_SNAPSHOTS").await?;
    bucket.delete(&agent.id).await?;

    let _host = Host::start(&nats).await?;

    let after = nats.ask(agent.state()).await?.ok()?;
    ensure!(after.body == before.body, "{} became {}", before.body, after.body);
    Ok(())
}

#[tokio::test]
async fn a_missing_bucket_is_made_again() -> Result<()> {
    let nats = Nats::start().await?;
    let (agent, before) = agent_with_snapshot(&nats).await?;
    nats.delete_stream("KV_AGENT_SNAPSHOTS").await?;

    let mut host = Host::start(&nats).await?;

    let after = nats.ask(agent.state()).await?.ok()?;
    ensure!(after.body == before.body, "{} became {}", before.body, after.body);
    nats.ask(agent.set("key-0", "new")).await?.ok()?;
    ensure!(host.terminate().await? == 0);
    ensure!(nats.snapshot_messages(&agent.id).await? > 0, "no snapshot");
    Ok(())
}

#[tokio::test]
async fn agents_that_leave_memory_leave_a_snapshot_and_come_back_as_they_were() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::builder(&nats)?.env("CACHE_CAPACITY", 2).start(&nats).await?;
    let agents: Vec<Agent> = (0..20).map(|_| Agent::new()).collect();
    for agent in &agents {
        nats.ask(agent.deploy()).await?.ok()?;
    }
    for round in 0..3 {
        for (index, agent) in agents.iter().enumerate() {
            let reply = nats.ask(agent.set("number", 100 * index + round)).await?.ok()?;
            ensure!(reply.version()? == 2 + round as u64, "{}", reply.body);
        }
    }

    for (index, agent) in agents.iter().enumerate() {
        let reply = nats.ask(agent.state()).await?.ok()?;
        ensure!(reply.state()["configuration"]["settings"]["number"] == 100 * index + 2, "{}", reply.body);
    }
    eventually("most have left a snapshot", async || {
        let mut count = 0;
        for agent in &agents {
            count += nats.snapshot_messages(&agent.id).await?;
        }
        ensure!(count >= agents.len() / 2, "{count} snapshots");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_memory_store_makes_no_bucket_and_replays() -> Result<()> {
    let nats = Nats::start().await?;
    let builder = Host::builder(&nats)?
        .env("SNAPSHOT_STORE", "memory")
        .env("STREAM_MAX_AGE", "0")
        .env("SNAPSHOT_FREQUENCY", 2)
        .env("CACHE_CAPACITY", 2);
    let mut host = builder.start(&nats).await?;
    let agents: Vec<Agent> = (0..10).map(|_| Agent::new()).collect();
    for agent in agents.iter().chain(&agents) {
        let message = if nats.stored(&agent.id).await?.is_empty() { agent.deploy() } else { agent.activate() };
        nats.ask(message).await?.ok()?;
    }
    ensure!(host.terminate().await? == 0);

    let _host = builder.start(&nats).await?;
    for agent in &agents {
        let reply = nats.ask(agent.state()).await?.ok()?;
        ensure!(reply.version()? == 2 && reply.state()["status"] == "Active", "{}", reply.body);
    }
    ensure!(nats.stream_config("KV_AGENT_SNAPSHOTS").await.is_err(), "a bucket was made");
    Ok(())
}

#[tokio::test]
async fn the_memory_store_together_with_a_finite_age_is_refused() -> Result<()> {
    let nats = Nats::start().await?;
    Host::builder(&nats)?.env("SNAPSHOT_STORE", "memory").refuses(&["SNAPSHOT_STORE", "age"]).await
}

#[tokio::test]
async fn the_memory_store_is_refused_on_a_stream_whose_age_is_finite() -> Result<()> {
    let nats = Nats::start().await?;
    nats.create_stream(&event_stream()).await?;
    let host = Host::builder(&nats)?.env("SNAPSHOT_STORE", "memory").env("STREAM_MAX_AGE", "0");
    host.refuses(&["SNAPSHOT_STORE", "age"]).await
}

/// A stream that forgets within the patience of a test.
async fn forgetful() -> Result<Nats> {
    let nats = Nats::with_config("max_payload: 65536").await?;
    let mut config = event_stream();
    config["max_age"] = json!(2_000_000_000_u64);
    config["duplicate_window"] = json!(1_000_000_000_u64);
    nats.create_stream(&config).await?;
    Ok(nats)
}

#[tokio::test]
async fn an_agent_whose_events_have_all_aged_goes_on_from_its_snapshot() -> Result<()> {
    let nats = forgetful().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;
    host.terminate().await?;
    nats.agent_events_have_aged().await?;

    let _host = Host::start(&nats).await?;

    let reply = nats.ask(agent.state()).await?.ok()?;
    ensure!(reply.version()? == 2 && reply.state()["status"] == "Active", "{}", reply.body);
    nats.ask(agent.state_at(1)).await?.error("expired")?;
    nats.ask(agent.activate()).await?.rejected("invalid_transition")?;
    ensure!(nats.ask(agent.suspend()).await?.ok()?.version()? == 3);
    let events = nats.stored(&agent.id).await?;
    ensure!(events.first().context("no event")?.version()? == 3, "{events:?}");
    Ok(())
}

#[tokio::test]
async fn a_live_agent_whose_events_have_all_aged_goes_on() -> Result<()> {
    let nats = forgetful().await?;
    let _host = Host::builder(&nats)?.env("SNAPSHOT_FREQUENCY", 1).start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    has_snapshot(&nats, &agent).await?;
    nats.agent_events_have_aged().await?;

    ensure!(nats.ask(agent.state()).await?.ok()?.version()? == 1);
    ensure!(nats.ask(agent.activate()).await?.ok()?.version()? == 2);
    Ok(())
}

#[tokio::test]
async fn a_snapshot_larger_than_a_message_holds_the_whole_state() -> Result<()> {
    let nats = forgetful().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    // Random, so that no compression brings it below the server's 64 KiB.
    let noise: Vec<String> = (0..20).map(|_| (0..250).map(|_| Uuid::new_v4().simple().to_string()).collect()).collect();
    for (number, text) in noise.iter().enumerate() {
        nats.ask(agent.set(&format!("key-{number}"), text.as_str())).await?.ok()?;
    }
    ensure!(host.terminate().await? == 0);
    ensure!(nats.snapshot_messages(&agent.id).await? > 0, "no snapshot");
    nats.agent_events_have_aged().await?;

    // Nothing is left but the snapshot: only from it can the host know what is set.
    let _host = Host::start(&nats).await?;

    for (number, text) in noise.iter().enumerate() {
        nats.ask(agent.set(&format!("key-{number}"), text.as_str())).await?.rejected("no_change")?;
    }
    ensure!(nats.ask(agent.set("key-0", "new")).await?.ok()?.version()? == 22);
    Ok(())
}
