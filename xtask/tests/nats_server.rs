//! A real server lives through what tests do to it. It must not know NATS beyond its
//! greeting.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use xtask::nats_server::{NatsServer, find_version, free_port};

/// What the server says of itself when somebody connects.
fn greeting(url: &str) -> Result<Value> {
    let (_, address) = url.split_once("://").context("no scheme")?;
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(serde_json::from_str(line.strip_prefix("INFO ").context("no greeting")?)?)
}

#[test]
fn a_server_with_jetstream_starts_on_a_free_port() {
    let first = NatsServer::start().unwrap();
    let second = NatsServer::start().unwrap();
    assert_ne!(first.client_url(), second.client_url());
    assert_eq!(greeting(first.client_url()).unwrap()["jetstream"], true);
    assert_eq!(greeting(second.client_url()).unwrap()["jetstream"], true);
}

#[test]
fn it_comes_back_on_the_same_port_and_store_after_a_kill() {
    let store = tempfile::tempdir().unwrap();
    let mut server = NatsServer::builder().store(store.path()).start().unwrap();
    let url = server.client_url().to_owned();
    server.kill().unwrap();
    assert!(server.has_ended().unwrap());
    assert!(greeting(&url).is_err());
    server.restart().unwrap();
    assert_eq!(server.client_url(), url);
    assert_eq!(greeting(&url).unwrap()["port"], server.port());
    drop(server);
    assert!(greeting(&url).is_err());
    assert!(fs::read_dir(store.path()).unwrap().count() > 0);
}

#[test]
fn a_paused_server_is_silent_until_it_is_resumed() {
    let mut server = NatsServer::start().unwrap();
    server.pause().unwrap();
    assert!(greeting(server.client_url()).is_err());
    server.resume().unwrap();
    assert!(greeting(server.client_url()).is_ok());
    server.stop().unwrap();
    assert!(greeting(server.client_url()).is_err());
}

#[test]
fn settings_reach_the_server() {
    let port = free_port().unwrap();
    let server = NatsServer::builder()
        .sync_interval("always")
        .jetstream_settings("domain: hub")
        .settings("max_payload: 64KB")
        .settings(r#"authorization { user: "u", password: "p" }"#)
        .argument("--name=one")
        .port(port)
        .start()
        .unwrap();
    assert_eq!(server.port(), port);
    let greeting = greeting(server.client_url()).unwrap();
    assert_eq!(greeting["max_payload"], 65_536);
    assert_eq!(greeting["domain"], "hub");
    assert_eq!(greeting["auth_required"], true);
    assert_eq!(greeting["server_name"], "one");
    assert!(server.log().contains("Server is ready"));
    let without = NatsServer::builder().without_jetstream().start().unwrap();
    assert_eq!(self::greeting(without.client_url()).unwrap().get("jetstream"), None);
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let error = NatsServer::builder().settings("max_payloads: 1").start().unwrap_err();
    assert!(error.to_string().contains("unknown field \"max_payloads\""), "{error}");
}

#[test]
fn a_version_can_be_chosen() {
    let binary = find_version("2.11.11").unwrap();
    let server = NatsServer::builder().binary(binary).start().unwrap();
    assert_eq!(greeting(server.client_url()).unwrap()["version"], "2.11.11");
    assert!(find_version("../2.12").is_err());
}
