//! Commands of the durable lane that fail again and again: parked in order with those behind them,
//! while others flow, and tried again or dropped from the command line. It must not test hosts.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::inbox::{misbehave, misbehave_state};
use tests::{Cli, Host, Message, Nats, eventually};

async fn host(nats: &Nats) -> Result<Host> {
    let host = Host::builder(nats)?.plugin("misbehave")?.env("INBOX_TRIES", 2).start(nats).await?;
    nats.stream_stands("MISBEHAVE_INBOX").await?;
    nats.stream_stands("MISBEHAVE_DEAD").await?;
    Ok(host)
}

/// Waits until so many are parked and the inbox is empty.
async fn parked(nats: &Nats, count: u64) -> Result<()> {
    eventually("they are parked", async || {
        let found = nats.stream_messages("MISBEHAVE_DEAD").await?;
        ensure!(found == count, "{found} are parked");
        Ok(())
    })
    .await?;
    nats.inbox_is_empty("MISBEHAVE_INBOX").await
}

async fn runs(nats: &Nats, id: &str) -> Result<u64> {
    Ok(nats.ask(misbehave_state(id)).await?.ok()?.state()["runs"].as_u64().unwrap_or_default())
}

#[tokio::test]
async fn what_always_fails_is_parked_with_those_behind_while_others_flow() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = host(&nats).await?;
    let mut outcomes = nats.outcomes().await?;

    nats.accept(misbehave("bad", "behave")).await?;
    let trap =
        misbehave("bad", "trap").msg_id("trap").header("X-Own", "kept").header("Agent-Reply-To", &outcomes.subject);
    nats.accept(trap).await?;
    // More than the consumer lets be unacknowledged.
    for number in 0..300 {
        nats.accept(misbehave("bad", "behave").msg_id(&format!("behind-{number}"))).await?;
    }
    for _ in 0..5 {
        nats.accept(misbehave("good", "behave")).await?;
    }

    outcomes.next().await?.error("plugin_failed")?;
    parked(&nats, 301).await?;
    ensure!(runs(&nats, "good").await? == 5);
    ensure!(runs(&nats, "bad").await? == 1);
    let dead = nats.stored_in("MISBEHAVE_DEAD", "misbehave.dead.>").await?;
    ensure!(dead.iter().all(|parked| parked.subject == "misbehave.dead.bad.run"));
    ensure!(dead[0].header("Agent-Dead-Command-Id")? == "trap" && dead[0].header("Agent-Dead-Tries")? == "2");
    ensure!(dead[0].header("Agent-Dead-Code")? == "plugin_failed" && dead[0].header("X-Own")? == "kept");
    ensure!(!dead[0].header("Agent-Dead-Reason")?.is_empty());
    ensure!(dead[0].data == json!({"id": "bad", "mode": "trap"}), "{}", dead[0].data);
    for (number, parked) in dead[1..].iter().enumerate() {
        ensure!(parked.header("Agent-Dead-Command-Id")? == format!("behind-{number}"));
        ensure!(parked.header("Agent-Dead-Tries")? == "0");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_parked_stays_parked_for_the_next_host() -> Result<()> {
    let nats = Nats::start().await?;
    let mut first = host(&nats).await?;
    nats.accept(misbehave("bad", "trap")).await?;
    parked(&nats, 1).await?;
    first.kill().await?;

    nats.accept(misbehave("bad", "behave")).await?;
    let _second = Host::builder(&nats)?.plugin("misbehave")?.start(&nats).await?;

    parked(&nats, 2).await?;
    nats.ask(misbehave_state("bad")).await?.error("not_found")?;
    Ok(())
}

#[tokio::test]
async fn a_retry_goes_through_what_is_parked_in_order_and_a_skip_drops_one() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = host(&nats).await?;
    let cli = Cli::new(&nats);
    nats.accept(misbehave("bad", "trap").msg_id("trap")).await?;
    for number in 0..3 {
        nats.accept(misbehave("bad", "behave").msg_id(&format!("behind-{number}"))).await?;
    }
    nats.accept(misbehave("worse", "trap")).await?;
    parked(&nats, 5).await?;

    let listed = cli.run(&["inbox", "list", "misbehave", "bad", "--json"]).await?.exit(0)?.json_lines()?;
    ensure!(listed.len() == 4, "{listed:?}");
    ensure!(listed[0]["command_id"] == "trap" && listed[0]["tries"] == 2 && listed[0]["code"] == "plugin_failed");
    ensure!(listed[1]["command_id"] == "behind-0" && listed[1]["tries"] == 0 && listed[1]["code"].is_null());
    let all = cli.run(&["inbox", "list", "misbehave", "--json"]).await?.exit(0)?.json_lines()?;
    ensure!(all.len() == 5, "{all:?}");
    let sequence = listed[0]["sequence"].to_string();
    let shown = cli.run(&["inbox", "show", "misbehave", &sequence, "--json"]).await?.exit(0)?.json()?;
    ensure!(shown["payload"] == json!({"id": "bad", "mode": "trap"}), "{shown}");
    ensure!(shown["headers"]["Agent-Dead-Command-Id"] == json!(["trap"]), "{shown}");

    // It fails again and stays where it is, with those behind it.
    cli.run(&["inbox", "retry", "misbehave", "bad"]).await?.exit(0)?;
    nats.inbox_is_empty("MISBEHAVE_INBOX").await?;
    parked(&nats, 5).await?;

    cli.run(&["inbox", "skip", "misbehave", &sequence]).await?.exit(0)?;
    cli.run(&["inbox", "skip", "misbehave", &sequence]).await?.exit(4)?;
    // Behind those that are parked, and before the retry.
    nats.accept(misbehave("bad", "behave").msg_id("last")).await?;
    cli.run(&["inbox", "retry", "misbehave", "bad"]).await?.exit(0)?;
    parked(&nats, 1).await?;
    let events = nats.stored_in("MISBEHAVE_EVENTS", "misbehave.events.bad.>").await?;
    let causes: Vec<&str> = events.iter().map(|event| event.header("ce-causationid")).collect::<Result<_>>()?;
    ensure!(causes == ["behind-0", "behind-1", "behind-2", "last"], "{causes:?}");

    // Nothing of it is parked any more, so the lane is free again.
    nats.accept(misbehave("bad", "behave").msg_id("free")).await?;
    nats.inbox_is_empty("MISBEHAVE_INBOX").await?;
    ensure!(runs(&nats, "bad").await? == 5);
    Ok(())
}

