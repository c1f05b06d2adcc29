//! What each role may not: the server refuses it, whoever asks. It must not test by which subjects
//! answers come.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::roles::{
    AGENT_CLIENT, CLIENT, DURABLE_CLIENT, FORMS, Form, HOST, ONE_AGENT, OPERATOR, PUBLISHER, READER, Role, Roles,
};
use tests::{Agent, Nats, User, eventually};

const OTHER: &str = "0190a5d2-7c1e-7b8a-9f00-000000000000";

/// What only hosts and operators do.
const OF_THE_SERVICE: [&str; 16] = [
    "agent.events.0190a5d2-7c1e-7b8a-9f00-1234567890ab.activated",
    "agent.dead.0190a5d2-7c1e-7b8a-9f00-1234567890ab.deploy",
    "$KV.AGENT_SNAPSHOTS.0190a5d2-7c1e-7b8a-9f00-1234567890ab",
    "$KV.AGENT_SERVICE_WANTED.agent",
    "agent-service.control.activate",
    "agent-service.control.list",
    "agent-service.events.agent.live",
    "$JS.API.STREAM.DELETE.AGENT_EVENTS",
    "$JS.API.STREAM.PURGE.AGENT_EVENTS",
    "$JS.API.STREAM.UPDATE.AGENT_EVENTS",
    "$JS.API.STREAM.MSG.DELETE.AGENT_EVENTS",
    "$JS.API.STREAM.MSG.GET.AGENT_EVENTS",
    "$JS.API.DIRECT.GET.AGENT_EVENTS",
    "$JS.API.CONSUMER.CREATE.AGENT_EVENTS.spy",
    "$JS.API.STREAM.SNAPSHOT.AGENT_EVENTS",
    "_INBOX.host.x",
];

/// What nobody outside hears.
const NOBODYS: [&str; 6] =
    [">", "_INBOX.>", "_INBOX.host.>", "agent.commands.>", "$KV.AGENT_SNAPSHOTS.>", "agent-service.events.>"];

async fn with_host(form: Form) -> Result<(Roles, Nats, tests::Host)> {
    let (roles, nats) = Roles::start(form).await?;
    let host = roles.host(&nats)?.start(&nats).await?;
    Ok((roles, nats, host))
}

/// Somebody of whom all of this is true.
async fn outsider(roles: &Roles, nats: &Nats, role: Role) -> Result<User> {
    let user = roles.connect(nats, role).await?;
    user.may_not_publish_to(&OF_THE_SERVICE).await?;
    user.may_not_subscribe_to(&NOBODYS).await?;
    Ok(user)
}

