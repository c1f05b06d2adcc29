//! Sites that go on without their hub, by the configurations that are shipped: each is a home of its
//! own, and the hub has it all in the end. It must not test what one server alone can show.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::sites::{GATHERED, Hub, SOURCING_MAX, Site};
use tests::stored::{Stored, ensure_history};
use tests::stream::event_stream;
use tests::{Agent, Cli, Host, PATIENCE, eventually, eventually_within};

/// A host at a site, which serves before the test goes on.
async fn host(site: &Site) -> Result<Host> {
    let domain = site.nats.domain().context("a site has a domain")?;
    let host = Host::builder(&site.nats)?.env("NATS_JS_DOMAIN", domain).spawn()?;
    host.logs(&["ready", "domains=[agent]"]).await?;
    Ok(host)
}

/// The events of an agent that the hub has gathered, once they are so many.
async fn gathered(hub: &Hub, agent: &Agent, count: usize) -> Result<Vec<Stored>> {
    eventually_within(SOURCING_MAX, "the hub has the agent's events", async || {
        let events = hub.nats.stored_in(GATHERED, &format!("agent.events.{}.>", agent.id)).await?;
        ensure!(events.len() == count, "{} of {count} events", events.len());
        Ok(events)
    })
    .await
}

async fn origins(hub: &Hub, code: i32) -> Result<Value> {
    Cli::new(&hub.nats).env("NATS_JS_DOMAIN", "hub").run(&["stream", "origins"]).await?.exit(code)?.json()
}

