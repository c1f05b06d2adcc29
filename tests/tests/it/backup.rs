//! `backup` and `restore`: everything into a directory and back into another server, where it goes
//! on as if nothing had been. It must not know the form of the files, only their names.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::cli::Output;
use tests::load::{agents, ensure_log_agrees, load};
use tests::plugins::plugin;
use tests::stored::ensure_history;
use tests::{Agent, Cli, Counter, Host, Nats};

/// The files of each stream, named by the `nats` tool.
const FILES: [&str; 2] = ["backup.json", "stream.tar.s2"];

/// A directory in which backups lie.
struct Shelf {
    dir: TempDir,
}

impl Shelf {
    fn new() -> Result<Self> {
        Ok(Self { dir: TempDir::with_prefix("agent-service-backup-")? })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn run(&self, nats: &Nats, command: &str, name: &str, options: &[&str]) -> Result<Output> {
        let path = self.path(name);
        let path = path.to_str().context("a path in UTF-8")?;
        Cli::new(nats).run(&[&[command, path], options].concat()).await
    }

    async fn back_up(&self, nats: &Nats, name: &str) -> Result<Value> {
        self.run(nats, "backup", name, &[]).await?.exit(0)?.json()
    }

    async fn restore(&self, nats: &Nats, name: &str) -> Result<Value> {
        self.run(nats, "restore", name, &[]).await?.exit(0)?.json()
    }
}

/// All streams with what is in them: subjects, sequences, headers, payloads.
async fn all_that_is_stored(nats: &Nats) -> Result<Vec<(String, Vec<Value>)>> {
    let mut names: Vec<String> = nats.jetstream().stream_names().try_collect().await?;
    names.sort();
    let mut all = Vec::new();
    for name in names {
        let messages = nats.stored_in(&name, ">").await?.into_iter().map(|message| {
            let mut headers: Vec<String> =
                message.headers.iter().map(|(name, values)| format!("{name}: {values:?}")).collect();
            headers.sort();
            json!([message.sequence, message.subject, headers, message.data, message.time_ms.to_string()])
        });
        all.push((name, messages.collect()));
    }
    Ok(all)
}

async fn has_no_streams(nats: &Nats) -> Result<()> {
    let names: Vec<String> = nats.jetstream().stream_names().try_collect().await?;
    ensure!(names.is_empty(), "{names:?}");
    Ok(())
}

/// A server with a past of two domains, and no host any more.
async fn with_past() -> Result<(Nats, Agent)> {
    let nats = Nats::start().await?;
    let mut host = Host::builder(&nats)?.plugin("counter")?.env("SNAPSHOT_FREQUENCY", 2).start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy_configured().msg_id("first")).await?.ok()?;
    nats.ask(agent.activate().msg_id("second")).await?.ok()?;
    for by in 1..=5 {
        nats.ask(Counter::named("visitors").increment(by)).await?.ok()?;
    }
    ensure!(host.terminate().await? == 0);
    Ok((nats, agent))
}

#[tokio::test]
async fn what_is_backed_up_is_restored_and_goes_on() -> Result<()> {
    let (nats, agent) = with_past().await?;
    let shelf = Shelf::new()?;
    let document = shelf.back_up(&nats, "backup").await?;
    let streams = document["streams"].as_array().context("streams")?;
    let names: Vec<&str> = streams.iter().filter_map(|stream| stream["stream"].as_str()).collect();
    let expected = ["INBOX", "KV", "EVENTS", "DEAD"].into_iter().flat_map(|kind| {
        ["AGENT", "COUNTER"].map(|domain| match kind {
            "KV" => format!("KV_{domain}_SNAPSHOTS"),
            kind => format!("{domain}_{kind}"),
        })
    });
    ensure!(names.iter().map(|name| (*name).to_owned()).eq(expected), "{names:?}");
    for file in names.iter().flat_map(|name| FILES.map(|file| shelf.path("backup").join(name).join(file))) {
        ensure!(file.is_file(), "{} is missing", file.display());
    }
    let fresh = Nats::start().await?;

    shelf.restore(&fresh, "backup").await?;

    let (before, after) = (all_that_is_stored(&nats).await?, all_that_is_stored(&fresh).await?);
    ensure!(before == after, "before: {before:?}\nafter: {after:?}");
    let _host = Host::builder(&fresh)?.plugin("counter")?.start(&fresh).await?;
    let state = fresh.ask(agent.state()).await?.ok()?;
    ensure!(state.version()? == 3 && state.state()["status"] == "Active", "{}", state.body);
    ensure!(fresh.ask(agent.history(0, 10)).await?.ok()?.events()?.len() == 3);
    let again = fresh.ask(agent.activate().msg_id("second")).await?.ok()?;
    ensure!(again.duplicate()? && again.version()? == 3, "{}", again.body);
    ensure!(fresh.ask(agent.suspend()).await?.ok()?.version()? == 4);
    let counted = fresh.ask(Counter::named("visitors").increment(1)).await?.ok()?;
    ensure!(counted.version()? == 6, "{}", counted.body);
    Ok(())
}

