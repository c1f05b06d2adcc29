//! A line between two processes that can be cut, stalled and made slow. It must not know what passes.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Read at once from one side; what is late, is so for each.
const CHUNK_BYTES: usize = 16 << 10;

/// How the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// As if it were not there.
    Open,
    /// Each piece comes that much later.
    Late(Duration),
    /// Connections stay, nothing passes.
    Stalled,
    /// Connections end, new ones as well.
    Cut,
}

/// The line; ends with it.
pub struct Proxy {
    port: u16,
    line: watch::Sender<Line>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A line to a port of this machine.
    pub async fn to(target: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("the proxy gets no port")?;
        let port = listener.local_addr()?.port();
        let (line, state) = watch::channel(Line::Open);
        let accepting = tokio::spawn(async move {
            while let Ok((inner, _)) = listener.accept().await {
                tokio::spawn(connection(inner, target, state.clone()));
            }
        });
        Ok(Self { port, line, accepting })
    }

    /// Where it takes connections, of clients or of other servers.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port of that.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes the line so.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Connections end by themselves, with the state they look at.
        self.accepting.abort();
    }
}

async fn connection(inner: TcpStream, target: u16, state: watch::Receiver<Line>) {
    if *state.borrow() == Line::Cut {
        return;
    }
    let Ok(outer) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else { return };
    // Small messages go at once, as they would without us; where that cannot be set, they are late.
    let _ = (inner.set_nodelay(true), outer.set_nodelay(true));
    let ((inner_read, inner_write), (outer_read, outer_write)) = (inner.into_split(), outer.into_split());
    // Whichever direction ends first takes the other along.
    tokio::select! {
        _ = pass(inner_read, outer_write, state.clone()) => {}
        _ = pass(outer_read, inner_write, state) => {}
    }
}

/// Passes on until the connection ends, is cut, or the proxy is gone.
async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut state: watch::Receiver<Line>,
) -> Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = tokio::select! {
            count = from.read(&mut chunk) => count?,
            _ = state.wait_for(|line| *line == Line::Cut) => return Ok(()),
        };
        if count == 0 {
            return Ok(());
        }
        loop {
            let line = *state.borrow_and_update();
            match line {
                Line::Open => break,
                Line::Late(time) => {
                    tokio::time::sleep(time).await;
                    break;
                }
                Line::Stalled => state.changed().await?,
                Line::Cut => return Ok(()),
            }
        }
        to.write_all(&chunk[..count]).await?;
    }
}
