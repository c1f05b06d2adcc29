//! Many commands of several events at once: they share batches, and every one is answered by itself.
//! It must not know which of them share one.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::ConnectOptions;
use futures::future::try_join_all;
use tests::stored::{Stored, ensure_history};
use tests::{Agent, Host, Message, Nats, Reply};
use xtask::nats_server::{NatsServer, find_version};

const MANY: usize = 256;
/// Longer than all of them take on a busy machine, one batch each.
const PATIENCE: Duration = Duration::from_secs(60);
/// The last version that misjudges batches of several aggregates (nats-server#8376).
const FAULTY: &str = "2.14.3";

async fn ask_at_once(nats: &Nats, messages: impl IntoIterator<Item = Message>) -> Result<Vec<Reply>> {
    let asked = messages
        .into_iter()
        .map(|message| async { nats.try_ask(message, PATIENCE).await?.context("nobody serves it") });
    try_join_all(asked).await
}

fn agents() -> Vec<Agent> {
    (0..MANY).map(|_| Agent::new()).collect()
}

fn batches(log: &[Stored]) -> Result<usize> {
    let ids: HashSet<&str> = log.iter().map(|event| event.header("Nats-Batch-Id")).collect::<Result<_>>()?;
    Ok(ids.len())
}

/// The log has the two events of a deployment, as the reply says.
fn ensure_deployed(agent: &Agent, reply: Reply, log: &[Stored]) -> Result<()> {
    let reply = reply.ok()?;
    ensure!(reply.version()? == 2 && !reply.duplicate()?, "{}", reply.body);
    let events: Vec<Stored> =
        log.iter().filter(|event| event.header("ce-subject").ok() == Some(&agent.id)).cloned().collect();
    ensure_history(&events)?;
    let told: Vec<Option<u64>> = reply.events()?.iter().map(|event| event["sequence"].as_u64()).collect();
    let stored: Vec<Option<u64>> = events.iter().map(|event| Some(event.sequence)).collect();
    ensure!(told == stored, "{} tells {told:?}, the log has {stored:?}", reply.body);
    Ok(())
}

#[tokio::test]
async fn many_deployments_at_once_are_each_stored_once_as_their_replies_say() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agents = agents();

    let replies = ask_at_once(&nats, agents.iter().map(Agent::deploy_configured)).await?;

    let log = nats.stored_at_once("AGENT_EVENTS").await?;
    ensure!(log.len() == 2 * MANY, "{} events", log.len());
    for (agent, reply) in agents.iter().zip(replies) {
        ensure_deployed(agent, reply, &log)?;
    }
    ensure!(batches(&log)? < MANY / 2, "{} batches", batches(&log)?);
    Ok(())
}

#[tokio::test]
async fn what_two_hosts_deploy_at_the_same_time_fails_at_one_of_them_and_costs_no_other() -> Result<()> {
    let nats = Nats::start().await?;
    let _one = Host::start(&nats).await?;
    let _other = Host::start(&nats).await?;
    let (contested, alone) = (agents(), agents());
    let twice = contested.iter().flat_map(|agent| [agent, agent]);

    let deployments = twice.clone().chain(&alone).map(Agent::deploy_configured);
    let mut replies = ask_at_once(&nats, deployments).await?;

    let log = nats.stored_at_once("AGENT_EVENTS").await?;
    ensure!(log.len() == 4 * MANY, "{} events", log.len());
    for (agent, reply) in alone.iter().zip(replies.split_off(2 * MANY)) {
        ensure_deployed(agent, reply, &log)?;
    }
    let mut replies = replies.into_iter();
    for agent in &contested {
        let pair = (replies.next().context("a reply")?, replies.next().context("a reply")?);
        let (winner, loser) = if pair.0.body["status"] == "ok" { pair } else { (pair.1, pair.0) };
        ensure_deployed(agent, winner, &log)?;
        loser.error("rejected")?;
    }
    Ok(())
}

#[tokio::test]
async fn the_same_deployment_many_times_at_once_counts_once() -> Result<()> {
    let nats = Nats::start().await?;
    let _one = Host::start(&nats).await?;
    let _other = Host::start(&nats).await?;
    let agents = agents();
    let twice = agents.iter().flat_map(|agent| [agent, agent]);

    let replies = ask_at_once(&nats, twice.map(|agent| agent.deploy_configured().msg_id(&agent.id))).await?;

    let log = nats.stored_at_once("AGENT_EVENTS").await?;
    ensure!(log.len() == 2 * MANY, "{} events", log.len());
    let mut first = 0;
    for reply in replies {
        let reply = reply.ok()?;
        ensure!(reply.version()? == 2, "{}", reply.body);
        first += usize::from(!reply.duplicate()?);
    }
    ensure!(first == MANY, "{first} were told to be the first");
    Ok(())
}

#[tokio::test]
async fn with_a_server_that_misjudges_shared_batches_all_works_one_by_one() -> Result<()> {
    let server = NatsServer::builder().binary(find_version(FAULTY)?).start()?;
    let nats = Nats::connect(server, ConnectOptions::new()).await?;
    let host = Host::start(&nats).await?;
    host.logs(&["info", "one by one", "nats-server#8376"]).await?;
    let agents = agents();

    let replies = ask_at_once(&nats, agents.iter().map(Agent::deploy_configured)).await?;

    let log = nats.stored_at_once("AGENT_EVENTS").await?;
    for (agent, reply) in agents.iter().zip(replies) {
        ensure_deployed(agent, reply, &log)?;
    }
    ensure!(batches(&log)? == MANY, "{} batches", batches(&log)?);
    Ok(())
}