/// Without the lines that hold these words in them.
fn without(conf: &str, words: &[&str]) -> String {
    let kept = conf.lines().filter(|line| !words.contains(&line.trim()));
    kept.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_site_works_while_the_hub_is_away_and_its_events_reach_the_hub_with_their_origin() -> Result<()> {
    let hub = Hub::start().await?;
    let site = hub.site("site-a").await?;
    let _host = host(&site).await?;
    hub.gather().await?;
    let agent = Agent::new();
    site.nats.ask(agent.deploy()).await?.ok()?;
    gathered(&hub, &agent, 1).await?;

    hub.nats.server()?.kill()?;
    ensure!(site.nats.ask(agent.activate()).await?.ok()?.version()? == 2);
    for number in 0..10 {
        site.nats.ask(agent.set("number", number)).await?.ok()?;
    }
    ensure!(site.nats.ask(agent.state()).await?.ok()?.version()? == 12);
    hub.nats.restart_server().await?;

    let events = gathered(&hub, &agent, 12).await?;
    ensure_history(&events)?;
    for (copy, event) in events.iter().zip(site.nats.stored(&agent.id).await?) {
        ensure!(copy.header("ce-source")? == "/site-a/AGENT_EVENTS", "{copy:?}");
        ensure!(copy.id()? == event.id()? && copy.data == event.data, "{copy:?} is a copy of {event:?}");
    }
    let told = origins(&hub, 0).await?;
    ensure!(told["origins"] == json!({"/site-a/AGENT_EVENTS": 12}) && told["aggregates"] == 1, "{told}");
    Ok(())
}

#[tokio::test]
async fn two_sites_of_one_queue_group_keep_to_themselves_and_the_hub_has_both() -> Result<()> {
    let hub = Hub::start().await?;
    let sites = [hub.site("site-a").await?, hub.site("site-b").await?];
    let _hosts = [host(&sites[0]).await?, host(&sites[1]).await?];
    hub.gather().await?;

    // With one queue group over all, every other command would go astray.
    let agents: Vec<(Agent, usize)> = (0..20).map(|number| (Agent::new(), number % 2)).collect();
    for (agent, home) in &agents {
        sites[*home].nats.ask(agent.deploy()).await?.ok()?;
        ensure!(sites[*home].nats.ask(agent.activate()).await?.ok()?.version()? == 2);
    }

    for (agent, home) in &agents {
        ensure!(sites[*home].nats.stored(&agent.id).await?.len() == 2, "not at home");
        ensure!(sites[1 - *home].nats.stored(&agent.id).await?.is_empty(), "at the other site as well");
        let source = format!("/{}/AGENT_EVENTS", if *home == 0 { "site-a" } else { "site-b" });
        for event in gathered(&hub, agent, 2).await? {
            ensure!(event.header("ce-source")? == source, "{event:?}");
        }
    }
    ensure!(hub.nats.try_ask(Agent::new().deploy(), PATIENCE).await?.is_none(), "a command crossed the link");
    let told = origins(&hub, 0).await?;
    let both = json!({"/site-a/AGENT_EVENTS": 20, "/site-b/AGENT_EVENTS": 20});
    ensure!(told["origins"] == both && told["split"] == 0, "{told}");
    Ok(())
}

#[tokio::test]
async fn the_one_site_that_runs_a_domain_serves_the_hub_and_other_sites_where_that_is_let_through() -> Result<()> {
    let hub = Hub::start().await?;
    let opened = |conf: &str| Ok(without(conf, &["agent.commands.>", "agent.queries.>", "agent.inbox.>"]));
    let (home, other) = (hub.site_but("site-a", opened).await?, hub.site_but("site-b", opened).await?);
    // Streams that would capture the events as well, if these crossed.
    for (nats, name) in [(&hub.nats, "AT_HUB"), (&other.nats, "AT_OTHER")] {
        nats.create_stream(&json!({"name": name, "subjects": ["agent.events.>"], "storage": "file"})).await?;
    }
    let _host = host(&home).await?;

    let agent = Agent::new();
    for nats in [&hub.nats, &other.nats] {
        eventually("it is known who serves", async || {
            let reply = nats.try_ask(agent.state(), PATIENCE).await?;
            reply.context("nobody")?.error("not_found").map(drop)
        })
        .await?;
    }
    ensure!(hub.nats.ask(agent.deploy()).await?.ok()?.version()? == 1);
    ensure!(other.nats.ask(agent.activate()).await?.ok()?.version()? == 2);
    ensure!(home.nats.ask(agent.suspend()).await?.ok()?.version()? == 3);

    ensure!(home.nats.stored(&agent.id).await?.len() == 3);
    ensure!(hub.nats.stream_messages("AT_HUB").await? == 0, "an event crossed to the hub");
    ensure!(other.nats.stream_messages("AT_OTHER").await? == 0, "an event crossed to the other site");
    Ok(())
}

#[tokio::test]
async fn an_append_that_another_sites_stream_acknowledges_ends_the_service_of_the_domain() -> Result<()> {
    let hub = Hub::start().await?;
    let open = |conf: &str| Ok(without(conf, &["agent.events.>"]));
    let (home, other) = (hub.site_but("site-a", open).await?, hub.site_but("site-b", open).await?);
    other.nats.create_stream(&event_stream()).await?;
    let host = host(&home).await?;

    eventually("the domain is no longer served", async || {
        match home.nats.try_ask(Agent::new().deploy(), PATIENCE).await? {
            None => Ok(()),
            Some(reply) => reply.error("unavailable").map(drop),
        }
    })
    .await?;

    ensure!(other.nats.stream_messages("AGENT_EVENTS").await? >= 1, "nothing crossed, so nothing was tested");
    host.logs(&["error", "site-b", "domain=agent"]).await
}

#[tokio::test]
async fn an_agent_that_two_sites_took_commands_for_is_reported_at_the_hub() -> Result<()> {
    let hub = Hub::start().await?;
    let sites = [hub.site("site-a").await?, hub.site("site-b").await?];
    let _hosts = [host(&sites[0]).await?, host(&sites[1]).await?];
    hub.gather().await?;
    let (split, sound) = (Agent::new(), Agent::new());
    // The same command even: no link's configuration can prevent that.
    for site in &sites {
        site.nats.ask(split.deploy().msg_id("same")).await?.ok()?;
    }
    sites[0].nats.ask(sound.deploy()).await?.ok()?;
    gathered(&hub, &split, 2).await?;
    gathered(&hub, &sound, 1).await?;

    let told = origins(&hub, 5).await?;

    ensure!(told["split"] == 1 && told["moved"] == 0 && told["events"] == 3, "{told}");
    let listed = &told["listed"][0];
    ensure!(told["listed"].as_array().is_some_and(|all| all.len() == 1) && listed["id"] == split.id, "{told}");
    let of: Vec<_> = listed["origins"].as_array().context("origins")?.iter().map(|one| one["origin"].clone()).collect();
    ensure!(
        of.contains(&json!("/site-a/AGENT_EVENTS")) && of.contains(&json!("/site-b/AGENT_EVENTS")),
        "both are named: {told}"
    );
    Ok(())
}