#[tokio::test]
async fn a_fleet_gets_its_plugins_back() -> Result<()> {
    let nats = Nats::start().await?;
    let counter = plugin("counter")?;
    let push = ["plugin", "push", counter.to_str().context("UTF-8")?];
    Cli::new(&nats).run(&push).await?.exit(0)?;
    let shelf = Shelf::new()?;
    shelf.back_up(&nats, "backup").await?;
    let fresh = Nats::start().await?;

    shelf.restore(&fresh, "backup").await?;

    let before = all_that_is_stored(&nats).await?;
    ensure!(
        before.iter().any(|(name, messages)| name == "OBJ_AGENT_SERVICE_PLUGINS" && messages.len() > 1),
        "{before:?}"
    );
    ensure!(all_that_is_stored(&fresh).await? == before, "it is not what was backed up");
    // One that is kept whole is left as it is, a damaged one would be replaced.
    Cli::new(&fresh).run(&push).await?.exit(0)?;
    ensure!(all_that_is_stored(&fresh).await? == before, "the component was stored again");
    Ok(())
}

#[tokio::test]
async fn sequences_go_on_even_where_the_last_messages_are_gone() -> Result<()> {
    let (nats, _) = with_past().await?;
    let events = nats.jetstream().get_stream("AGENT_EVENTS").await?;
    let last = events.cached_info().state.last_sequence;
    nats.purge_stream("AGENT_EVENTS").await?;
    let shelf = Shelf::new()?;
    shelf.back_up(&nats, "backup").await?;
    let fresh = Nats::start().await?;

    shelf.restore(&fresh, "backup").await?;

    let state = fresh.jetstream().get_stream("AGENT_EVENTS").await?.cached_info().state.clone();
    ensure!((state.messages, state.first_sequence, state.last_sequence) == (0, last + 1, last), "{state:?}");
    Ok(())
}

#[tokio::test]
async fn one_domain_is_backed_up_alone_and_its_stream_restored_alone() -> Result<()> {
    let (nats, _) = with_past().await?;
    let shelf = Shelf::new()?;
    shelf.run(&nats, "backup", "counter", &["--domain", "counter"]).await?.exit(0)?;
    let output = shelf.run(&nats, "backup", "other", &["--domain", "orders"]).await?.exit(2)?;
    ensure!(output.stderr.contains("orders.events.>") && !shelf.path("other").exists(), "{output:?}");
    let fresh = Nats::start().await?;

    // As `nats stream backup` leaves it: a folder without a seal.
    fs::remove_file(shelf.path("counter/COUNTER_EVENTS/agent-service.json"))?;
    shelf.restore(&fresh, "counter/COUNTER_EVENTS").await?;

    let names: Vec<String> = fresh.jetstream().stream_names().try_collect().await?;
    ensure!(names == ["COUNTER_EVENTS"], "{names:?}");
    ensure!(fresh.stored_in("COUNTER_EVENTS", ">").await?.len() == 5);
    Ok(())
}

