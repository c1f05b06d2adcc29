//! No stale answers: a host whose copy of an aggregate is behind neither shows nor refuses nor
//! conflicts from it. Both hosts are in one queue group; permissions of the server decide which
//! of them gets what, so that a test can address one: the one named `subject` gets what has the
//! id in the subject, the one named `payload` the rest.

use anyhow::{Result, ensure};
use async_nats::ConnectOptions;
use tests::stored::ensure_history;
use tests::{Agent, Host, Nats};

const VERBS: [&str; 5] = ["deploy", "activate", "suspend", "decommission", "update_configuration"];
const QUERIES: [&str; 2] = ["state", "history"];

fn denied(id: &str) -> String {
    let commands = VERBS.iter().map(|verb| format!("\"agent.commands.{id}{verb}\""));
    let queries = QUERIES.iter().map(|query| format!("\"agent.queries.{id}{query}\""));
    commands.chain(queries).collect::<Vec<_>>().join(", ")
}

struct TwoHosts {
    _by_subject: Host,
    _by_payload: Host,
    nats: Nats,
}

impl TwoHosts {
    async fn start() -> Result<Self> {
        let config = format!(
            "authorization {{ users = [\n\
             {{ user: test, password: test }}\n\
             {{ user: subject, password: pass, permissions: {{ subscribe: {{ deny: [{}] }} }} }}\n\
             {{ user: payload, password: pass, permissions: {{ subscribe: {{ deny: [{}] }} }} }}\n] }}\n",
            denied(""),
            denied("*.")
        );
        let login = ConnectOptions::with_user_and_password("test".to_owned(), "test".to_owned());
        let nats = Nats::with_login(&config, login).await?;
        let host = Host::builder(&nats)?.env("NATS_PASSWORD", "pass");
        let by_subject = host.clone().env("NATS_USER", "subject").start(&nats).await?;
        let by_payload = host.env("NATS_USER", "payload").start(&nats).await?;
        Ok(Self { _by_subject: by_subject, _by_payload: by_payload, nats })
    }

    /// An agent that the first host keeps as deployed, while the second has activated it.
    async fn agent_stale_at_first(&self) -> Result<Agent> {
        let agent = Agent::new();
        self.nats.ask(agent.deploy().by_subject(&agent.id)).await?.ok()?;
        self.nats.ask(agent.activate()).await?.ok()?;
        Ok(agent)
    }
}

