//! The NATS configurations that are shipped, each by a server of its own with the host at work against
//! it. It must not test what crosses a leaf link; `leaf_nodes` does.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use async_nats::ConnectOptions;
use nkeys::KeyPair;
use serde_json::json;
use tempfile::TempDir;
use tests::deployment::shipped;
use tests::secured::Secured;
use tests::sites::{GATHERED, fit};
use tests::stored::ensure_history;
use tests::{Agent, Message, Nats, PATIENCE, User, eventually, eventually_within};
use xtask::nats_server::{NatsServer, free_port};

/// How long a cluster that lost a server may take to choose leaders anew, and a hub to ask its sites.
const REPAIR_MAX: Duration = Duration::from_secs(150);

/// After which time without a reply a client asks again.
const REPLY_PATIENCE: Duration = Duration::from_secs(5);

async fn works(nats: &Nats) -> Result<()> {
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;
    ensure!(nats.ask(agent.state()).await?.ok()?.version()? == 2);
    ensure_history(&nats.stored(&agent.id).await?)
}

#[tokio::test]
async fn the_single_server_keeps_what_it_acknowledged() -> Result<()> {
    let store = TempDir::with_prefix("agent-service-single-")?;
    let path = store.path().display().to_string();
    let conf = fit(&shipped("nats/single.conf")?, &[("/var/lib/nats/jetstream", &path), ("http: 127.0.0.1:8222", "")])?;
    ensure!(conf.contains("\n  sync_interval: always\n"), "acknowledged events can be lost");
    let server = NatsServer::builder().without_jetstream().settings(&conf).start()?;
    let nats = Nats::connect(server, ConnectOptions::new()).await?;
    let _host = tests::Host::start(&nats).await?;
    works(&nats).await
}

#[tokio::test]
async fn the_secured_single_server_lets_in_who_has_key_and_certificate_and_nobody_else() -> Result<()> {
    let (secured, strangers) = (Secured::new()?, Secured::new()?);
    let server = secured.server("secured/single.conf", "single", &[("single.conf", &[])])?.start()?;
    let nats = Nats::connect(server, secured.login()?).await?;
    let _host = secured.host(&nats.url())?.start(&nats).await?;
    works(&nats).await?;

    let once = |host: tests::HostBuilder| host.env("NATS_CONNECT_TIMEOUT", "1s");
    once(tests::Host::builder(&nats)?).refuses(&["certificate"]).await?;
    once(strangers.host(&nats.url())?).refuses(&["certificate"]).await?;
    once(secured.host(&nats.url())?.env("NATS_NKEY", strangers.key_file().display())).refuses(&["authorization"]).await
}

#[tokio::test]
async fn the_single_server_with_a_user_for_each_role_serves_them() -> Result<()> {
    let (secured, operator, alice) = (Secured::new()?, KeyPair::new_user(), KeyPair::new_user());
    let mut server = secured.server("roles/single.conf", "roles", &[("single.conf", &[])])?;
    for (name, key) in [("OPERATOR_NKEY", operator.public_key()), ("ALICE_NKEY", alice.public_key())] {
        server = server.env(name, &key);
    }
    for name in ["BOB_NKEY", "CAROL_NKEY", "DAVE_NKEY", "ERIN_NKEY"] {
        server = server.env(name, &KeyPair::new_user().public_key());
    }
    let login = |key, inbox: &str| Ok::<_, anyhow::Error>(secured.login_of(key)?.custom_inbox_prefix(inbox));
    let nats = Nats::connect(server.start()?, login(&operator, "_INBOX.operator")?).await?;
    let _host = secured.host(&nats.url())?.env("NATS_INBOX_PREFIX", "_INBOX.host").start(&nats).await?;
    let (alice, agent) = (User::connect(login(&alice, "_INBOX.client.alice")?, &nats.url()).await?, Agent::new());
    alice.ask(agent.deploy()).await?.ok()?;
    ensure_history(&nats.stored(&agent.id).await?)
}

#[tokio::test]
async fn the_secured_cluster_restarts_server_by_server_and_host_by_host_without_a_lost_command() -> Result<()> {
    let secured = Secured::new()?;
    let mut servers = cluster(&secured)?;
    let urls: Vec<String> = servers.iter().map(|server| server.client_url().to_owned()).collect();
    let nats = Nats::connect_among(servers.remove(0), secured.login()?, &urls).await?;
    eventually_within(REPAIR_MAX, "JetStream keeps three copies", async || {
        nats.create_stream(&json!({"name": "READY", "subjects": ["ready"], "num_replicas": 3})).await
    })
    .await?;
    let builder = secured.host(&urls.join(","))?.env("STREAM_REPLICAS", 3).env("APPEND_TIMEOUT", "2s");
    let mut hosts = vec![builder.start(&nats).await?, builder.start(&nats).await?];
    let info = nats.jetstream_api("STREAM.INFO.AGENT_EVENTS", &json!({})).await?;
    ensure!(info["config"]["num_replicas"] == 3, "{info}");

    let (agent, over) = (Agent::new(), Cell::new(false));
    persist(&nats, &agent.deploy().msg_id("deploy")).await?;
    let commands = async {
        let mut sent = 0_u64;
        while !over.get() {
            persist(&nats, &agent.set(&format!("key-{sent}"), sent).msg_id(&format!("set-{sent}"))).await?;
            sent += 1;
        }
        anyhow::Ok(sent)
    };
    let restarts = async {
        for number in 0..=servers.len() {
            match number.checked_sub(1) {
                None => restart(&mut *nats.server()?)?,
                Some(peer) => restart(&mut servers[peer])?,
            }
            all_copies_are_current(&nats).await?;
        }
        for host in &mut hosts {
            ensure!(host.terminate().await? == 0, "a host did not end well");
            *host = builder.start(&nats).await?;
        }
        over.set(true);
        anyhow::Ok(())
    };
    let (sent, ()) = tokio::try_join!(commands, restarts)?;

    let events = nats.stored(&agent.id).await?;
    ensure_history(&events)?;
    ensure!(sent > 0 && events.len() as u64 == sent + 1, "{} events of {} commands", events.len(), sent + 1);
    Ok(())
}

