//! What the fleet wants reaches every host, passes its gate or is refused by it, and goes live
//! under the number that the fleet gave. It must not test what happens to commands meanwhile.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::plugins::{plugin, successor};
use tests::{Counter, eventually};

use super::kit::{Fleet, refused, status};

#[tokio::test]
async fn an_activated_component_reaches_every_host_and_the_next_one_too() -> Result<()> {
    let fleet = Fleet::new().await?;
    let hosts = fleet.start(2).await?;
    for host in &hosts {
        host.logs(&["not ready", "no plugin"]).await?;
    }

    let first = fleet.activate(fleet.push(&plugin("counter")?).await?).await?;
    let lists = fleet.all_live(2, &first).await?;

    ensure!(lists[0]["host"] != lists[1]["host"], "{lists:#?}");
    for list in &lists {
        ensure!(list["source"] == "nats" && list["refused"] == json!([]), "{list:#}");
        let status = status(list);
        ensure!(status["wanted"] == json!({"digest": first.digest, "activation": 1}), "{status:#}");
        ensure!(status["live"]["origin"] == "fleet" && status["previous"].is_null(), "{status:#}");
    }
    eventually("both answer a ping", async || {
        ensure!(fleet.nats.ping().await?.len() == 2, "not both");
        Ok(())
    })
    .await?;
    let counter = Counter::new();
    fleet.nats.ask(counter.increment(2)).await?.ok()?;

    let second = fleet.activate(fleet.push(&successor("counter-refactored")?).await?).await?;
    let lists = fleet.all_live(2, &second).await?;
    for list in &lists {
        ensure!(status(list)["previous"]["digest"] == first.digest.to_string(), "{list:#}");
        ensure!(status(list)["live"]["report"]["verdict"] == "same", "{list:#}");
    }
    ensure!(fleet.nats.ask(counter.increment(3)).await?.ok()?.version()? == 2);
    ensure!(fleet.count(&counter).await? == 5);

    let decided = fleet.decided(&counter).await?;
    ensure!(decided.iter().map(|one| one.activation).eq([1, 2]), "{decided:?}");
    ensure!(decided[0].digest == first.digest.to_string() && decided[1].digest == second.digest.to_string());
    Ok(())
}

#[tokio::test]
async fn a_component_that_drifts_is_refused_by_every_host_until_that_is_accepted() -> Result<()> {
    let (fleet, _hosts) = Fleet::serving(2).await?;
    let first = fleet.wanted().await?;
    let counter = Counter::new();
    fleet.nats.ask(counter.increment(2)).await?.ok()?;
    let mut told = fleet.told("refused").await?;

    let drifting = fleet.push(&successor("counter-drifting")?).await?;
    let wanted = fleet.activate(drifting).await?;
    let lists = fleet.all_tell(2, "both refuse it", |list| !refused(list).is_null()).await?;

    for list in &lists {
        let (status, refused) = (status(list), refused(list));
        ensure!(status["live"]["digest"] == first.digest.to_string() && status["live"]["activation"] == 1, "{list:#}");
        ensure!(status["wanted"] == json!({"digest": drifting, "activation": wanted.activation}), "{list:#}");
        ensure!(refused["digest"] == drifting.to_string() && refused["origin"] == "fleet", "{list:#}");
        let difference = &refused["report"]["differences"][0];
        ensure!(difference["aggregate"] == counter.id && difference["version"] == 1, "{list:#}");
        let why = refused["why"].as_str().unwrap_or_default();
        ensure!(why.contains("--accept-drift"), "no remedy: {why}");
        ensure!(told.next().await?["detail"]["digest"] == drifting.to_string());
    }
    ensure!(fleet.nats.ask(counter.increment(3)).await?.ok()?.version()? == 2);
    ensure!(fleet.count(&counter).await? == 5, "the live one serves on");

    let request = json!({"digest": drifting, "share": 1.0, "for_ms": 60_000});
    fleet.ask_hosts("shadow", &request, 2).await?;
    let both = |list: &Value| status(list)["shadow"]["state"] == "running" && !refused(list).is_null();
    fleet.all_tell(2, "a shadow settles no refusal", both).await?;

    let accepted = fleet.activate_with_drift(drifting).await?;
    let lists = fleet.all_live(2, &accepted).await?;
    ensure!(lists.iter().all(|list| list["refused"] == json!([])), "{lists:#?}");
    ensure!(fleet.count(&counter).await? == 7, "one more for each of two increments");
    Ok(())
}

#[tokio::test]
async fn a_host_that_starts_while_what_is_wanted_is_refused_serves_what_the_others_serve() -> Result<()> {
    let (fleet, mut hosts) = Fleet::serving(2).await?;
    let first = fleet.wanted().await?;
    let counter = Counter::new();
    fleet.nats.ask(counter.increment(2)).await?.ok()?;
    fleet.activate(fleet.push(&successor("counter-drifting")?).await?).await?;
    fleet.all_tell(2, "both refuse it", |list| !refused(list).is_null()).await?;

    // One comes back with what it has kept, one is new and has nothing but the fleet's store.
    hosts[0].kill().await?;
    hosts[0] = fleet.host()?.start(&fleet.nats).await?;
    let cache = tempfile::TempDir::with_prefix("agent-service-cache-")?;
    hosts.push(fleet.host_with_cache(cache.path())?.start(&fleet.nats).await?);

    let lists = fleet.all_live(3, &first).await?;
    ensure!(lists.iter().all(|list| !refused(list)["report"].is_null()), "{lists:#?}");
    for _ in 0..12 {
        fleet.nats.ask(counter.increment(1)).await?.ok()?;
    }
    ensure!(fleet.count(&counter).await? == 14);
    Ok(())
}
