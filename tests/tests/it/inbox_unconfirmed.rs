//! A host whose acknowledgements in the durable lane are never confirmed: it says so, begins nothing
//! more of the same agent, and what it did counts once when another host takes over.

use std::time::Duration;

use anyhow::{Result, ensure};
use async_nats::ConnectOptions;
use tests::stored::ensure_history;
use tests::{Agent, Host, Nats, eventually_within};

/// Two acknowledgements are waited for, each as long as the client library waits for any answer.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// A server with a user who may do everything but acknowledge.
async fn server() -> Result<Nats> {
    let config = "authorization { users = [\n\
        { user: test, password: test }\n\
        { user: mute, password: test, permissions: { publish: { deny: \"$JS.ACK.>\" } } }\n] }\n";
    Nats::with_login(config, ConnectOptions::with_user_and_password("test".to_owned(), "test".to_owned())).await
}

#[tokio::test]
async fn the_next_command_waits_and_the_first_counts_once() -> Result<()> {
    let nats = server().await?;
    let builder = Host::builder(&nats)?.env("NATS_PASSWORD", "test");
    let mut mute = builder.clone().env("NATS_USER", "mute").start(&nats).await?;
    nats.stream_stands("AGENT_INBOX").await?;
    let (agent, other) = (Agent::new(), Agent::new());
    for message in [agent.deploy(), agent.activate(), other.deploy()] {
        nats.accept(message.durable()).await?;
    }

    eventually_within(TOLD_WITHIN, "the host says so", async || {
        let told =
            mute.log()?.lines().filter(|line| line.contains("not confirmed") && line.contains("$JS.ACK.>")).count();
        ensure!(told == 2, "{told} lines");
        Ok(())
    })
    .await?;

    // Of each agent one command is done, and all are still in the inbox.
    ensure!(nats.stored(&agent.id).await?.len() == 1 && nats.stored(&other.id).await?.len() == 1);
    ensure!(nats.stream_messages("AGENT_INBOX").await? == 3);
    // Who asks for a reply is served.
    nats.ask(other.activate()).await?.ok()?;

    mute.kill().await?;
    // The pin comes with a message that nobody has in hand.
    nats.accept(Agent::new().deploy().durable()).await?;
    let _sound = builder.env("NATS_USER", "test").start(&nats).await?;
    nats.inbox_is_empty("AGENT_INBOX").await?;
    for agent in [&agent, &other] {
        let events = nats.stored(&agent.id).await?;
        ensure!(events.len() == 2, "{events:?}");
        ensure_history(&events)?;
    }
    ensure!(nats.stream_messages("AGENT_DEAD").await? == 0, "something is parked");
    Ok(())
}