#[tokio::test]
async fn a_client_commands_and_asks_and_that_is_all() -> Result<()> {
    for form in FORMS {
        let (roles, nats, _host) = with_host(form).await?;
        let alice = outsider(&roles, &nats, CLIENT).await?;
        alice.may_not_publish_to(&["agent.inbox.deploy", "$O.AGENT_SERVICE_PLUGINS.C.x", "$SRV.PING"]).await?;
        alice.may_not_subscribe_to(&["agent.events.>", "_INBOX.client.>", "_INBOX.client.bob.>"]).await?;
        ensure!(nats.stream_messages("AGENT_EVENTS").await? == 0, "something was stored");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_of_one_agent_reaches_no_other() -> Result<()> {
    for form in FORMS {
        let (roles, nats, _host) = with_host(form).await?;
        let other = Agent { id: OTHER.to_owned() };
        roles.connect(&nats, CLIENT).await?.ask(other.deploy()).await?.ok()?;
        let bob = outsider(&roles, &nats, AGENT_CLIENT).await?;
        bob.may_not_publish_to(&[
            &format!("agent.commands.{OTHER}.decommission"),
            &format!("agent.queries.{OTHER}.state"),
            &format!("agent.queries.{OTHER}.history"),
            // The id would be in the payload, where no permission sees it.
            "agent.commands.decommission",
            "agent.queries.state",
            &format!("agent.inbox.{ONE_AGENT}.deploy"),
        ])
        .await?;
        bob.may_not_subscribe_to(&["agent.events.>", "_INBOX.client.alice.>"]).await?;

        bob.ask(other.decommission().by_subject(ONE_AGENT)).await?.error("invalid")?;
        bob.ask(other.state().by_subject(ONE_AGENT)).await?.error("invalid")?;
        ensure!(nats.stored(OTHER).await?.len() == 1, "the other agent was changed");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_of_the_durable_lane_has_nothing_but_that() -> Result<()> {
    for form in FORMS {
        let (roles, nats, _host) = with_host(form).await?;
        let carol = outsider(&roles, &nats, DURABLE_CLIENT).await?;
        carol
            .may_not_publish_to(&["agent.commands.deploy", "agent.queries.state", "$JS.API.STREAM.PURGE.AGENT_INBOX"])
            .await?;
        carol.may_not_subscribe_to(&["agent.events.>", "agent.inbox.>", "_INBOX.durable.>"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_reader_changes_nothing() -> Result<()> {
    for form in FORMS {
        let (roles, nats, _host) = with_host(form).await?;
        let dave = outsider(&roles, &nats, READER).await?;
        dave.may_not_publish_to(&[
            "agent.commands.deploy",
            "agent.queries.state",
            "agent.inbox.deploy",
            "$JS.agent.API.CONSUMER.MSG.NEXT.AGENT_EVENTS.other",
            "$JS.agent.API.CONSUMER.DELETE.AGENT_EVENTS.audit",
            "$JS.agent.API.CONSUMER.CREATE.AGENT_EVENTS.audit",
            "$JS.agent.API.STREAM.DELETE.AGENT_EVENTS",
            "$JS.ACK.AGENT_EVENTS.other.1.1.1.1.1",
        ])
        .await?;
        dave.may_not_subscribe_to(&["_INBOX.reader.>", "agent.dead.>"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_publisher_of_plugins_has_none_run_and_commands_nobody() -> Result<()> {
    for form in FORMS {
        let (roles, nats, _host) = with_host(form).await?;
        let erin = outsider(&roles, &nats, PUBLISHER).await?;
        erin.may_not_publish_to(&[
            "agent.commands.deploy",
            "agent.queries.state",
            "agent.inbox.deploy",
            "$JS.agent.API.STREAM.DELETE.OBJ_AGENT_SERVICE_PLUGINS",
            "$JS.agent.API.STREAM.PURGE.OBJ_AGENT_SERVICE_PLUGINS",
            "$JS.agent.API.CONSUMER.CREATE.OBJ_AGENT_SERVICE_PLUGINS.x",
            "$JS.agent.API.STREAM.MSG.GET.KV_AGENT_SERVICE_WANTED",
        ])
        .await?;
        erin.may_not_subscribe_to(&["agent.events.>", "_INBOX.publisher.>"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_host_neither_commands_nor_removes_what_it_keeps() -> Result<()> {
    for form in FORMS {
        let (roles, nats) = Roles::start(form).await?;
        let host = roles.connect(&nats, HOST).await?;
        let mut refused: Vec<String> = Vec::new();
        for stream in ["AGENT_EVENTS", "KV_AGENT_SNAPSHOTS", "AGENT_INBOX", "AGENT_DEAD", "OBJ_AGENT_SERVICE_PLUGINS"] {
            refused.extend(
                ["DELETE", "UPDATE", "RESTORE", "SNAPSHOT"].map(|what| format!("$JS.API.STREAM.{what}.{stream}")),
            );
        }
        let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
        host.may_not_publish_to(&refused).await?;
        host.may_not_publish_to(&[
            "$JS.API.STREAM.PURGE.AGENT_EVENTS",
            "$JS.API.STREAM.MSG.DELETE.AGENT_EVENTS",
            "$JS.API.STREAM.CREATE.OTHER",
            "$JS.API.STREAM.LIST",
            "$JS.API.STREAM.PURGE.OBJ_AGENT_SERVICE_PLUGINS",
            "$O.AGENT_SERVICE_PLUGINS.M.x",
            "agent.commands.deploy",
            "agent.inbox.deploy",
            "orders.events.a.placed",
        ])
        .await?;
        host.may_not_subscribe_to(&[">", "agent.events.>", "_INBOX.>", "_INBOX.client.alice.>", "_INBOX.operator.>"])
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_operator_writes_no_history_and_commands_nobody() -> Result<()> {
    for form in FORMS {
        let (roles, nats) = Roles::start(form).await?;
        let olga = roles.connect(&nats, OPERATOR).await?;
        olga.may_not_publish_to(&[
            "agent.events.a.activated",
            "agent.commands.deploy",
            "agent.dead.a.deploy",
            "$KV.AGENT_SNAPSHOTS.a",
            "_INBOX.client.alice.x",
        ])
        .await?;
        olga.may_not_subscribe_to(&[">", "agent.commands.>", "_INBOX.>", "_INBOX.client.alice.>"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_account_outside_reaches_no_more_than_it_imports_whatever_its_users_may() -> Result<()> {
    let unbound = |file: &str| (format!("permissions {{ include ./{file}.json }}"), String::new());
    let (roles, nats) = Roles::start_with(Form::Users, &["durable-client", "reader", "publisher"].map(unbound)).await?;
    let _host = roles.host(&nats)?.start(&nats).await?;
    for role in [DURABLE_CLIENT, READER, PUBLISHER] {
        let user = roles.connect(&nats, role).await?;
        for subject in [
            "agent.commands.deploy",
            "agent.queries.state",
            "$JS.API.STREAM.DELETE.AGENT_EVENTS",
            "agent-service.control.list",
        ] {
            match user.call(subject, &json!({})).await {
                // The server's own word to an account without JetStream.
                Ok(answer) => ensure!(answer["error"]["err_code"] == 10_039, "{role:?}, {subject}: {answer}"),
                Err(error) => ensure!(format!("{error:#}").contains("no responders"), "{subject}: {error:#}"),
            }
        }
    }
    eventually("the stream stands", async || nats.stream_messages("AGENT_EVENTS").await.map(drop)).await
}
