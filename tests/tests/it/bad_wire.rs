//! What no client library would send, written to the socket by hand: it costs its sender an
//! answer and nobody else anything.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::{Agent, Host, Nats, eventually};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Header blocks that the client library of the host cannot read.
const UNREADABLE: [&[u8]; 5] = [
    b"NATS/1.0\r\nAgent-Actor: a\rb\r\n\r\n",
    b"NATS/1.0\r\nAgent-Actor: \xff\xfe\r\n\r\n",
    b"NATS/1.0\r\nno colon\r\n\r\n",
    b"NATS/1.0\r\nbad name: x\r\n\r\n",
    b"NATS/1.0\r\nAgent-Actor:\r\n\ra\r\n\r\n",
];
/// A block that is read as something else once the server has put in its own headers.
const MISREAD: &[u8] = b"NATS/1.0\r\nAgent-Actor: a";

/// Sends one command with headers as they are, and waits until the server has taken it.
async fn send_raw(nats: &Nats, subject: &str, headers: &[u8], payload: &str) -> Result<()> {
    let url = nats.url();
    let address = url.rsplit("//").next().context("an address")?;
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let total = headers.len() + payload.len();
    let publish = format!("HPUB {subject} {} {total}\r\n", headers.len());
    let mut message = b"CONNECT {\"verbose\":false,\"headers\":true}\r\n".to_vec();
    for part in [publish.as_bytes(), headers, payload.as_bytes(), b"\r\nPING\r\n"] {
        message.extend_from_slice(part);
    }
    stream.write_all(&message).await?;
    loop {
        line.clear();
        ensure!(stream.read_line(&mut line).await? > 0, "the server closed the connection");
        if line.starts_with("PONG") {
            return Ok(());
        }
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_read_costs_nobody_else_the_service() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    let payload = format!(r#"{{"agent_id":"{}"}}"#, agent.id);
    for headers in UNREADABLE {
        send_raw(&nats, "agent.commands.activate", headers, &payload).await?;
        // What is on its way when the host's connection ends has no answer: ask again soon.
        eventually("the service answers", async || {
            nats.try_ask(Agent::new().deploy(), Duration::from_secs(1)).await?.context("nobody serves")?.ok()
        })
        .await?;
    }

    ensure!(host.is_running()?, "the host has ended");
    ensure!(nats.ask(agent.state()).await?.ok()?.version()? == 1, "an unreadable command was executed");
    ensure!(host.terminate().await? == 0, "the host did not stop cleanly");
    Ok(())
}

#[tokio::test]
async fn a_durable_command_that_cannot_be_read_is_dropped_and_holds_up_nobody() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    nats.stream_stands("AGENT_INBOX").await?;
    let agent = Agent::new();
    nats.accept(agent.deploy().durable()).await?;

    let bad = [&UNREADABLE[..], &[MISREAD]].concat();
    let payload = format!(r#"{{"agent_id":"{}"}}"#, agent.id);
    for (number, headers) in bad.iter().enumerate() {
        send_raw(&nats, "agent.inbox.activate", headers, &payload).await?;
        nats.accept(agent.set("number", number).durable()).await?;
    }
    let good = b"NATS/1.0\r\n\r\n";
    send_raw(&nats, "agent.inbox.a\u{a0}b.activate", good, &payload).await?;
    nats.accept(agent.set("last", true).durable()).await?;

    nats.inbox_is_empty("AGENT_INBOX").await?;
    // The host's own connection is another one: not even one request is lost.
    ensure!(nats.ask(agent.state()).await?.ok()?.version()? == 2 + bad.len() as u64);
    let log = host.log()?;
    ensure!(log.matches("durable command dropped").count() == bad.len() + 1, "{log}");
    ensure!(!log.contains("starting anew"), "{log}");
    ensure!(host.terminate().await? == 0, "the host did not stop cleanly");
    Ok(())
}
