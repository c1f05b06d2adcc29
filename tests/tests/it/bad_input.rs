//! Input that is wrong: each gets its code and a log line, and leaves state and service as they
//! were. It must not test what the domain refuses.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use tests::{Agent, Host, Message, Nats, agent};

/// The contract's limit for a command.
const COMMAND_BYTES_MAX: usize = 256 * 1024;

/// All these messages are invalid, each naming its word, and none changes anything.
async fn all_invalid(bad: impl FnOnce(&Agent) -> Vec<(Message, &'static str)>) -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::builder(&nats)?.env("LOG_LEVEL", "debug").start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    let before = nats.ask(agent.state()).await?.ok()?;

    for (message, word) in bad(&agent) {
        let shown = String::from_utf8_lossy(&message.payload[..message.payload.len().min(200)]).into_owned();
        let what = format!("{} {shown}", message.subject);
        let reply = nats.ask(message).await.with_context(|| what.clone())?;
        reply.error("invalid").and_then(|reply| reply.naming(&[word])).context(what)?;
    }

    host.logs(&["invalid"]).await?;
    let after = nats.ask(agent.state()).await?.ok()?;
    ensure!(after.body == before.body, "{} became {}", before.body, after.body);
    ensure!(nats.stored_in("AGENT_EVENTS", "agent.>").await?.len() == 1, "something was stored");
    nats.ask(agent.activate()).await?.ok()?;
    Ok(())
}

fn raw(verb: &str, payload: impl Into<Bytes>) -> Message {
    Message::to(format!("agent.commands.{verb}"), payload)
}

#[tokio::test]
async fn what_is_no_json_is_invalid() -> Result<()> {
    all_invalid(|agent| {
        vec![
            (raw("activate", "hello"), "json"),
            (raw("activate", ""), "json"),
            (raw("activate", &b"\xff\xfe\x00"[..]), "json"),
            (raw("activate", format!(r#"{{"agent_id":"{}""#, agent.id)), "json"),
            (raw("activate", format!(r#"{{"agent_id":"{}"}} trailing"#, agent.id)), "json"),
            (raw("activate", "hello").by_subject(&agent.id), "json"),
        ]
    })
    .await
}

#[tokio::test]
async fn json_that_is_no_object_is_invalid() -> Result<()> {
    all_invalid(|agent| {
        let id = agent.id.as_str();
        [json!([]), json!([id]), json!(id), json!(7), json!(null), json!(true)]
            .into_iter()
            .flat_map(|value| [raw("activate", value.to_string()), raw("activate", value.to_string()).by_subject(id)])
            .map(|message| (message, "object"))
            .collect()
    })
    .await
}

#[tokio::test]
async fn deeply_nested_json_is_invalid() -> Result<()> {
    all_invalid(|agent| {
        let deep = format!(
            r#"{{"agent_id":"{}","changes":{{"x":{}{}}}}}"#,
            agent.id,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        vec![(raw("update_configuration", deep), "")]
    })
    .await
}

#[tokio::test]
async fn an_unknown_verb_is_invalid() -> Result<()> {
    all_invalid(|agent| {
        vec![
            (agent.command("explode", &json!({})), "explode"),
            (agent.command("explode", &json!({})).by_subject(&agent.id), "explode"),
            (agent.command("Activate", &json!({})), "Activate"),
            (agent.command("activated", &json!({})), "activated"),
        ]
    })
    .await
}

#[tokio::test]
async fn a_missing_field_is_invalid() -> Result<()> {
    all_invalid(|agent| {
        let without = |field: &str| {
            let mut fields = agent::deployment();
            if let Some(fields) = fields.as_object_mut() {
                fields.remove(field);
            }
            Agent::new().command("deploy", &fields)
        };
        vec![
            (without("agent_type"), "agent_type"),
            (without("metadata"), "metadata"),
            (agent.command("suspend", &json!({})), "reason"),
            (agent.command("update_configuration", &json!({})), "changes"),
            (raw("activate", "{}"), "agent_id"),
        ]
    })
    .await
}

#[tokio::test]
async fn a_mistyped_field_is_invalid() -> Result<()> {
    all_invalid(|agent| {
        let with = |path: &str, value: Value| {
            let mut fields = agent::deployment();
            if let Some(field) = fields.pointer_mut(path) {
                *field = value;
            }
            Agent::new().command("deploy", &fields)
        };
        vec![
            (with("/agent_type", json!("Robot")), "agent_type"),
            (with("/agent_type", json!(1)), "agent_type"),
            (with("/metadata", json!("Scout")), "metadata"),
            (with("/metadata/name", json!(7)), "name"),
            (with("/metadata/name", json!("")), "name"),
            (with("/metadata/version", json!("one")), "version"),
            (with("/metadata/owner_id", json!("nobody")), "owner_id"),
            (agent.command("suspend", &json!({"reason": 7})), "reason"),
            (agent.command("update_configuration", &json!({"changes": []})), "changes"),
        ]
    })
    .await
}

#[tokio::test]
async fn an_over_long_field_is_invalid() -> Result<()> {
    all_invalid(|agent| {
        let mut fields = agent::deployment();
        fields["metadata"]["name"] = json!("x".repeat(100_000));
        vec![
            (Agent::new().command("deploy", &fields), "name"),
            (agent.command("suspend", &json!({"reason": "x".repeat(100_000)})), "reason"),
        ]
    })
    .await
}

#[tokio::test]
async fn an_id_that_is_no_lower_case_uuid_is_invalid() -> Result<()> {
    all_invalid(|agent| {
        let upper = agent.id.to_uppercase();
        let simple = agent.id.replace('-', "");
        let braced = format!("{{{}}}", agent.id);
        let bad = ["", "7", "agent", "a.b", "a*", ">", "a b", "*", "ä", "a\nb", "\u{0}", &upper, &simple, &braced];
        let mut messages: Vec<(Message, &'static str)> =
            bad.iter().map(|id| (Message::command("activate", &json!({"agent_id": id})), "agent_id")).collect();
        messages.push((Message::command("activate", &json!({"agent_id": 7})), "agent_id"));
        messages.push((Message::command("activate", &json!({"agent_id": null})), "agent_id"));
        messages.push((Message::command("activate", &json!({"agent_id": "x".repeat(10_000)})), "agent_id"));
        for id in ["agent", &upper, &simple] {
            messages.push((Message::command("activate", &json!({})).by_subject(id), ""));
        }
        messages
    })
    .await
}

#[tokio::test]
async fn a_type_that_disagrees_with_the_verb_is_invalid() -> Result<()> {
    all_invalid(|agent| {
        vec![
            (agent.command("activate", &json!({"type": "SuspendAgent"})), "type"),
            (agent.command("activate", &json!({"type": "activateagent"})), "type"),
            (agent.command("activate", &json!({"type": 7})), "type"),
        ]
    })
    .await
}

#[tokio::test]
async fn a_type_that_agrees_with_the_verb_is_fine() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    nats.ask(agent.command("activate", &json!({"type": "ActivateAgent"}))).await?.ok()?;
    Ok(())
}

/// An `activate` of exactly so many bytes.
fn padded(agent: &Agent, bytes: usize) -> Message {
    let empty = agent.command("activate", &json!({"padding": ""})).payload.len();
    agent.command("activate", &json!({"padding": "x".repeat(bytes - empty)}))
}

#[tokio::test]
async fn a_command_above_the_limit_is_invalid() -> Result<()> {
    all_invalid(|agent| {
        vec![
            (padded(agent, COMMAND_BYTES_MAX + 1), "bytes"),
            // As much as the server lets through, with some room for headers.
            (padded(agent, 1024 * 1024 - 512), "bytes"),
        ]
    })
    .await
}

#[tokio::test]
async fn a_command_at_the_limit_is_executed() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    nats.ask(padded(&agent, COMMAND_BYTES_MAX)).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn the_limit_is_a_setting() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::builder(&nats)?.env("COMMAND_BYTES_MAX", 1_000).start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    nats.ask(padded(&agent, 1_001)).await?.error("invalid")?.naming(&["1000"])?;
    nats.ask(padded(&agent, 1_000)).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn a_domain_that_nobody_serves_has_no_responders() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;

    let command = Message::to("robot.commands.activate", "{}");
    ensure!(nats.try_ask(command, tests::PATIENCE).await?.is_none(), "somebody answers");
    let query = Message::to("robot.queries.state", "{}");
    ensure!(nats.try_ask(query, tests::PATIENCE).await?.is_none(), "somebody answers");
    Ok(())
}
