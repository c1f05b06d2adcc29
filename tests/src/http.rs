//! HTTP as a probe or a scraper speaks it, byte by byte. It must not know what is asked for.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::eventually::PATIENCE;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its head, in lower case.
    pub head: String,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {self:?}"))
    }
}

/// GET.
pub async fn get(address: &str, path: &str) -> Result<Answer> {
    ask(address, "GET", path).await
}

/// Any method, without a body.
pub async fn ask(address: &str, method: &str, path: &str) -> Result<Answer> {
    send(address, &format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")).await
}

/// Sends these bytes and reads to the end of the connection.
pub async fn send(address: &str, request: &str) -> Result<Answer> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        // A server that refuses what it has not read to the end may reset the connection.
        let read = stream.read_to_end(&mut answer).await;
        ensure!(read.is_ok() || !answer.is_empty(), "no answer: {read:?}");
        Ok(String::from_utf8(answer)?)
    };
    let text = tokio::time::timeout(PATIENCE, exchange).await.context("HTTP: no answer in time")??;
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no HTTP answer: {text}"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("no status: {head}"))?;
    Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}
