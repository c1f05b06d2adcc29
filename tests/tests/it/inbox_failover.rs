//! The durable lane over several hosts: one executes at a time, and whatever happens to it, every
//! command counts once and in the order of its agent. It must not test what fails for good.

use anyhow::{Result, ensure};
use tests::servers::CLUSTER_PATIENCE;
use tests::stored::ensure_history;
use tests::{Agent, Host, Nats, Servers, eventually, eventually_within};

const COMMANDS: usize = 300;

async fn deployed(nats: &Nats, count: usize) -> Result<Vec<Agent>> {
    let agents: Vec<Agent> = (0..count).map(|_| Agent::new()).collect();
    for agent in &agents {
        nats.ask(agent.deploy()).await?.ok()?;
    }
    Ok(agents)
}

/// Publishes numbered commands to all agents in turn.
async fn publish(nats: &Nats, agents: &[Agent]) -> Result<()> {
    for number in 0..COMMANDS {
        for agent in agents {
            let command = agent.set("number", number).durable().msg_id(&format!("{}-{number}", agent.id));
            eventually("a command is accepted", async || nats.accept(command.clone()).await).await?;
        }
    }
    Ok(())
}

/// Every command has one event, in the order they were published in.
async fn ensure_once_and_in_order(nats: &Nats, agents: &[Agent]) -> Result<()> {
    for agent in agents {
        let events = nats.stored(&agent.id).await?;
        ensure_history(&events)?;
        let causes: Vec<String> =
            events[1..].iter().map(|e| Ok(e.header("ce-causationid")?.to_owned())).collect::<Result<_>>()?;
        let expected: Vec<String> = (0..COMMANDS).map(|number| format!("{}-{number}", agent.id)).collect();
        ensure!(causes == expected, "{causes:?}");
    }
    Ok(())
}

async fn under_way(nats: &Nats) -> Result<()> {
    eventually("the lane is under way", async || {
        ensure!(nats.stream_messages("AGENT_EVENTS").await? > 150, "not yet");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_host_killed_in_the_midst_hands_over_without_loss_double_or_disorder() -> Result<()> {
    let nats = Nats::start().await?;
    let mut one = Host::start(&nats).await?;
    let agents = deployed(&nats, 4).await?;
    nats.accept(Agent::new().deploy().durable()).await?;
    one.logs(&["executes the durable lane"]).await?;
    let _other = Host::start(&nats).await?;

    let kill = async {
        under_way(&nats).await?;
        one.kill().await
    };
    let (published, killed) = tokio::join!(publish(&nats, &agents), kill);
    published?;
    killed?;

    nats.inbox_is_empty("AGENT_INBOX").await?;
    ensure_once_and_in_order(&nats, &agents).await?;
    ensure!(nats.stream_messages("AGENT_DEAD").await? == 0);
    Ok(())
}

#[tokio::test]
async fn a_host_that_stands_still_and_comes_back_does_not_disturb_the_order() -> Result<()> {
    let nats = Nats::start().await?;
    let one = Host::start(&nats).await?;
    let agents = deployed(&nats, 4).await?;
    nats.accept(Agent::new().deploy().durable()).await?;
    one.logs(&["executes the durable lane"]).await?;
    let other = Host::start(&nats).await?;

    let pause = async {
        under_way(&nats).await?;
        one.signal("STOP").await?;
        other.logs(&["executes the durable lane"]).await?;
        one.signal("CONT").await
    };
    let (published, paused) = tokio::join!(publish(&nats, &agents), pause);
    published?;
    paused?;

    nats.inbox_is_empty("AGENT_INBOX").await?;
    ensure_once_and_in_order(&nats, &agents).await
}

#[tokio::test]
async fn a_host_that_stops_hands_over_at_once() -> Result<()> {
    let nats = Nats::start().await?;
    let mut one = Host::start(&nats).await?;
    let agents = deployed(&nats, 2).await?;
    nats.accept(Agent::new().deploy().durable()).await?;
    one.logs(&["executes the durable lane"]).await?;
    let _other = Host::start(&nats).await?;

    let stop = async {
        under_way(&nats).await?;
        one.terminate().await
    };
    let (published, stopped) = tokio::join!(publish(&nats, &agents), stop);
    published?;
    ensure!(stopped? == 0);

    nats.inbox_is_empty("AGENT_INBOX").await?;
    ensure_once_and_in_order(&nats, &agents).await
}

#[tokio::test]
async fn a_server_that_comes_back_goes_on_with_the_lane() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::start(&nats).await?;
    let agents = deployed(&nats, 1).await?;
    nats.accept(Agent::new().deploy().durable()).await?;
    host.logs(&["executes the durable lane"]).await?;

    nats.restart_server().await?;
    publish(&nats, &agents).await?;

    nats.inbox_is_empty("AGENT_INBOX").await?;
    ensure_once_and_in_order(&nats, &agents).await
}

#[tokio::test]
async fn a_cluster_that_loses_the_leader_of_the_lane_goes_on_with_it() -> Result<()> {
    let servers = Servers::three().await?;
    let nats = &servers.nats;
    let host = Host::builder_for(&servers.urls()?.join(","))?.env("STREAM_REPLICAS", 3).start(nats).await?;
    let agents = deployed(nats, 2).await?;
    nats.stream_stands("AGENT_INBOX").await?;
    nats.accept(Agent::new().deploy().durable()).await?;
    host.logs(&["executes the durable lane"]).await?;
    ensure!(nats.stream_config("AGENT_INBOX").await?["num_replicas"] == 3);

    let lose = async {
        under_way(nats).await?;
        let leader = servers.leader("AGENT_INBOX").await?;
        servers.server(leader, |server| server.kill())?;
        eventually_within(CLUSTER_PATIENCE, "another one leads", async || {
            ensure!(servers.leader("AGENT_INBOX").await? != leader, "not yet");
            Ok(())
        })
        .await?;
        servers.server(leader, |server| server.restart())
    };
    let (published, lost) = tokio::join!(publish(nats, &agents), lose);
    published?;
    lost?;

    eventually_within(CLUSTER_PATIENCE, "the lane is empty", async || nats.inbox_is_empty("AGENT_INBOX").await).await?;
    ensure_once_and_in_order(nats, &agents).await?;
    ensure!(nats.stream_messages("AGENT_DEAD").await? == 0);
    Ok(())
}
