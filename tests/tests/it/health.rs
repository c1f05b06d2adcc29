//! Whether the host lives and is ready, over HTTP: the failing part is named, through outages and up
//! to the end. It must not test what is counted.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::http::{ask, get, send};
use tests::plugins::plugin;
use tests::stream::event_stream;
use tests::{Agent, Cli, Host, HostBuilder, Nats, PluginDir, eventually};
use tokio::net::{TcpListener, TcpStream};

fn builder(nats: &Nats) -> Result<HostBuilder> {
    Ok(Host::builder(nats)?.env("HTTP_ADDR", "127.0.0.1:0"))
}

/// The parts that fail, with their reasons, if the page says so with its status as well.
async fn failing(address: &str) -> Result<Vec<(String, String)>> {
    let answer = get(address, "/readyz").await?;
    let page = answer.json()?;
    let word = |part: &Value, name: &str| part[name].as_str().unwrap_or_default().to_owned();
    let parts = page["parts"].as_array().context("no parts")?;
    let failing = parts.iter().filter(|part| part["ok"] == false).map(|part| (word(part, "part"), word(part, "why")));
    let failing: Vec<_> = failing.collect();
    ensure!(page["ready"] == failing.is_empty(), "{page}");
    ensure!(answer.status == if failing.is_empty() { 200 } else { 503 }, "{answer:?}");
    Ok(failing)
}

async fn is_ready(address: &str) -> Result<()> {
    eventually("it is ready", async || {
        let failing = failing(address).await?;
        ensure!(failing.is_empty(), "{failing:?}");
        Ok(())
    })
    .await
}

/// Waits until exactly this part fails, for a reason with this word.
async fn fails(address: &str, part: &str, word: &str) -> Result<()> {
    eventually(&format!("{part} fails"), async || {
        let failing = failing(address).await?;
        ensure!(failing.iter().any(|(name, why)| name == part && why.contains(word)), "{failing:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_host_that_serves_is_live_and_ready_and_tells_all_parts() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.start(&nats).await?;
    let address = host.http_address().await?;
    is_ready(&address).await?;

    let answer = get(&address, "/readyz").await?;
    ensure!(answer.head.contains("content-type: application/json"), "{answer:?}");
    let page = answer.json()?;
    let names: Vec<&str> =
        page["parts"].as_array().context("no parts")?.iter().filter_map(|p| p["part"].as_str()).collect();
    ensure!(names == ["nats", "plugins", "home", "lane", "stream", "log", "retention", "inbox"], "{names:?}");
    ensure!(page["parts"][2]["domain"] == "agent", "{page}");
    let live = get(&address, "/livez").await?;
    ensure!(live.status == 200 && live.json()?["live"] == true, "{live:?}");
    Ok(())
}

#[tokio::test]
async fn get_and_head_are_answered_and_nothing_else() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.start(&nats).await?;
    let address = host.http_address().await?;
    is_ready(&address).await?;

    let (with, without) = (get(&address, "/livez").await?, ask(&address, "HEAD", "/livez").await?);
    ensure!(without.status == 200 && without.body.is_empty(), "{without:?}");
    ensure!(without.head.contains(&format!("content-length: {}", with.body.len())), "{without:?}");
    ensure!(get(&address, "/livez?verbose=1").await?.status == 200);
    for path in ["/", "/livez/", "/../livez", "/metrics/x"] {
        ensure!(get(&address, path).await?.status == 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = ask(&address, method, "/readyz").await?;
        ensure!(answer.status == 405 && answer.head.contains("allow: get, head"), "{method}: {answer:?}");
    }
    let body = format!("GET /livez HTTP/1.1\r\nHost: {address}\r\nContent-Length: 5\r\n\r\nhello");
    ensure!(send(&address, &body).await?.status == 413);
    let long = format!("GET /livez HTTP/1.1\r\nHost: {address}\r\nX-Long: {}\r\n\r\n", "x".repeat(64 << 10));
    ensure!(send(&address, &long).await?.status == 431);
    ensure!(send(&address, "what is this\r\n\r\n").await?.status == 400);
    Ok(())
}

#[tokio::test]
async fn clients_that_say_nothing_do_not_keep_a_probe_out() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.start(&nats).await?;
    let address = host.http_address().await?;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(&address).await?);
    }

    eventually("the probe is answered", async || {
        ensure!(get(&address, "/livez").await?.status == 200);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_host_without_plugins_is_live_and_not_ready() -> Result<()> {
    let nats = Nats::start().await?;
    let dir = PluginDir::new()?;
    let host = builder(&nats)?.plugins_of(&dir).spawn()?;
    let address = host.http_address().await?;
    fails(&address, "plugins", "no plugin").await?;
    ensure!(get(&address, "/livez").await?.status == 200);

    dir.put("agent.wasm", &plugin("agent")?)?;
    is_ready(&address).await?;

    dir.remove("agent.wasm")?;
    fails(&address, "plugins", "no plugin").await
}

#[tokio::test]
async fn a_host_that_has_not_reached_nats_yet_is_live_and_not_ready() -> Result<()> {
    let host = Host::builder_for("nats://127.0.0.1:1")?.env("HTTP_ADDR", "127.0.0.1:0").spawn()?;
    let address = host.http_address().await?;

    fails(&address, "nats", "not connected yet").await?;
    ensure!(get(&address, "/livez").await?.status == 200);
    ensure!(get(&address, "/metrics").await?.status == 200);
    Ok(())
}

#[tokio::test]
async fn an_outage_of_nats_is_named_and_passes() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.start(&nats).await?;
    let address = host.http_address().await?;
    is_ready(&address).await?;

    nats.server()?.kill()?;
    fails(&address, "nats", "lost").await?;
    ensure!(get(&address, "/livez").await?.status == 200, "a restart would not help");

    nats.restart_server().await?;
    is_ready(&address).await
}

#[tokio::test]
async fn a_stream_that_is_deleted_is_named() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.start(&nats).await?;
    let address = host.http_address().await?;
    is_ready(&address).await?;

    nats.delete_stream("AGENT_EVENTS").await?;

    fails(&address, "stream", "not found").await
}

#[tokio::test]
async fn a_durable_lane_that_cannot_be_served_is_named_and_one_that_is_off_is_no_part() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = builder(&nats)?.start(&nats).await?;
    let address = host.http_address().await?;
    is_ready(&address).await?;
    nats.delete_stream("AGENT_INBOX").await?;
    fails(&address, "inbox", "deleted while this host runs").await?;
    ensure!(host.terminate().await? == 0);

    let host = builder(&nats)?.env("INBOX", "off").start(&nats).await?;
    is_ready(&host.http_address().await?).await
}

