//! `plugin check`: the gate as a dry run, against what real hosts have recorded. It must not test
//! what the gate itself compares, nor how code goes live.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::cli::Output;
use tests::{Cli, Host, Message, Nats, plugins};

/// A domain with a past, and a place from which its plugins are checked.
struct Checking {
    nats: Nats,
    host: Host,
    home: TempDir,
}

impl Checking {
    /// Two counters, counted by the first version, which is live.
    async fn begin() -> Result<Self> {
        let nats = Nats::start().await?;
        let home = TempDir::new()?;
        std::fs::create_dir(home.path().join("plugins"))?;
        let host = Host::builder(&nats)?.without_plugins().plugin("counter")?;
        let host = host.env("PLUGIN_CACHE_DIR", home.path().join("cache").display()).start(&nats).await?;
        for (id, by) in [("visitors", 1), ("visitors", 2), ("orders", 5)] {
            let payload = json!({"counter_id": id, "by": by}).to_string();
            nats.ask(Message::to("counter.commands.increment", payload)).await?.ok()?;
        }
        Ok(Self { nats, host, home })
    }

    /// Where the live version lies in a plugin directory.
    fn with_live_file(self) -> Result<Self> {
        std::fs::copy(plugins::plugin("counter")?, self.home.path().join("plugins/counter.wasm"))?;
        Ok(self)
    }

    fn cli(&self) -> Cli {
        Cli::new(&self.nats).env("PLUGIN_DIR", self.home.path().join("plugins").display())
    }

    async fn check(&self, plugin: &Path, options: &[&str]) -> Result<Output> {
        self.cli().run(&[&["plugin", "check", text(plugin)?], options].concat()).await
    }

