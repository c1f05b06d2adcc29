//! The query `history`: an aggregate's events, page by page. It must not test the events' headers.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Agent, Host, Message, Nats};

async fn agent_with_events(nats: &Nats, events: u64) -> Result<Agent> {
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    for number in 1..events {
        nats.ask(agent.set("number", number)).await?.ok()?;
    }
    Ok(agent)
}

/// All pages, each as its events, following `next`.
async fn pages(nats: &Nats, agent: &Agent, limit: u64) -> Result<Vec<Vec<Value>>> {
    let mut pages = Vec::new();
    let mut after = 0;
    loop {
        let reply = nats.ask(agent.history(after, limit)).await?.ok()?;
        pages.push(reply.events()?.clone());
        match &reply.body["next"] {
            Value::Null => return Ok(pages),
            next => {
                let next = next.as_u64().context("next is a version")?;
                ensure!(next > after, "pages go backwards: {next} after {after}");
                after = next;
            }
        }
    }
}

#[tokio::test]
async fn events_are_shown_as_they_are_stored() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = agent_with_events(&nats, 3).await?;

    let reply = nats.ask(Message::query("history", &json!({"id": agent.id}))).await?.ok()?;

    let mut expected = Vec::new();
    for (event, token) in
        nats.stored(&agent.id).await?.iter().zip(["deployed"].iter().chain(["configuration_changed"; 2].iter()))
    {
        expected.push(json!({
            "type": token, "version": event.version()?, "sequence": event.sequence,
            "time": event.header("ce-time")?, "data": event.data,
        }));
    }
    let expected = json!({"status": "ok", "id": agent.id, "events": expected, "next": null});
    ensure!(reply.body == expected, "{}\nis not\n{expected}", reply.body);
    Ok(())
}

#[tokio::test]
async fn pages_follow_one_another_to_the_end() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = agent_with_events(&nats, 10).await?;

    let pages = pages(&nats, &agent, 4).await?;

    let sizes: Vec<usize> = pages.iter().map(Vec::len).filter(|size| *size > 0).collect();
    ensure!(sizes == [4, 4, 2], "{sizes:?}");
    let versions: Vec<&Value> = pages.iter().flatten().map(|event| &event["version"]).collect();
    ensure!(versions == (1..=10).map(|version| json!(version)).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn next_is_the_last_version_of_the_page() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = agent_with_events(&nats, 5).await?;

    let reply = nats.ask(agent.history(1, 2)).await?.ok()?;

    ensure!(reply.events()?[0]["version"] == 2 && reply.body["next"] == 3, "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn after_the_last_version_there_is_nothing_more() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = agent_with_events(&nats, 2).await?;

    let reply = nats.ask(agent.history(2, 10)).await?.ok()?;

    ensure!(reply.events()?.is_empty() && reply.body["next"].is_null(), "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_limit_of_a_thousand_is_the_most() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = agent_with_events(&nats, 2).await?;

    nats.ask(agent.history(0, 1_000)).await?.ok()?;
    nats.ask(agent.history(0, 1_001)).await?.error("invalid")?.naming(&["limit"])?;
    Ok(())
}

#[tokio::test]
async fn without_a_limit_a_page_has_a_hundred_events() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = agent_with_events(&nats, 103).await?;

    let reply = nats.ask(Message::query("history", &json!({"id": agent.id}))).await?.ok()?;

    ensure!(reply.events()?.len() == 100 && reply.body["next"] == 100, "{}", reply.body["next"]);
    Ok(())
}

#[tokio::test]
async fn a_mistyped_field_is_invalid() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = agent_with_events(&nats, 1).await?;

    for (field, value) in [("after", json!("x")), ("after", json!(-1)), ("limit", json!("x")), ("limit", json!(-1))] {
        let query = Message::query("history", &json!({"id": agent.id, field: value}));
        nats.ask(query).await?.error("invalid")?.naming(&[field])?;
    }
    Ok(())
}

#[tokio::test]
async fn a_page_ends_early_where_the_servers_largest_message_would_be_passed() -> Result<()> {
    let nats = Nats::with_config("max_payload: 65536").await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    for number in 0..12 {
        nats.ask(agent.set("text", format!("{number:0>15000}"))).await?.ok()?;
    }

    let pages = pages(&nats, &agent, 1_000).await?;

    ensure!(pages.len() > 2, "{} pages", pages.len());
    let versions: Vec<u64> = pages.iter().flatten().filter_map(|event| event["version"].as_u64()).collect();
    ensure!(versions == (1..=13).collect::<Vec<_>>(), "{versions:?}");
    Ok(())
}
