//! A host that is behind the others: it was away, or it cannot go where they went. It must not
//! serve what their newer code has written, and serve all else. It must not test a fleet that goes
//! together.

use agent_service::fleet::Wanted;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::plugins::{plugin, successor};
use tests::{Counter, Host, eventually};

use super::kit::{Fleet, refused, signed, status};

/// Two hosts that serve a signed first version, the second of which takes no other than signed
/// ones, and the component.
async fn with_a_strict_host() -> Result<(Fleet, Host, Host, Vec<u8>)> {
    let fleet = Fleet::new().await?;
    let (component, key) = signed(&plugin("counter")?).await?;
    let first = fleet.activate(fleet.push_bytes(&component).await?).await?;
    let lax = fleet.host()?.env("SNAPSHOT_FREQUENCY", 1).spawn()?;
    let strict = fleet.host()?.env("PLUGIN_TRUSTED_KEYS", key).spawn()?;
    fleet.all_live(2, &first).await?;
    Ok((fleet, lax, strict, component))
}

/// Waits until each of the two has made up its mind.
async fn taken_or_refused(fleet: &Fleet, wanted: &Wanted) -> Result<Vec<Value>> {
    let has_decided = |list: &Value| {
        let status = status(list);
        status["wanted"]["activation"] == wanted.activation
            && (status["live"]["activation"] == wanted.activation || !refused(list).is_null())
    };
    fleet.all_tell(2, "each host has taken or refused it", has_decided).await
}

#[tokio::test]
async fn a_host_that_was_away_catches_up_when_it_returns() -> Result<()> {
    let (fleet, mut hosts) = Fleet::serving(2).await?;
    let counter = Counter::new();
    fleet.nats.ask(counter.increment(1)).await?.ok()?;
    ensure!(hosts[1].terminate().await? == 0);

    fleet.activate(fleet.push(&successor("counter-refactored")?).await?).await?;
    let wanted = fleet.activate(fleet.push(&successor("counter-wider")?).await?).await?;
    fleet.all_live(1, &wanted).await?;
    fleet.nats.ask(counter.decrement(1)).await?.ok()?;
    // As on another machine: nothing but the fleet's store knows the component.
    let cache = TempDir::with_prefix("agent-service-cache-")?;
    hosts[1] = fleet.host_with_cache(cache.path())?.spawn()?;
    fleet.all_live(2, &wanted).await?;
    hosts[0].kill().await?;

    fleet.all_live(1, &wanted).await?;
    let reply = fleet.done(counter.decrement(0)).await?;
    ensure!(reply.version()? == 3, "{}", reply.body);
    let decided = fleet.decided(&counter).await?;
    ensure!(decided.iter().map(|one| one.activation).eq([1, 3, 3]), "{decided:?}");
    Ok(())
}

#[tokio::test]
async fn a_host_that_cannot_follow_leaves_alone_what_newer_code_has_written() -> Result<()> {
    let (fleet, mut lax, _strict, component) = with_a_strict_host().await?;
    let first = fleet.wanted().await?;
    let (both, old) = (Counter::new(), Counter::new());
    for counter in [&both, &old] {
        fleet.nats.ask(counter.increment(1)).await?.ok()?;
    }

    let unsigned = fleet.activate(fleet.push(&successor("counter-refactored")?).await?).await?;
    let lists = taken_or_refused(&fleet, &unsigned).await?;
    let strict = lists.iter().find(|list| !refused(list).is_null()).context("nobody refuses")?;
    let why = refused(strict)["why"].as_str().unwrap_or_default().to_owned();
    ensure!(why.contains("not signed") && why.contains(&unsigned.digest.to_string()), "{why}");
    ensure!(status(strict)["wanted"] == json!({"digest": unsigned.digest, "activation": 2}), "{strict:#}");
    ensure!(status(strict)["live"]["digest"] == first.digest.to_string(), "{strict:#}");
    let fresh = Counter::new();
    for counter in [&both, &fresh] {
        eventually("the host that could go on has decided", async || {
            fleet.done(counter.increment(1)).await?;
            let decided = fleet.decided(counter).await?;
            ensure!(decided.last().is_some_and(|last| last.activation == 2), "{decided:?}");
            Ok(())
        })
        .await?;
    }
    ensure!(lax.terminate().await? == 0);

    for message in [both.increment(1), fresh.state()] {
        let reply = fleet.nats.ask(message).await?.error("unavailable")?;
        reply.naming(&["activation 2", "activation 1", "again"])?;
    }
    ensure!(fleet.nats.ask(old.increment(1)).await?.ok()?.version()? == 2);
    ensure!(fleet.decided(&old).await?.iter().all(|one| one.activation == 1));

    // Where it can go on, it serves all again.
    let signed = fleet.activate(fleet.push_bytes(&component).await?).await?;
    let lists = fleet.all_live(1, &signed).await?;
    ensure!(refused(&lists[0]).is_null(), "{lists:#?}");
    for counter in [&both, &old, &fresh] {
        fleet.nats.ask(counter.increment(1)).await?.ok()?;
        let decided = fleet.decided(counter).await?;
        ensure!(decided.is_sorted_by_key(|one| one.activation), "{decided:?}");
        ensure!(decided.last().is_some_and(|last| last.activation == signed.activation), "{decided:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_snapshot_of_newer_code_hides_nothing_from_a_host_that_cannot_follow() -> Result<()> {
    let (fleet, mut lax, _strict, component) = with_a_strict_host().await?;
    let unsigned = fleet.push(&successor("counter-refactored")?).await?;
    let signed = fleet.push_bytes(&component).await?;
    let seed = Counter::new();
    fleet.nats.ask(seed.increment(1)).await?.ok()?;
    // There and back through the gate: each is then known to read the other one's snapshots.
    for digest in [unsigned, signed] {
        let wanted = fleet.activate(digest).await?;
        taken_or_refused(&fleet, &wanted).await?;
    }
    let same = fleet.activate(signed).await?;
    fleet.all_live(2, &same).await?;
    let last = fleet.activate(unsigned).await?;
    let there =
        |list: &serde_json::Value| status(list)["live"]["activation"] == last.activation || !refused(list).is_null();
    fleet.all_tell(2, "one goes on, one refuses", there).await?;

    // One that the host which could not go on has never seen.
    let counter = eventually("the host that could go on takes a new counter", async || {
        let counter = Counter::new();
        fleet.nats.ask(counter.increment(1)).await?.ok()?;
        let decided = fleet.decided(&counter).await?;
        ensure!(decided[0].activation == last.activation, "{decided:?}");
        Ok(counter)
    })
    .await?;
    // Stopping leaves a snapshot behind that ends where the log does.
    ensure!(lax.terminate().await? == 0);

    fleet.nats.ask(counter.increment(1)).await?.error("unavailable")?.naming(&["activation 5"])?;
    let decided = fleet.decided(&counter).await?;
    ensure!(decided.is_sorted_by_key(|one| one.activation), "{decided:?}");
    Ok(())
}