    /// The names of all streams with how often each was written to.
    async fn written(&self) -> Result<Vec<(String, u64)>> {
        let jetstream = self.nats.jetstream();
        let streams: Vec<_> = jetstream.streams().try_collect().await?;
        let mut written: Vec<_> =
            streams.into_iter().map(|info| (info.config.name, info.state.last_sequence)).collect();
        written.sort();
        Ok(written)
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

fn successor(name: &str) -> Result<PathBuf> {
    plugins::successor(&format!("counter-{name}"))
}

fn accepted(document: &Value) -> Result<&Value> {
    ensure!(document["accepted"] == true && document["reason"].is_null(), "{document}");
    Ok(&document["report"])
}

#[tokio::test]
async fn what_does_the_same_would_go_live_and_nothing_is_changed_by_asking() -> Result<()> {
    let checking = Checking::begin().await?.with_live_file()?;
    let before = checking.written().await?;

    let document = checking.check(&successor("refactored")?, &[]).await?.exit(0)?.json()?;

    let report = accepted(&document)?;
    ensure!(report["verdict"] == "same" && report["candidate"]["version"] == "0.1.1", "{report}");
    ensure!(report["live"]["version"] == "0.1.0", "{report}");
    ensure!(report["compared"]["aggregates"] == 2 && report["compared"]["events"] == 3, "{report}");
    let against = document["against"].as_str().context("against what")?;
    ensure!(against.contains("its host") && against.contains("plugins/counter.wasm"), "{against}");
    ensure!(checking.written().await? == before, "something was written");
    Ok(())
}

#[tokio::test]
async fn what_misreads_an_event_would_be_refused_with_the_diff() -> Result<()> {
    let checking = Checking::begin().await?.with_live_file()?;
    let drifting = successor("drifting")?;

    let document = checking.check(&drifting, &[]).await?.exit(2)?.json()?;
    ensure!(document["accepted"] == false, "{document}");
    let reason = document["reason"].as_str().context("a reason")?;
    ensure!(reason.contains("state of 2 recorded aggregates differs") && reason.contains("--accept-drift"), "{reason}");
    let differences = document["report"]["differences"].as_array().context("differences")?;
    let of_visitors = differences.iter().find(|one| one["aggregate"] == "visitors").context("visitors")?;
    ensure!(of_visitors["version"] == 1 && of_visitors["event"] == "incremented", "{of_visitors}");
    ensure!(of_visitors["places"] == json!([{"path": "/count", "live": "1", "candidate": "2"}]), "{of_visitors}");

    let words = checking.check(&drifting, &["--output", "text"]).await?.exit(2)?.stdout;
    for expected in [
        "verdict    different",
        "visitors parts at version 1",
        "/count\n    - 1\n    + 2",
        "would not go live. If that is wanted",
    ] {
        ensure!(words.contains(expected), "no {expected} in\n{words}");
    }
    Ok(())
}

#[tokio::test]
async fn a_difference_that_is_wanted_passes() -> Result<()> {
    let checking = Checking::begin().await?.with_live_file()?;

    let document = checking.check(&successor("drifting")?, &["--accept-drift"]).await?.exit(0)?.json()?;
    ensure!(accepted(&document)?["verdict"] == "different", "{document}");
    Ok(())
}

#[tokio::test]
async fn what_fails_on_a_recorded_event_is_refused_whatever_is_accepted() -> Result<()> {
    let checking = Checking::begin().await?.with_live_file()?;
    let reset = json!({"counter_id": "orders"}).to_string();
    checking.nats.ask(Message::to("counter.commands.reset", reset)).await?.ok()?;

    let document = checking.check(&successor("forgetful")?, &["--accept-drift"]).await?.exit(2)?.json()?;
    ensure!(document["report"]["verdict"] == "failed", "{document}");
    ensure!(document["reason"].as_str().is_some_and(|reason| reason.contains("Events are facts")), "{document}");
    Ok(())
}

#[tokio::test]
async fn the_live_code_is_found_among_what_was_kept() -> Result<()> {
    let checking = Checking::begin().await?;
    let cli = checking.cli().env("PLUGIN_CACHE_DIR", checking.home.path().join("cache").display());

    let drifting = successor("drifting")?;
    let document = cli.run(&["plugin", "check", text(&drifting)?]).await?.exit(2)?.json()?;

    ensure!(document["against"].as_str().is_some_and(|against| against.contains("PLUGIN_CACHE_DIR")), "{document}");
    ensure!(document["report"]["verdict"] == "different", "{document}");
    Ok(())
}

#[tokio::test]
async fn without_the_live_code_it_says_so_and_evolves_only() -> Result<()> {
    let checking = Checking::begin().await?;

    let document = checking.check(&successor("drifting")?, &[]).await?.exit(0)?.json()?;

    let report = accepted(&document)?;
    ensure!(report["live"].is_null() && report["compared"]["aggregates"] == 2, "{report}");
    let against = document["against"].as_str().context("against what")?;
    for expected in ["nothing", "is live, says its host", "PLUGIN_DIR", "--against"] {
        ensure!(against.contains(expected), "no {expected} in {against}");
    }
    Ok(())
}

#[tokio::test]
async fn it_is_held_against_a_file_that_is_named_while_no_host_runs() -> Result<()> {
    let mut checking = Checking::begin().await?;
    ensure!(checking.host.terminate().await? == 0);
    let counter = plugins::plugin("counter")?;
    let against = ["--against", text(&counter)?];

    let document = checking.check(&successor("refactored")?, &against).await?.exit(0)?.json()?;
    ensure!(accepted(&document)?["verdict"] == "same", "{document}");
    checking.check(&successor("drifting")?, &against).await?.exit(2)?;
    // It is the named file that is no good, which says nothing of the other.
    let agent = plugins::plugin("agent")?;
    let output = checking.check(&successor("refactored")?, &["--against", text(&agent)?]).await?.exit(1)?;
    ensure!(output.stderr.contains("brings the domain agent"), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn while_no_host_runs_the_newest_event_names_the_live_code() -> Result<()> {
    let mut checking = Checking::begin().await?.with_live_file()?;
    ensure!(checking.host.terminate().await? == 0);

    let document = checking.check(&successor("drifting")?, &[]).await?.exit(2)?.json()?;
    ensure!(document["against"].as_str().is_some_and(|against| against.contains("newest event")), "{document}");
    Ok(())
}

#[tokio::test]
async fn where_nothing_is_recorded_there_is_nothing_to_misread_and_nothing_is_made() -> Result<()> {
    let nats = Nats::start().await?;
    let counter = plugins::plugin("counter")?;
    let args = ["plugin", "check", text(&counter)?];

    let document = Cli::new(&nats).run(&args).await?.exit(0)?.json()?;

    ensure!(accepted(&document)?.is_null(), "{document}");
    ensure!(document["against"].as_str().is_some_and(|against| against.contains("nothing is recorded")), "{document}");
    let streams: Vec<String> = nats.jetstream().stream_names().try_collect().await?;
    ensure!(streams.is_empty(), "{streams:?}");
    Ok(())
}

#[tokio::test]
async fn without_nats_or_a_log_it_is_unavailable() -> Result<()> {
    let refactored = successor("refactored")?;
    let args = ["plugin", "check", text(&refactored)?];

    let nowhere = Cli::for_url("nats://127.0.0.1:1").env("NATS_CONNECT_TIMEOUT", "100ms");
    let output = nowhere.run(&args).await?.exit(6)?;
    ensure!(output.stderr.contains("cannot be reached") && output.stdout.is_empty(), "{output:?}");

    // Snapshots without their stream: what they stood for is lost.
    let mut checking = Checking::begin().await?;
    ensure!(checking.host.terminate().await? == 0);
    checking.nats.jetstream().delete_stream("COUNTER_EVENTS").await?;
    let output = checking.cli().run(&args).await?.exit(6)?;
    ensure!(output.stderr.contains("COUNTER_EVENTS") && output.stderr.contains("is gone"), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn what_a_host_would_not_even_look_into_is_refused_before_nats_is_asked() -> Result<()> {
    let home = TempDir::new()?;
    let nowhere = Cli::for_url("nats://127.0.0.1:1");
    let stranger = home.path().join("stranger.wasm");
    std::fs::write(&stranger, "hello")?;
    let output = nowhere.run(&["plugin", "check", text(&stranger)?]).await?.exit(2)?;
    ensure!(output.stderr.contains("stranger.wasm is no plugin"), "{output:?}");

    let counter = plugins::plugin("counter")?;
    let key = nkeys::KeyPair::new_user().public_key();
    let output = nowhere.env("PLUGIN_TRUSTED_KEYS", key).run(&["plugin", "check", text(&counter)?]).await?.exit(2)?;
    ensure!(output.stderr.contains("would be refused") && output.stderr.contains("not signed"), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn a_log_gets_progress_only_where_it_is_asked_for() -> Result<()> {
    let checking = Checking::begin().await?.with_live_file()?;
    let refactored = successor("refactored")?;

    let quiet = checking.check(&refactored, &[]).await?.exit(0)?;
    ensure!(quiet.stderr.is_empty(), "{quiet:?}");
    let told = checking.check(&refactored, &["--verbose"]).await?.exit(0)?;
    ensure!(told.stderr == "  0 %  position 1 of 3, 0 aggregates\n", "{told:?}");
    Ok(())
}

#[tokio::test]
async fn the_budget_is_that_of_the_host_unless_another_is_given() -> Result<()> {
    let checking = Checking::begin().await?.with_live_file()?;
    let refactored = successor("refactored")?;
    let args = ["plugin", "check", text(&refactored)?];

    let compared = |document: &Value| document["report"]["compared"]["aggregates"].clone();
    let document = checking.cli().env("PLUGIN_GATE_AGGREGATES", 1).run(&args).await?.exit(0)?.json()?;
    ensure!(compared(&document) == 1, "{document}");
    ensure!(document["report"]["not_compared"] == json!(["1 aggregates: the gate takes 1"]), "{document}");
    let args = [&args[..], &["--aggregates", "2"]].concat();
    let document = checking.cli().env("PLUGIN_GATE_AGGREGATES", 1).run(&args).await?.exit(0)?.json()?;
    ensure!(compared(&document) == 2, "{document}");
    Ok(())
}
