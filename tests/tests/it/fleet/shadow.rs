//! A shadow: a candidate decides a share of the live commands beside the live code, and has no
//! effect. It must not test what the live code decides.

use std::sync::atomic::{AtomicBool, Ordering};

use agent_service::witness::Window;
use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use serde_json::{Value, json};
use tests::plugins::{plugin, successor};
use tests::{Counter, Host, Message};

use super::kit::{Fleet, status};

/// Commands that are sent beside a shadow.
const COMMANDS: usize = 100;
/// Longer than any test.
const LONG_MS: u64 = 600_000;

/// A host of a plugin directory, and the store of components that a shadow needs.
async fn with_dir_host() -> Result<(Fleet, Host)> {
    let fleet = Fleet::new().await?;
    let counter = std::fs::read(plugin("counter")?)?;
    let builder = Host::builder(&fleet.nats)?.without_plugins();
    let host = builder.plugin_file("counter.wasm", &counter).start(&fleet.nats).await?;
    Ok((fleet, host))
}

/// Starts a shadow of a successor on the one host, and returns its answer.
async fn shadow(fleet: &Fleet, name: &str, share: f64) -> Result<Value> {
    let digest = fleet.push(&successor(name)?).await?;
    let request = json!({"digest": digest, "share": share, "for_ms": LONG_MS});
    fleet.ask_hosts("shadow", &request, 1).await?.pop().context("an answer")
}

/// Sends commands to a few counters, each under a known id, and returns the ids.
async fn send(fleet: &Fleet, counters: &[Counter]) -> Result<Vec<String>> {
    let ids: Vec<String> = (0..COMMANDS).map(|n| format!("command-{n}")).collect();
    let message = |(n, id): (usize, &String)| -> Message { counters[n % counters.len()].increment(2).msg_id(id) };
    let replies = ids.iter().enumerate().map(|command| fleet.nats.ask(message(command)));
    for reply in try_join_all(replies).await? {
        reply.ok()?;
    }
    Ok(ids)
}

/// What the shadow has seen once it has looked at so many commands.
async fn seen(fleet: &Fleet, commands: usize) -> Result<Value> {
    let looked = |list: &Value| status(list)["shadow"]["compared"] == commands;
    let lists = fleet.all_tell(1, "the shadow has seen all", looked).await?;
    Ok(status(&lists[0])["shadow"].clone())
}

fn counters() -> Vec<Counter> {
    (0..5).map(|_| Counter::new()).collect()
}

#[tokio::test]
async fn a_candidate_that_decides_the_same_differs_in_nothing() -> Result<()> {
    let (fleet, _host) = with_dir_host().await?;
    let counters = counters();
    fleet.nats.ask(counters[0].increment(1)).await?.ok()?;
    let answer = shadow(&fleet, "counter-refactored", 1.0).await?;
    ensure!(answer["status"] == "ok", "{answer}");

    send(&fleet, &counters).await?;

    let seen = seen(&fleet, COMMANDS).await?;
    ensure!(seen["state"] == "running" && seen["version"] == "0.1.1", "{seen:#}");
    ensure!(seen["differing"] == 0 && seen["not_compared"] == 0 && seen["differences"] == json!([]), "{seen:#}");
    Ok(())
}

