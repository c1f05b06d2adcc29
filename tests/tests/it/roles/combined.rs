//! The roles where the stream captures commands as well: the host at its work, and clients in an account
//! outside. It must not test what layouts are for.

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use serde_json::json;
use tests::roles::{CLIENT, DURABLE_CLIENT, FORMS, Roles};
use tests::stored::ensure_history;
use tests::{Agent, PATIENCE, Reply};

#[tokio::test]
async fn a_host_does_its_work_where_the_stream_captures_commands() -> Result<()> {
    for form in FORMS {
        let (roles, nats) = Roles::start(form).await?;
        let mut host = roles.host(&nats)?.env("STREAM_LAYOUT", "combined").start(&nats).await?;
        let (alice, agent) = (roles.cli(&nats, CLIENT), Agent::new());
        let deploy = agent.deploy_configured();
        let sent = String::from_utf8(deploy.payload.to_vec())?;
        alice.run(&["send", "agent", "deploy", &sent]).await?.exit(0)?;
        alice.run(&["send", "agent", "activate", "--id", &agent.id, "{}"]).await?.exit(0)?;
        alice.run(&["send", "agent", "activate", "--id", &agent.id, "{}"]).await?.exit(3)?;
        alice.run(&["state", "agent", &agent.id]).await?.exit(0)?;
        ensure!(host.terminate().await? == 0);

        let config = nats.stream_config("AGENT_EVENTS").await?;
        ensure!(config["subjects"] == json!(["agent.commands.>", "agent.events.>"]), "{config}");
        let events = nats.stored(&agent.id).await?;
        ensure!(events.len() == 3, "{events:?}");
        ensure_history(&events)?;
        super::was_refused_nothing(&host)?;
    }
    Ok(())
}

/// The files as docs/permissions.md has them changed, so that commands come from the account of carol too.
fn commands_from_outside() -> Vec<(String, String)> {
    let added = |text: &str, more: &str| (text.to_owned(), format!("{text},\n    {more}"));
    vec![
        added(
            r#"{"service": "agent.inbox.>", "accounts": ["AGENT_DURABLE"]}"#,
            r#"{"service": "agent.commands.>", "response_type": "stream", "accounts": ["AGENT_DURABLE"]}"#,
        ),
        added(
            r#"{"service": {"account": "AGENT", "subject": "agent.inbox.>"}}"#,
            r#"{"service": {"account": "AGENT", "subject": "agent.commands.>"}}"#,
        ),
        added("\"_INBOX.>\"", "\"_R_.>\""),
        ("      \"agent.inbox.>\"\n".to_owned(), "      \"agent.inbox.>\",\n      \"agent.commands.>\"\n".to_owned()),
    ]
}

#[tokio::test]
async fn a_client_outside_has_its_reply_and_its_acknowledgement_is_no_event() -> Result<()> {
    for form in FORMS {
        let (roles, nats) = Roles::start_with(form, &commands_from_outside()).await?;
        let host = roles.host(&nats)?.env("STREAM_LAYOUT", "combined").start(&nats).await?;
        let (carol, victim) = (roles.connect(&nats, DURABLE_CLIENT).await?, Agent::new());
        let inbox = carol.client().new_inbox();
        let mut answers = carol.subscribe(&inbox).await?;
        carol.send_with_reply(victim.deploy(), &inbox).await?;
        loop {
            let answer = tokio::time::timeout(PATIENCE, answers.next()).await.context("no reply")?.context("no end")?;
            if answer.headers.as_ref().is_some_and(|headers| headers.get("Agent-Status").is_some()) {
                Reply::parse(answer)?.ok()?;
                break;
            }
        }

        let aim = format!("agent.events.{}.activated", victim.id);
        carol.send_with_reply(Agent::new().deploy(), &aim).await?;
        let other = Agent::new();
        carol.send_with_reply(other.deploy(), &inbox).await?;
        tests::eventually("what was sent after it is stored", async || {
            ensure!(nats.stored(&other.id).await?.len() == 1, "not yet");
            Ok(())
        })
        .await?;
        ensure!(nats.stored(&victim.id).await?.len() == 1, "the acknowledgement is an event");
        super::was_refused_nothing(&host)?;
    }
    Ok(())
}
