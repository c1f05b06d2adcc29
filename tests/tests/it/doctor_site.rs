//! What the doctor sees of servers, accounts, rights and hosts, each fault made for real. It must not
//! test streams.

use anyhow::{Context, Result, ensure};
use async_nats::ConnectOptions;
use futures::StreamExt;
use serde_json::json;
use tempfile::TempDir;
use tests::faults::shifted_clock::ShiftedClock;
use tests::open_link::hub_and_leaf;
use tests::stream::event_stream;
use tests::{Agent, Doctor, Host, Message, Nats, PATIENCE, eventually};
use xtask::nats_server::{NatsServer, find_version, free_port};

/// Nothing listens on it.
const DEAD: &str = "nats://127.0.0.1:1";
/// The newest release before atomic batches.
const TOO_OLD: &str = "2.11.11";

fn login(user: &str) -> ConnectOptions {
    ConnectOptions::with_user_and_password(user.to_owned(), user.to_owned())
}

async fn two_users(rights: &str) -> Result<Nats> {
    let config = format!(
        "authorization {{ users: [ {{ user: test, password: test }}, \
         {{ user: host, password: host, permissions: {rights} }} ] }}"
    );
    Nats::with_login(&config, login("test")).await
}

fn as_host(nats: &Nats) -> Result<Doctor> {
    Ok(Doctor::new(nats)?.env("NATS_USER", "host").env("NATS_PASSWORD", "host"))
}

#[tokio::test]
async fn a_site_that_is_well_is_well_throughout() -> Result<()> {
    let port = free_port()?;
    let server =
        NatsServer::builder().sync_interval("always").settings(&format!("http: \"127.0.0.1:{port}\"")).start()?;
    let nats = Nats::connect(server, ConnectOptions::new()).await?;
    let doctor = Doctor::new(&nats)?;
    let host = Host::builder(&nats)?.plugins_of(&doctor.plugins).env("HTTP_ADDR", "127.0.0.1:0");
    let host = host.env("PLUGIN_CACHE_DIR", doctor.cache().display()).start(&nats).await?;
    nats.ask(Agent::new().deploy()).await?.ok()?;

    let doctor = doctor.env("HTTP_ADDR", host.http_address().await?);
    let monitor = format!("http://127.0.0.1:{port}");
    let report = doctor.looks(&["--probe", "--monitor", &monitor]).await?;

    let wrong = [report.checks("warning"), report.checks("failure")].concat();
    ensure!(wrong.is_empty() && report.code() == 0, "{wrong:?}: {report:?}");
    // What this site does not have.
    let skipped = report.checks("skipped");
    ensure!(skipped == ["credentials", "certificates", "signatures", "fleet"], "{skipped:?}: {report:?}");
    report.has("ok", "sync_interval", &["always"])?;
    report.has("ok", "homes", &["once", "AGENT_EVENTS"])?;
    report.has("ok", "stream", &["AGENT_EVENTS", "1 messages"])?;
    ensure!(!host.log()?.contains("check="), "a host that finds nothing says nothing: {}", host.log()?);
    ensure!(nats.stream_messages("AGENT_EVENTS").await? == 1, "the doctor has left something behind");
    Ok(())
}

#[tokio::test]
async fn a_site_before_its_first_start_is_well_too() -> Result<()> {
    let nats = Nats::start().await?;
    let report = Doctor::new(&nats)?.looks(&[]).await?;
    ensure!(report.code() == 0, "{report:?}");
    report.has("ok", "stream", &["none yet"])?;
    report.has("skipped", "hosts", &[])
}