#[tokio::test]
async fn a_stream_that_stands_is_not_touched() -> Result<()> {
    let (nats, agent) = with_past().await?;
    let shelf = Shelf::new()?;
    shelf.back_up(&nats, "backup").await?;
    let other = Nats::start().await?;
    let mut host = Host::start(&other).await?;
    other.ask(Agent::new().deploy()).await?.ok()?;
    let before = all_that_is_stored(&other).await?;

    let output = shelf.run(&other, "restore", "backup", &[]).await?.exit(5)?;
    ensure!(output.stderr.contains("AGENT_EVENTS") && output.stderr.contains("--replace"), "{output:?}");
    let kept = shelf.path("kept");
    let replace = ["--replace", kept.to_str().context("UTF-8")?];
    let output = shelf.run(&other, "restore", "backup", &replace).await?.exit(5)?;
    ensure!(output.stderr.contains("Stop all hosts") && !kept.exists(), "{output:?}");
    ensure!(all_that_is_stored(&other).await? == before, "something was changed");

    ensure!(host.terminate().await? == 0);
    let replaced = all_that_is_stored(&other).await?;
    shelf.run(&other, "restore", "backup", &replace).await?.exit(0)?;
    ensure!(all_that_is_stored(&other).await? == all_that_is_stored(&nats).await?, "it is not what was backed up");
    let _host = Host::start(&other).await?;
    ensure!(other.ask(agent.state()).await?.ok()?.version()? == 3);
    // What was replaced is not lost.
    let fresh = Nats::start().await?;
    shelf.restore(&fresh, "kept").await?;
    ensure!(all_that_is_stored(&fresh).await? == replaced, "what was replaced is not what was kept");
    Ok(())
}

/// Ways to damage a file, each on the whole file as it was.
fn damages(whole: &[u8]) -> Vec<(String, Vec<u8>)> {
    let flipped = |at: usize| {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x04;
        (format!("a flipped bit at {at} of {}", whole.len()), bytes)
    };
    let cut = |to: usize| (format!("cut to {to} of {}", whole.len()), whole[..to].to_vec());
    let mut longer = whole.to_vec();
    longer.extend(b"more");
    vec![
        flipped(5),
        flipped(whole.len() / 3),
        flipped(whole.len() - 1),
        cut(0),
        cut(whole.len() / 2),
        cut(whole.len() - 1),
        ("longer".into(), longer),
    ]
}

/// Refused with the file's name, and the server as empty as before.
async fn refused(shelf: &Shelf, fresh: &Nats, what: &str, name: &str) -> Result<()> {
    let output = shelf.run(fresh, "restore", "backup", &[]).await?.exit(2).context(what.to_owned())?;
    ensure!(output.stderr.contains(name), "{what}: {output:?}");
    has_no_streams(fresh).await.context(what.to_owned())
}

#[tokio::test]
async fn a_damaged_backup_is_found_before_anything_is_written() -> Result<()> {
    let (nats, _) = with_past().await?;
    let shelf = Shelf::new()?;
    shelf.back_up(&nats, "backup").await?;
    let fresh = Nats::start().await?;
    let events = shelf.path("backup").join("AGENT_EVENTS");
    let seal = events.join("agent-service.json");

    for file in FILES {
        let whole = fs::read(events.join(file))?;
        for (what, damaged) in damages(&whole) {
            fs::write(events.join(file), damaged)?;
            refused(&shelf, &fresh, &format!("{file}: {what}"), file).await?;
        }
        fs::write(events.join(file), whole)?;
    }
    // Without the seal it is the archive's own checksums, and what stands beside it, that tell.
    let sealed = fs::read(&seal)?;
    fs::remove_file(&seal)?;
    let whole = fs::read(events.join("stream.tar.s2"))?;
    for (what, damaged) in damages(&whole) {
        fs::write(events.join("stream.tar.s2"), damaged)?;
        refused(&shelf, &fresh, &format!("unsealed: {what}"), "stream.tar.s2").await?;
    }
    fs::write(events.join("stream.tar.s2"), whole)?;
    fs::write(&seal, sealed)?;

    let snapshots = shelf.path("backup").join("KV_AGENT_SNAPSHOTS");
    fs::rename(&snapshots, shelf.path("elsewhere"))?;
    refused(&shelf, &fresh, "a folder is missing", "KV_AGENT_SNAPSHOTS").await?;
    fs::rename(shelf.path("elsewhere"), &snapshots)?;

    shelf.restore(&fresh, "backup").await?;
    Ok(())
}

#[tokio::test]
async fn what_fails_half_way_is_taken_back() -> Result<()> {
    let (nats, _) = with_past().await?;
    let shelf = Shelf::new()?;
    shelf.back_up(&nats, "backup").await?;
    let fresh = Nats::start().await?;
    // A subject that another stream has: found by the server when the others are restored already.
    let taken = json!({"name": "TAKEN", "subjects": ["counter.events.>"], "storage": "file"});
    fresh.create_stream(&taken).await?;

    let output = shelf.run(&fresh, "restore", "backup", &[]).await?.exit(1)?;

    ensure!(output.stderr.contains("nothing was restored") && output.stderr.contains("COUNTER_EVENTS"), "{output:?}");
    let names: Vec<String> = fresh.jetstream().stream_names().try_collect().await?;
    ensure!(names == ["TAKEN"], "{names:?}");
    Ok(())
}