#[tokio::test]
async fn a_secured_site_works_and_its_events_reach_the_secured_hub() -> Result<()> {
    let secured = Secured::new()?;
    let link = format!("127.0.0.1:{}", free_port()?);
    let fitted: [(&str, &str); 1] = [("0.0.0.0:7422", &link)];
    let hub = secured.server("secured/hub.conf", "hub", &[("hub.conf", &[]), ("secured/hub.conf", &fitted)])?;
    let hub = Nats::connect_in_domain(hub.start()?, secured.login()?, "hub").await?;
    let fitted: [(&str, &str); 1] = [("tls://hub:7422", &format!("\"tls://{link}\""))];
    let site = secured.server("secured/leaf.conf", "site", &[("leaf.conf", &[]), ("secured/leaf.conf", &fitted)])?;
    let site = Nats::connect_in_domain(site.start()?, secured.login()?, "site-a").await?;
    eventually("the site is linked to the hub", async || {
        hub.jetstream_api_of("site-a", "INFO", &json!({})).await.map(drop)
    })
    .await?;
    let _host = secured.host(&site.url())?.env("NATS_JS_DOMAIN", "site-a").start(&site).await?;
    works(&site).await?;
    ensure!(hub.try_ask(Agent::new().deploy(), PATIENCE).await?.is_none(), "a command crossed the link");

    let mut gathering: serde_json::Value = serde_json::from_str(&shipped("nats/hub-agent-events.json")?)?;
    // The one site that there is here.
    gathering["sources"].as_array_mut().context("sources")?.truncate(1);
    hub.create_stream(&gathering).await?;
    eventually_within(REPAIR_MAX, "the hub has the events", async || {
        ensure!(hub.stored_in(GATHERED, "agent.events.>").await?.len() == 2, "not all");
        Ok(())
    })
    .await
}

fn cluster(secured: &Secured) -> Result<Vec<NatsServer>> {
    let links: Vec<String> = (0..3).map(|_| Ok(format!("127.0.0.1:{}", free_port()?))).collect::<Result<_>>()?;
    let start = |number: usize| {
        let file = "secured/cluster.conf";
        let fitted: [(&str, &str); 4] = [
            ("0.0.0.0:6222", &links[number]),
            ("nats-1:6222", &links[0]),
            ("nats-2:6222", &links[1]),
            ("nats-3:6222", &links[2]),
        ];
        let name = format!("nats-{}", number + 1);
        secured.server(file, &name, &[(file, &fitted)])?.env("NATS_SERVER_NAME", &name).start()
    };
    (0..links.len()).map(start).collect()
}

fn restart(server: &mut NatsServer) -> Result<()> {
    server.stop()?;
    server.restart()
}

async fn all_copies_are_current(nats: &Nats) -> Result<()> {
    eventually_within(REPAIR_MAX, "all copies are current", async || {
        let nothing = json!({});
        let ask = nats.jetstream_api("STREAM.INFO.AGENT_EVENTS", &nothing);
        let info = tokio::time::timeout(REPLY_PATIENCE, ask).await??;
        let replicas = info["cluster"]["replicas"].as_array().context("no replicas")?;
        let current = replicas.iter().filter(|replica| replica["current"] == true).count();
        ensure!(current == 2, "{}", info["cluster"]);
        Ok(())
    })
    .await
}

/// What a client does that does not give up: it asks again, with the same id, as long as the reply
/// says that this may help, or none comes.
async fn persist(nats: &Nats, command: &Message) -> Result<()> {
    let outcome = eventually_within(REPAIR_MAX, "the command is executed", async || {
        let reply = nats.try_ask(command.clone(), REPLY_PATIENCE).await?.context("nobody is there")?;
        if reply.body["status"] == "error" {
            ensure!(reply.body["retryable"] == false, "{}", reply.body);
            return Ok(Some(reply.body));
        }
        reply.ok().map(|_| None)
    });
    match outcome.await? {
        None => Ok(()),
        Some(error) => bail!("a command has failed: {error}"),
    }
}