#[tokio::test]
async fn a_candidate_that_decides_otherwise_is_reported_and_has_no_effect() -> Result<()> {
    let (fleet, _host) = with_dir_host().await?;
    let counters = counters();
    shadow(&fleet, "counter-deciding-otherwise", 1.0).await?;

    let ids = send(&fleet, &counters).await?;

    let seen = seen(&fleet, COMMANDS).await?;
    ensure!(seen["differing"] == COMMANDS && seen["not_compared"] == 0, "{seen:#}");
    let differences = seen["differences"].as_array().context("differences")?;
    ensure!(!differences.is_empty() && differences.len() <= 5, "{seen:#}");
    for one in differences {
        ensure!(counters.iter().any(|counter| one["aggregate"] == counter.id), "{one:#}");
        ensure!(ids.iter().any(|id| one["command_id"] == *id) && one["verb"] == "increment", "{one:#}");
        ensure!(one["command"]["by"] == 2, "{one:#}");
        ensure!(one["live"]["events"] == json!([{"type": "incremented", "data": {"by": 2}}]), "{one:#}");
        ensure!(one["candidate"]["events"][0]["data"]["by"] == 3, "{one:#}");
        let place = &one["places"][0];
        ensure!(place.to_string().contains("by") && place.to_string().contains('3'), "{one:#}");
    }
    let live = agent_service::domain::Digest::of(&std::fs::read(plugin("counter")?)?).to_string();
    for counter in &counters {
        ensure!(fleet.count(counter).await? == 2 * (COMMANDS / counters.len()) as u64);
        let decided = fleet.decided(counter).await?;
        ensure!(decided.len() == COMMANDS / counters.len(), "{decided:?}");
        ensure!(decided.iter().all(|one| one.digest == live && one.activation == 1), "{decided:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_second_shadow_waits_until_the_first_has_ended() -> Result<()> {
    let (fleet, _host) = with_dir_host().await?;
    let digest = fleet.push(&successor("counter-refactored")?).await?;
    let brief = json!({"digest": digest, "share": 1.0, "for_ms": 300});
    fleet.ask_hosts("shadow", &brief, 1).await?;
    let ended = |list: &Value| status(list)["shadow"]["state"] == "done";
    fleet.all_tell(1, "the first has ended", ended).await?;

    let answer = shadow(&fleet, "counter-deciding-otherwise", 1.0).await?;
    ensure!(answer["status"] == "ok", "{answer}");
    let answer = shadow(&fleet, "counter-refactored", 1.0).await?;
    let message = answer["message"].as_str().unwrap_or_default();
    ensure!(answer["status"] == "error" && message.contains("shadowed already"), "{answer}");

    send(&fleet, &counters()).await?;
    let seen = seen(&fleet, COMMANDS).await?;
    ensure!(seen["version"] == "0.1.10" && seen["differing"] == COMMANDS, "{seen:#}");
    Ok(())
}

#[tokio::test]
async fn a_share_is_seen_and_the_rest_is_not() -> Result<()> {
    let (fleet, _host) = with_dir_host().await?;
    shadow(&fleet, "counter-refactored", 0.5).await?;

    let ids = send(&fleet, &counters()).await?;

    let (window, _) = Window::open(0.5);
    let expected = ids.iter().filter(|id| window.shows(id)).count();
    ensure!((30..=70).contains(&expected), "{expected} is not about half");
    let seen = seen(&fleet, expected).await?;
    ensure!(seen["not_compared"] == 0 && seen["differing"] == 0, "{seen:#}");
    Ok(())
}

#[tokio::test]
async fn a_shadow_that_cannot_be_had_is_refused_in_words() -> Result<()> {
    let (fleet, _host) = with_dir_host().await?;
    let unknown = json!({"digest": "ab".repeat(32), "share": 1.0, "for_ms": LONG_MS});
    let foreign = json!({"digest": fleet.push(&plugin("agent")?).await?, "share": 1.0, "for_ms": LONG_MS});
    let too_much = json!({"digest": "ab".repeat(32), "share": 1.5, "for_ms": LONG_MS});
    for (request, words) in [(unknown, "push"), (foreign, "not served"), (too_much, "share from 0 to 1")] {
        let answer = fleet.ask_hosts("shadow", &request, 1).await?.pop().context("an answer")?;
        let message = answer["message"].as_str().unwrap_or_default();
        ensure!(answer["status"] == "error" && message.contains(words), "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn a_shadow_ends_in_time_though_it_cannot_keep_up_with_the_commands() -> Result<()> {
    let (fleet, _host) = with_dir_host().await?;
    let digest = fleet.push(&successor("counter-greedy")?).await?;
    let brief = json!({"digest": digest, "share": 1.0, "for_ms": 500});
    fleet.ask_hosts("shadow", &brief, 1).await?;
    let counters = counters();
    let stop = AtomicBool::new(false);

    let clients = try_join_all((0..16).map(async |n| {
        while !stop.load(Ordering::SeqCst) {
            fleet.nats.ask(counters[n % counters.len()].increment(1)).await?.ok()?;
        }
        Ok::<_, anyhow::Error>(())
    }));
    let ends = async {
        let ended = |list: &Value| status(list)["shadow"]["state"] == "done";
        let lists = fleet.all_tell(1, "it ends under load", ended).await;
        stop.store(true, Ordering::SeqCst);
        lists
    };
    let (_, lists) = futures::try_join!(clients, ends)?;

    let seen = &status(&lists[0])["shadow"];
    ensure!(seen["differing"] == 0 && seen["not_compared"].as_u64() > Some(0), "it kept up: {seen:#}");
    Ok(())
}
