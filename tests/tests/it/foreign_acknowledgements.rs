//! A domain has one home: an append that another stream acknowledges too, beyond a leaf node,
//! ends the service of that domain. It must not test leaf nodes that are set up as they should be.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::open_link::hub_and_leaf;
use tests::{Agent, Host, Nats, PATIENCE, eventually, http};

/// A hub that captures the events of its leaf, and the leaf.
async fn hub_that_captures() -> Result<(Nats, Nats)> {
    let (hub, leaf) = hub_and_leaf().await?;
    hub.create_stream(&json!({"name": "COPY_AT_HUB", "subjects": ["agent.events.>"], "storage": "file"})).await?;
    eventually("the leaf knows what the hub wants", async || {
        let reply = leaf.jetstream_api_of("hub", "STREAM.INFO.COPY_AT_HUB", &json!({})).await?;
        ensure!(reply["config"]["name"] == "COPY_AT_HUB", "{reply}");
        Ok(())
    })
    .await?;
    Ok((hub, leaf))
}

#[tokio::test]
async fn an_append_that_a_second_stream_acknowledges_ends_the_service_of_the_domain() -> Result<()> {
    let (hub, leaf) = hub_that_captures().await?;
    let builder = Host::builder(&leaf)?.env("NATS_JS_DOMAIN", "leaf").env("HTTP_ADDR", "127.0.0.1:0");
    let host = builder.start(&leaf).await?;

    eventually("the domain is no longer served", async || {
        let reply = leaf.try_ask(Agent::new().deploy(), PATIENCE).await?;
        match reply {
            None => Ok(()),
            Some(reply) => reply.error("unavailable").map(|_| ()),
        }
    })
    .await?;

    ensure!(hub.stream_messages("COPY_AT_HUB").await? >= 1, "the hub has stored nothing, so nothing was tested");
    host.logs(&["error", "COPY_AT_HUB"]).await?;
    let page = http::get(&host.http_address().await?, "/readyz").await?;
    let parts = page.json()?["parts"].as_array().cloned().unwrap_or_default();
    let home = parts.iter().find(|part| part["part"] == "home").context("no such part")?;
    ensure!(page.status == 503 && home["ok"] == false, "{page:?}");
    ensure!(home["why"].as_str().is_some_and(|why| why.contains("COPY_AT_HUB")), "{home}");
    Ok(())
}