#[tokio::test]
async fn a_stale_host_shows_the_newest_state() -> Result<()> {
    let hosts = TwoHosts::start().await?;
    let agent = hosts.agent_stale_at_first().await?;

    let reply = hosts.nats.ask(agent.state().by_subject(&agent.id)).await?.ok()?;

    ensure!(reply.version()? == 2 && reply.state()["status"] == "Active", "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_stale_host_shows_the_newest_version_asked_for() -> Result<()> {
    let hosts = TwoHosts::start().await?;
    let agent = hosts.agent_stale_at_first().await?;

    let reply = hosts.nats.ask(agent.state_at(2).by_subject(&agent.id)).await?.ok()?;

    ensure!(reply.state()["status"] == "Active", "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_stale_host_shows_the_whole_history() -> Result<()> {
    let hosts = TwoHosts::start().await?;
    let agent = hosts.agent_stale_at_first().await?;

    let reply = hosts.nats.ask(agent.history(0, 10).by_subject(&agent.id)).await?.ok()?;

    ensure!(reply.events()?.len() == 2, "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_stale_host_does_not_refuse_what_is_allowed_by_now() -> Result<()> {
    let hosts = TwoHosts::start().await?;
    let agent = hosts.agent_stale_at_first().await?;

    // In the first host's copy the agent is not active yet, and could not be suspended.
    let reply = hosts.nats.ask(agent.suspend().by_subject(&agent.id)).await?.ok()?;

    ensure!(reply.version()? == 3, "{}", reply.body);
    ensure_history(&hosts.nats.stored(&agent.id).await?)
}

#[tokio::test]
async fn a_stale_host_does_not_allow_what_is_refused_by_now() -> Result<()> {
    let hosts = TwoHosts::start().await?;
    let agent = hosts.agent_stale_at_first().await?;

    let reply = hosts.nats.ask(agent.activate().by_subject(&agent.id)).await?.rejected("invalid_transition")?;

    ensure!(reply.version()? == 2, "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_stale_hosts_rejection_speaks_of_the_newest_version() -> Result<()> {
    let hosts = TwoHosts::start().await?;
    let agent = hosts.agent_stale_at_first().await?;

    // Refused in the old state as in the new.
    let reply = hosts.nats.ask(agent.deploy().by_subject(&agent.id)).await?.rejected("already_deployed")?;

    ensure!(reply.version()? == 2, "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_stale_host_judges_the_expected_version_by_the_newest() -> Result<()> {
    let hosts = TwoHosts::start().await?;
    let agent = hosts.agent_stale_at_first().await?;

    let old = agent.set("key", 1).by_subject(&agent.id).expected_version("1");
    ensure!(hosts.nats.ask(old).await?.error("conflict")?.version()? == 2);
    let agent = hosts.agent_stale_at_first().await?;
    let new = agent.set("key", 1).by_subject(&agent.id).expected_version("2");
    ensure!(hosts.nats.ask(new).await?.ok()?.version()? == 3);
    Ok(())
}

#[tokio::test]
async fn a_host_that_knows_an_agent_as_missing_finds_it_when_another_deployed_it() -> Result<()> {
    let hosts = TwoHosts::start().await?;
    let agent = Agent::new();
    hosts.nats.ask(agent.state().by_subject(&agent.id)).await?.error("not_found")?;
    hosts.nats.ask(agent.activate().by_subject(&agent.id)).await?.rejected("agent_not_found")?;
    hosts.nats.ask(agent.deploy()).await?.ok()?;

    ensure!(hosts.nats.ask(agent.state().by_subject(&agent.id)).await?.ok()?.version()? == 1);
    ensure!(hosts.nats.ask(agent.activate().by_subject(&agent.id)).await?.ok()?.version()? == 2);
    Ok(())
}

#[tokio::test]
async fn a_command_that_another_host_has_executed_is_a_duplicate() -> Result<()> {
    let hosts = TwoHosts::start().await?;
    let agent = Agent::new();
    hosts.nats.ask(agent.deploy().by_subject(&agent.id)).await?.ok()?;
    let command = agent.set("key", 1).msg_id("once");
    let first = hosts.nats.ask(command.clone()).await?.ok()?;
    hosts.nats.ask(agent.set("key", 2)).await?.ok()?;

    let again = hosts.nats.ask(command.by_subject(&agent.id)).await?.ok()?;

    ensure!(again.duplicate()? && again.version()? == first.version()?, "{}", again.body);
    ensure!(events_of(&hosts.nats, &agent).await? == 3);
    Ok(())
}

#[tokio::test]
async fn the_same_command_at_both_hosts_at_once_counts_once() -> Result<()> {
    let hosts = TwoHosts::start().await?;
    for _ in 0..10 {
        let agent = Agent::new();
        for command in [agent.deploy_configured(), agent.activate(), agent.set("key", 1)] {
            let command = command.msg_id(&uuid::Uuid::now_v7().to_string());
            let first = hosts.nats.ask(command.clone().by_subject(&agent.id));
            let (first, second) = tokio::try_join!(first, hosts.nats.ask(command))?;
            let (first, second) = (first.ok()?, second.ok()?);
            ensure!(first.duplicate()? != second.duplicate()?, "{} {}", first.body, second.body);
            ensure!(first.body["events"] == second.body["events"], "{} {}", first.body, second.body);
        }
        let events = hosts.nats.stored(&agent.id).await?;
        ensure_history(&events)?;
        ensure!(events.len() == 4, "{events:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stale_host_writes_after_the_others_last_event() -> Result<()> {
    let hosts = TwoHosts::start().await?;
    let agent = hosts.agent_stale_at_first().await?;

    for round in 0..5 {
        let first = hosts.nats.ask(agent.set("key", 2 * round).by_subject(&agent.id)).await?.ok()?;
        let second = hosts.nats.ask(agent.set("key", 2 * round + 1)).await?.ok()?;
        ensure!(first.version()? == 3 + 2 * round && second.version()? == 4 + 2 * round, "{}", second.body);
    }
    ensure_history(&hosts.nats.stored(&agent.id).await?)
}

#[tokio::test]
async fn a_stale_host_writes_several_events_after_the_others_last() -> Result<()> {
    let hosts = TwoHosts::start().await?;
    let agent = Agent::new();
    hosts.nats.ask(agent.state().by_subject(&agent.id)).await?.error("not_found")?;
    hosts.nats.ask(agent.deploy()).await?.ok()?;

    // The first host takes it for new, and would store two events.
    hosts.nats.ask(agent.deploy_configured().by_subject(&agent.id)).await?.rejected("already_deployed")?;

    ensure!(events_of(&hosts.nats, &agent).await? == 1);
    Ok(())
}

async fn events_of(nats: &Nats, agent: &Agent) -> Result<usize> {
    Ok(nats.stored(&agent.id).await?.len())
}
