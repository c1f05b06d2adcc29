//! The NATS service API and the queue group. It must not test commands.

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use serde_json::Value;
use tests::{Agent, Host, Message, Nats, eventually};

async fn ask_service(nats: &Nats, verb: &str) -> Result<Value> {
    let message = Message::to(format!("$SRV.{verb}.agent-service"), "");
    let answer = nats.client().request(message.subject, message.payload).await?;
    Ok(serde_json::from_slice(&answer.payload)?)
}

#[tokio::test]
async fn a_ready_host_answers_ping_info_and_stats() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;

    let mut ids = Vec::new();
    for (verb, kind) in [("PING", "ping"), ("INFO", "info"), ("STATS", "stats")] {
        let answer = ask_service(&nats, verb).await?;
        ensure!(answer["type"] == format!("io.nats.micro.v1.{kind}_response"), "{answer}");
        ensure!(answer["name"] == "agent-service" && answer["version"].is_string(), "{answer}");
        ids.push(answer["id"].as_str().context("no id")?.to_owned());
    }
    ensure!(ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
    Ok(())
}

#[tokio::test]
async fn the_info_lists_what_is_served() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;

    let info = ask_service(&nats, "INFO").await?;

    let endpoints = info["endpoints"].as_array().context("no endpoints")?;
    for kind in ["agent.commands.", "agent.queries."] {
        let served = |endpoint: &Value| endpoint["subject"].as_str().is_some_and(|subject| subject.starts_with(kind));
        ensure!(endpoints.iter().any(served), "nothing under {kind}: {info}");
    }
    for endpoint in endpoints {
        ensure!(endpoint["queue_group"] == "agent-workers", "{endpoint}");
    }
    Ok(())
}

#[tokio::test]
async fn the_stats_count_requests_and_errors() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(agent.state()).await?.ok()?;
    nats.ask(agent.deploy()).await?.rejected("already_deployed")?;

    eventually("the requests are counted", async || {
        let stats = ask_service(&nats, "STATS").await?;
        let sum = |field: &str| -> u64 {
            let endpoints = stats["endpoints"].as_array().into_iter().flatten();
            endpoints.filter_map(|endpoint| endpoint[field].as_u64()).sum()
        };
        ensure!(sum("num_requests") == 3, "{stats}");
        Ok(())
    })
    .await
}

/// How many of a hundred commands go past the host to a subscriber of the test in this group.
async fn taken_by(nats: &Nats, group: &str) -> Result<usize> {
    let mut rival = nats.client().queue_subscribe("agent.commands.deploy", group.to_owned()).await?;
    nats.client().flush().await?;
    for _ in 0..100 {
        nats.publish(Agent::new().deploy()).await?;
    }
    let mut taken = 0;
    eventually("every command has found its taker", async || {
        while let Ok(Some(_)) = tokio::time::timeout(std::time::Duration::from_millis(1), rival.next()).await {
            taken += 1;
        }
        let stored = nats.stream_messages("AGENT_EVENTS").await?;
        ensure!(taken + usize::try_from(stored)? >= 100, "{taken} and {stored}");
        Ok(())
    })
    .await?;
    Ok(taken)
}

#[tokio::test]
async fn hosts_share_the_queue_group_agent_workers() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;

    let taken = taken_by(&nats, "agent-workers").await?;

    ensure!(taken > 0 && taken < 100, "{taken} of 100");
    Ok(())
}

#[tokio::test]
async fn the_queue_group_is_a_setting() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::builder(&nats)?.env("QUEUE_GROUP", "night-shift").start(&nats).await?;

    let taken = taken_by(&nats, "night-shift").await?;

    ensure!(taken > 0 && taken < 100, "{taken} of 100");
    Ok(())
}