#[tokio::test]
async fn the_command_line_says_what_it_cannot_find() -> Result<()> {
    let nats = Nats::start().await?;
    let cli = Cli::new(&nats);
    cli.run(&["inbox", "list", "misbehave"]).await?.exit(4)?;
    let _host = host(&nats).await?;
    ensure!(cli.run(&["inbox", "list", "misbehave"]).await?.exit(0)?.stdout.is_empty());
    cli.run(&["inbox", "show", "misbehave", "7"]).await?.exit(4)?;
    cli.run(&["inbox", "retry", "misbehave", "nobody"]).await?.exit(4)?;
    cli.run(&["inbox", "list", "No-Domain"]).await?.exit(2)?;
    Ok(())
}

#[tokio::test]
async fn send_durable_is_accepted_and_executed() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = host(&nats).await?;
    let cli = Cli::new(&nats);
    let args = ["send", "misbehave", "run", r#"{"mode":"behave"}"#, "--id", "good", "--durable", "--msg-id", "c1"];

    let accepted = cli.run(&args).await?.exit(0)?.json()?;

    ensure!(accepted["status"] == "accepted" && accepted["stream"] == "MISBEHAVE_INBOX", "{accepted}");
    nats.inbox_is_empty("MISBEHAVE_INBOX").await?;
    ensure!(runs(&nats, "good").await? == 1);
    let nobody = Message::to("other.inbox.x", "{}");
    ensure!(nats.accept(nobody).await.is_err(), "a stream takes what is not its own");
    Ok(())
}
