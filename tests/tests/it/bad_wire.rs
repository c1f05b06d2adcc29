//! What no client library would send, written to the socket by hand: it costs its sender an
//! answer and nobody else anything.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::{Agent, Host, Nats, eventually};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Sends one command with a header line as it is, and waits until the server has taken it.
async fn send_raw(nats: &Nats, subject: &str, header: &[u8], payload: &str) -> Result<()> {
    let url = nats.url();
    let address = url.rsplit("//").next().context("an address")?;
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let headers = [b"NATS/1.0\r\n", header, b"\r\n\r\n"].concat();
    let total = headers.len() + payload.len();
    let publish = format!("HPUB {subject} {} {total}\r\n", headers.len());
    let mut message = b"CONNECT {\"verbose\":false,\"headers\":true}\r\n".to_vec();
    for part in [publish.as_bytes(), &headers, payload.as_bytes(), b"\r\nPING\r\n"] {
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
    for header in [&b"Agent-Actor: a\rb"[..], b"Agent-Actor: \xff\xfe", b"no colon", b"bad name: x"] {
        send_raw(&nats, "agent.commands.activate", header, &payload).await?;
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
