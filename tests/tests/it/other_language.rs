//! A client in another language, written from the contract alone and without any library. It must
//! not test more than that such a client works.

use anyhow::{Context, Result, ensure};
use tests::{Host, Nats, PATIENCE, plugins};

async fn python_client_works(nats: &Nats) -> Result<()> {
    let run = tokio::process::Command::new("python3")
        .arg(plugins::own_file("clients/agent.py"))
        .arg(nats.url())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run).await.context("the client does not end")?;
    let output = output.context("python3 does not start; the tests need it")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    ensure!(said.contains("every answer as promised"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_client_in_plain_python_works() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    python_client_works(&nats).await
}

#[tokio::test]
async fn a_client_in_plain_python_works_where_the_stream_captures_commands() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::builder(&nats)?.env("STREAM_LAYOUT", "combined").start(&nats).await?;
    python_client_works(&nats).await
}
