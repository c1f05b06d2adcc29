//! `restore` where somebody else is at the same streams: what it has not made it does not delete, and
//! what was written while it made room is not thrown away. It must not test what is restored.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::Subscriber;
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::cli::Output;
use tests::proxy::{Line, Proxy};
use tests::{Agent, Cli, Host, Nats};

/// How late everything comes between the command line and its server: each step takes it several
/// times, and somebody beside it needs a small part of it.
const LATE: Duration = Duration::from_millis(40);

/// A server with the four streams of a domain and no host any more, and a backup of it.
struct Past {
    nats: Nats,
    shelf: TempDir,
}

impl Past {
    async fn new() -> Result<Self> {
        let nats = Nats::start().await?;
        let mut host = Host::start(&nats).await?;
        nats.ask(Agent::new().deploy()).await?.ok()?;
        ensure!(host.terminate().await? == 0);
        let past = Self { nats, shelf: TempDir::with_prefix("agent-service-restore-")? };
        Cli::new(&past.nats).run(&["backup", text(&past.path("backup"))?]).await?.exit(0)?;
        Ok(past)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.shelf.path().join(name)
    }

    /// Restores into a server, slowly; `meddle` comes between.
    async fn restore(&self, into: &Nats, options: &[&str], meddle: impl AsyncFnOnce() -> Result<()>) -> Result<Output> {
        let port = into.url().rsplit(':').next().and_then(|port| port.parse().ok()).context("no port")?;
        let line = Proxy::to(port).await?;
        line.set(Line::Late(LATE));
        let (cli, backup) = (Cli::for_url(&line.url()), self.path("backup"));
        let args = [&["restore", text(&backup)?], options].concat();
        let (output, ()) = tokio::try_join!(cli.run(&args), meddle())?;
        Ok(output)
    }
}

fn text(path: &std::path::Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

/// The calls of JetStream's API that somebody makes on a stream.
async fn calls(nats: &Nats, call: &str) -> Result<Subscriber> {
    let calls = nats.client().subscribe(format!("$JS.API.STREAM.{call}.*")).await?;
    nats.client().flush().await?;
    Ok(calls)
}

async fn called_for(calls: &mut Subscriber, stream: &str) -> Result<()> {
    while let Some(call) = calls.next().await {
        if call.subject.ends_with(&format!(".{stream}")) {
            return Ok(());
        }
    }
    anyhow::bail!("the connection has ended")
}

async fn names(nats: &Nats) -> Result<Vec<String>> {
    let mut names: Vec<String> = nats.jetstream().stream_names().try_collect().await?;
    names.sort();
    Ok(names)
}

/// Somebody makes the last stream of the backup, for something else, when this one is asked for.
async fn is_left_alone(when_asked_for: &str) -> Result<()> {
    let past = Past::new().await?;
    let fresh = Nats::start().await?;
    let mut restores = calls(&fresh, "RESTORE").await?;

    let output = past
        .restore(&fresh, &[], async || {
            called_for(&mut restores, when_asked_for).await?;
            fresh.create_stream(&json!({"name": "AGENT_DEAD", "subjects": ["letters"], "storage": "file"})).await?;
            fresh.jetstream().publish("letters", "\"dear\"".into()).await?.await?;
            Ok(())
        })
        .await?
        .exit(1)?;

    ensure!(output.stderr.contains("nothing was restored") && output.stderr.contains("AGENT_DEAD"), "{output:?}");
    ensure!(names(&fresh).await? == ["AGENT_DEAD"], "{:?}", names(&fresh).await?);
    let letters: Vec<Value> = fresh.stored_in("AGENT_DEAD", ">").await?.into_iter().map(|letter| letter.data).collect();
    ensure!(letters == [json!("dear")], "{letters:?}");
    Ok(())
}

#[tokio::test]
async fn a_stream_that_comes_to_stand_before_its_turn_is_left_alone() -> Result<()> {
    is_left_alone("AGENT_INBOX").await
}

#[tokio::test]
async fn a_stream_that_comes_to_stand_while_it_is_sent_is_left_alone() -> Result<()> {
    is_left_alone("AGENT_DEAD").await
}

#[tokio::test]
async fn what_is_written_while_room_is_made_is_not_thrown_away() -> Result<()> {
    let past = Past::new().await?;
    let nats = &past.nats;
    let before = names(nats).await?;
    let mut snapshots = calls(nats, "SNAPSHOT").await?;
    let (kept, kept_again) = (past.path("kept"), past.path("kept-again"));
    let agent = Agent::new();

    let output = past
        .restore(nats, &["--replace", text(&kept)?], async || {
            // The last of them, so that the inbox was backed up before.
            called_for(&mut snapshots, "AGENT_DEAD").await?;
            nats.accept(agent.deploy().durable()).await?;
            Ok(())
        })
        .await?
        .exit(5)?;

    ensure!(output.stderr.contains("AGENT_INBOX was written to"), "{output:?}");
    ensure!(names(nats).await? == before, "{:?}", names(nats).await?);
    ensure!(nats.stream_messages("AGENT_INBOX").await? == 1 && nats.stream_messages("AGENT_EVENTS").await? == 1);

    past.restore(nats, &["--replace", text(&kept_again)?], async || Ok(())).await?.exit(0)?;
    ensure!(nats.stream_messages("AGENT_INBOX").await? == 0, "it is not what was backed up");
    Ok(())
}