#[tokio::test]
async fn a_backup_goes_only_where_nothing_lies_and_an_unfinished_one_is_none() -> Result<()> {
    let (nats, _) = with_past().await?;
    let shelf = Shelf::new()?;
    fs::create_dir(shelf.path("full"))?;
    fs::write(shelf.path("full").join("letter"), "dear")?;
    shelf.run(&nats, "backup", "full", &[]).await?.exit(5)?;
    ensure!(fs::read_dir(shelf.path("full"))?.count() == 1, "something was written");
    fs::create_dir(shelf.path("empty"))?;
    shelf.back_up(&nats, "empty").await?;

    fs::write(shelf.path("empty").join("UNFINISHED"), "")?;
    let output = shelf.run(&Nats::start().await?, "restore", "empty", &[]).await?.exit(2)?;
    ensure!(output.stderr.contains("never finished"), "{output:?}");
    shelf.run(&nats, "restore", "nowhere", &[]).await?.exit(1)?;
    Ok(())
}

/// Until the directory has its name there is only one that is marked as unfinished.
fn backup_of(shelf: &Shelf, name: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(shelf.dir.path())?.map(|entry| Ok(entry?.path()));
    let paths: Result<Vec<PathBuf>> = entries.collect();
    Ok(paths?.into_iter().filter(|path| path.file_name().is_some_and(|found| found == Path::new(name))).collect())
}

#[tokio::test]
async fn a_backup_while_commands_flow_is_consistent() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::builder(&nats)?.env("SNAPSHOT_FREQUENCY", 5).start(&nats).await?;
    let shelf = Shelf::new()?;
    let agents = agents(&nats, 4).await?;
    let (before, during) = (load(&nats, &agents, 4, 20).await?, async {
        let loading = load(&nats, &agents, 4, 60);
        let backing_up = async {
            // In the midst of them, not before the first.
            let first = nats.stream_messages("AGENT_EVENTS").await?;
            tests::eventually("commands flow", async || {
                ensure!(nats.stream_messages("AGENT_EVENTS").await? > first + 20, "not yet");
                Ok(())
            })
            .await?;
            shelf.back_up(&nats, "backup").await
        };
        tokio::try_join!(loading, backing_up)
    });
    let (sent, _) = during.await?;
    ensure!(host.terminate().await? == 0);
    ensure!(backup_of(&shelf, "backup")?.len() == 1);
    let fresh = Nats::start().await?;

    shelf.restore(&fresh, "backup").await?;

    // What was answered before it began is in it; of what came meanwhile a beginning.
    ensure_log_agrees(&fresh, &before).await?;
    let (restored, all) = (fresh.stored_at_once("AGENT_EVENTS").await?, nats.stored_at_once("AGENT_EVENTS").await?);
    ensure!(restored.len() < all.len() && restored.len() > before.len(), "{} of {}", restored.len(), all.len());
    for (one, other) in restored.iter().zip(&all) {
        ensure!((one.sequence, one.id()?, one.time_ms) == (other.sequence, other.id()?, other.time_ms), "{one:?}");
    }
    for agent in &agents {
        ensure_history(&fresh.stored(&agent.id).await?)?;
    }
    let _host = Host::start(&fresh).await?;
    for agent in &agents {
        let events = fresh.stored(&agent.id).await?.len() as u64;
        ensure!(fresh.ask(agent.state()).await?.ok()?.version()? == events);
        ensure!(fresh.ask(agent.set("after", 1)).await?.ok()?.version()? == events + 1);
    }
    ensure!(sent.len() == 4 * 4 * 60, "{}", sent.len());
    Ok(())
}

#[tokio::test]
async fn without_nats_nothing_is_begun() -> Result<()> {
    let shelf = Shelf::new()?;
    let path = shelf.path("backup");
    let nowhere = Cli::for_url("nats://127.0.0.1:1").env("NATS_CONNECT_TIMEOUT", "100ms");
    let begun = std::time::Instant::now();
    nowhere.run(&["backup", path.to_str().context("UTF-8")?]).await?.exit(6)?;
    ensure!(!path.exists() && begun.elapsed() < Duration::from_secs(10));
    Ok(())
}