#[tokio::test]
async fn nobody_at_the_address_is_a_failure_and_what_follows_is_left_out() -> Result<()> {
    let doctor = Doctor::for_url(DEAD)?.env("NATS_CONNECT_TIMEOUT", "1ms");
    let report = doctor.finds("failure", "nats", &["127.0.0.1:1", "NATS_URL"]).await?;
    for check in ["server_version", "permissions", "stream", "clock", "hosts"] {
        report.has("skipped", check, &["NATS is not reached"])?;
    }
    ensure!(report.checks("failure") == ["nats"], "{report:?}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_a_failure_and_is_not_told() -> Result<()> {
    let nats = two_users("{}").await?;
    let doctor = Doctor::new(&nats)?.env("NATS_USER", "host").env("NATS_PASSWORD", "a-wrong-one");
    let report = doctor.finds("failure", "nats", &["authorization", "NATS_CREDS"]).await?;
    ensure!(!format!("{report:?}").contains("a-wrong-one"), "the password is told");
    Ok(())
}

#[tokio::test]
async fn a_server_without_jetstream_is_a_failure() -> Result<()> {
    let server = NatsServer::builder().without_jetstream().start()?;
    let nats = Nats::connect(server, ConnectOptions::new()).await?;
    let report = Doctor::new(&nats)?.finds("failure", "jetstream", &["-js"]).await?;
    report.has("skipped", "stream", &["JetStream"])
}

#[tokio::test]
async fn a_jetstream_domain_that_is_not_there_is_a_failure() -> Result<()> {
    let nats = Nats::start().await?;
    Doctor::new(&nats)?.env("NATS_JS_DOMAIN", "moon").finds("failure", "jetstream", &["moon"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_too_old_is_a_failure() -> Result<()> {
    let server = NatsServer::builder().binary(find_version(TOO_OLD)?).start()?;
    let nats = Nats::connect(server, ConnectOptions::new()).await?;
    Doctor::new(&nats)?.finds("failure", "server_version", &[TOO_OLD, "atomic batches"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_payload_limit_below_that_of_commands_is_a_warning() -> Result<()> {
    let nats = Nats::with_config("max_payload: 65536").await?;
    Doctor::new(&nats)?.finds("warning", "max_payload", &["64.0 KiB", "COMMAND_BYTES_MAX=262144"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_and_nobody_hears_of_the_trial() -> Result<()> {
    let denied = "{ publish: { deny: [ \"agent.events.>\", \"$JS.API.STREAM.CREATE.AGENT_EVENTS\" ] }, \
                    subscribe: { deny: \"agent.queries.>\" } }";
    let nats = two_users(denied).await?;
    let mut heard = nats.client().subscribe("agent.>").await?;
    let mut called = nats.client().subscribe("$JS.API.STREAM.CREATE.>").await?;
    nats.client().flush().await?;

    let report = as_host(&nats)?.finds("failure", "permissions", &["publish", "agent.events.", "store events"]).await?;
    report.has("failure", "permissions", &["publish", "$JS.API.STREAM.CREATE.AGENT_EVENTS"])?;
    report.has("failure", "permissions", &["subscribe to agent.queries.>"])?;
    let missing = report.checks("failure");
    ensure!(missing == ["permissions"; 3], "{missing:?}: {report:?}");

    nats.publish(Message::to("agent.end", "")).await?;
    nats.publish(Message::to("$JS.API.STREAM.CREATE.END", "")).await?;
    for (listening, end) in [(&mut heard, "agent.end"), (&mut called, "$JS.API.STREAM.CREATE.END")] {
        let message = tokio::time::timeout(PATIENCE, listening.next()).await?.context("the connection has ended")?;
        ensure!(message.subject.as_str() == end, "{} was sent", message.subject);
    }
    Ok(())
}

#[tokio::test]
async fn rights_that_are_all_held_are_ok() -> Result<()> {
    let nats = two_users("{ publish: \">\", subscribe: \">\" }").await?;
    as_host(&nats)?.finds("ok", "permissions", &["rights"]).await?;
    Ok(())
}

#[tokio::test]
async fn an_account_without_room_is_found() -> Result<()> {
    let limits = "accounts { A { jetstream: { max_file: 100000, max_streams: 2 }, \
                  users: [ { user: test, password: test } ] } }";
    let nats = Nats::with_login(limits, login("test")).await?;
    let doctor = Doctor::new(&nats)?.env("NATS_USER", "test").env("NATS_PASSWORD", "test");
    doctor.finds("failure", "account_limits", &["0 of 2 streams", "4 to make"]).await?;

    nats.create_stream(&json!({"name": "FILL", "subjects": ["fill"], "storage": "file"})).await?;
    nats.accept(Message::to("fill", "x".repeat(85_000))).await?;
    doctor.finds("warning", "account_limits", &["of storage are used"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_a_failure() -> Result<()> {
    let (nats, dir) = (Nats::start().await?, TempDir::new()?);
    nats.create_stream(&event_stream()).await?;
    Doctor::new(&nats)?.finds("ok", "clock", &[]).await?;

    let clock = ShiftedClock::new(dir.path(), "doctor")?;
    clock.shift(3_600)?;
    let [library, shift] = clock.environment();
    let doctor = Doctor::new(&nats)?.env(library.0, library.1).env(shift.0, shift.1);
    doctor.finds("failure", "clock", &["ahead of"]).await?;
    Ok(())
}

#[tokio::test]
async fn two_homes_over_a_leaf_link_are_a_failure() -> Result<()> {
    let (hub, leaf) = hub_and_leaf().await?;
    for nats in [&hub, &leaf] {
        nats.create_stream(&event_stream()).await?;
    }
    let doctor = Doctor::new(&leaf)?.env("NATS_JS_DOMAIN", "leaf");
    doctor.finds("skipped", "homes", &["--probe"]).await?;

    eventually("the doctor sees both homes", async || {
        let report = doctor.looks(&["--probe"]).await?;
        report.has("failure", "homes", &["2 times", "AGENT_EVENTS", "leaf link"])
    })
    .await?;
    for nats in [&hub, &leaf] {
        ensure!(nats.stream_messages("AGENT_EVENTS").await? == 0, "the probe was stored");
    }
    Ok(())
}

#[tokio::test]
async fn hosts_that_differ_and_what_they_refuse_are_found() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::builder(&nats)?.plugin_file("junk.wasm", b"no component").start(&nats).await?;
    let doctor = Doctor::new(&nats)?.env("QUEUE_GROUP", "others");
    let report = doctor.finds("warning", "hosts", &["junk.wasm", "no WebAssembly component"]).await?;
    report.has("failure", "hosts", &["queue groups", "agent-workers", "others"])?;
    report.has("ok", "host_counters", &[])?;
    host.logs(&["ready"]).await
}