#[tokio::test]
async fn hosts_that_stand_by_for_the_durable_lane_are_ready() -> Result<()> {
    let nats = Nats::start().await?;
    let hosts = [builder(&nats)?.start(&nats).await?, builder(&nats)?.start(&nats).await?];

    for host in &hosts {
        is_ready(&host.http_address().await?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_log_that_contradicts_a_snapshot_is_named_until_it_is_mended() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    ensure!(host.terminate().await? == 0);
    ensure!(nats.snapshot_messages(&agent.id).await? > 0, "no snapshot");
    nats.delete_stream("AGENT_EVENTS").await?;
    nats.create_stream(&event_stream()).await?;
    let host = builder(&nats)?.start(&nats).await?;
    let address = host.http_address().await?;
    is_ready(&address).await?;

    nats.ask(agent.state()).await?.error("unavailable")?;
    fails(&address, "log", "1 aggregates").await?;
    ensure!(!get(&address, "/readyz").await?.body.contains(&agent.id), "an aggregate is named");

    // The remedy that the reply names: going on without what is lost.
    nats.purge_stream("KV_AGENT_SNAPSHOTS").await?;
    nats.ask(agent.state()).await?.error("not_found")?;
    is_ready(&address).await
}

#[tokio::test]
async fn a_host_that_stops_says_so_and_is_answered_until_its_end() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = builder(&nats)?.start(&nats).await?;
    let address = host.http_address().await?;
    is_ready(&address).await?;
    nats.ask(Agent::new().deploy()).await?.ok()?;
    // Stopping waits for a server that does not answer.
    nats.server()?.pause()?;

    host.signal("TERM").await?;

    fails(&address, "host", "stopping").await?;
    let page = get(&address, "/metrics").await?;
    ensure!(page.status == 200 && page.body.contains("\nagent_service_ready 0\n"), "{page:?}");
    ensure!(get(&address, "/livez").await?.status == 200);
    nats.server()?.resume()?;
    ensure!(host.exit_code().await? == 0);
    ensure!(get(&address, "/livez").await.is_err(), "somebody answers after its end");
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_taken_ends_the_start_before_anything_is_served() -> Result<()> {
    let nats = Nats::start().await?;
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let address = taken.local_addr()?.to_string();

    Host::builder(&nats)?.env("HTTP_ADDR", &address).refuses(&["HTTP_ADDR", &address, "in use"]).await?;

    ensure!(nats.stream_config("AGENT_EVENTS").await.is_err(), "it has begun to serve");
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() -> Result<()> {
    let nats = Nats::start().await?;
    for wrong in ["8080", "127.0.0.1:http", "127.0.0.1:70000", ":8080"] {
        Host::builder(&nats)?.env("HTTP_ADDR", wrong).refuses(&["HTTP_ADDR", wrong]).await.context(wrong)?;
    }
    Ok(())
}

#[tokio::test]
async fn an_empty_address_serves_no_http() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.env("HTTP_ADDR", "").start(&nats).await?;

    ensure!(!host.log()?.contains("HTTP"), "{}", host.log()?);
    Ok(())
}

#[tokio::test]
async fn the_health_check_tells_by_its_exit_code_and_says_why() -> Result<()> {
    let nats = Nats::start().await?;
    let dir = PluginDir::with("agent.wasm", &plugin("agent")?)?;
    let host = builder(&nats)?.plugins_of(&dir).start(&nats).await?;
    let address = host.http_address().await?;
    is_ready(&address).await?;
    let cli = Cli::for_url("nats://127.0.0.1:1");
    let own = Cli::for_url("nats://127.0.0.1:1").env("HTTP_ADDR", &address);
    own.run(&["health"]).await?.exit(0)?;
    cli.run(&["health", "--url", &format!("http://{address}/livez")]).await?.exit(0)?;

    dir.remove("agent.wasm")?;
    fails(&address, "plugins", "no plugin").await?;
    let output = own.run(&["health"]).await?.exit(1)?;
    ensure!(output.stderr.contains("503") && output.stderr.contains("plugins: there is no plugin"), "{output:?}");

    let output = cli.run(&["health", "--url", &format!("http://{address}/nothing")]).await?.exit(1)?;
    ensure!(output.stderr.contains("404"), "{output:?}");
    let output = cli.run(&["health", "--url", "http://127.0.0.1:1/readyz"]).await?.exit(1)?;
    ensure!(output.stderr.contains("does not answer"), "{output:?}");
    let output = cli.run(&["health", "--url", "https://127.0.0.1/readyz"]).await?.exit(1)?;
    ensure!(output.stderr.contains("http://"), "{output:?}");
    let output = cli.env("HTTP_ADDR", "").run(&["health"]).await?.exit(1)?;
    ensure!(output.stderr.contains("HTTP_ADDR"), "{output:?}");
    Ok(())
}
