//! The buckets gone, emptied, tampered with: what is live stays, and hosts say what is wrong. It
//! must not test plugins that are at fault themselves.

use anyhow::{Context, Result, ensure};
use tests::plugins::successor;
use tests::{Counter, PATIENCE};

use super::kit::{Fleet, PLUGINS, WANTED, refused, status};

/// Commands flow, whoever takes them.
async fn serves_on(fleet: &Fleet, counter: &Counter, hosts: usize) -> Result<()> {
    for _ in 0..4 * hosts {
        fleet.nats.ask(counter.increment(1)).await?.ok()?;
    }
    Ok(())
}

#[tokio::test]
async fn a_deleted_bucket_leaves_what_is_live_and_is_complained_of() -> Result<()> {
    let (fleet, mut hosts) = Fleet::serving(2).await?;
    let first = fleet.wanted().await?;
    let counter = Counter::new();
    fleet.nats.ask(counter.increment(1)).await?.ok()?;

    fleet.nats.jetstream().delete_key_value(WANTED).await?;
    for host in &hosts {
        host.logs(&["warn", WANTED, "plugin push", "what is live stays"]).await?;
    }
    serves_on(&fleet, &counter, 2).await?;
    fleet.all_live(2, &first).await?;

    // A host that starts makes it anew, with nothing in it: that is no wish of anybody.
    let mut newcomer = fleet.host()?.spawn()?;
    newcomer.logs(&["not ready"]).await?;
    let second = fleet.push(&successor("counter-refactored")?).await?;
    for host in &hosts {
        host.logs(&["info", "can be read again"]).await?;
        let complaints = host.log()?.matches("what is live stays").count();
        ensure!(complaints == 1, "{complaints} complaints of one thing");
    }
    serves_on(&fleet, &counter, 2).await?;
    let live = |list: &serde_json::Value| status(list).is_null() || status(list)["live"]["activation"] == 1;
    let lists = fleet.all_tell(3, "what was live is", live).await?;
    ensure!(lists.iter().filter(|list| status(list).is_null()).count() == 1, "{lists:#?}");

    // Numbers go on above what is live, and all follow.
    let wanted = fleet.activate_above(second, first.activation).await?;
    fleet.all_live(3, &wanted).await?;
    serves_on(&fleet, &counter, 3).await?;
    for host in hosts.iter_mut().chain([&mut newcomer]) {
        ensure!(host.is_running()?);
    }
    Ok(())
}

#[tokio::test]
async fn a_component_that_was_tampered_with_is_refused_by_its_digest_until_it_is_pushed_again() -> Result<()> {
    let (fleet, _hosts) = Fleet::serving(2).await?;
    let first = fleet.wanted().await?;
    let digest = fleet.push(&successor("counter-refactored")?).await?;
    let objects = fleet.nats.jetstream().get_object_store(PLUGINS).await?;
    let other = std::fs::read(successor("counter-doubling")?)?;
    objects.put(digest.to_string().as_str(), &mut &other[..]).await?;

    let wanted = fleet.activate(digest).await?;
    let lists = fleet.all_tell(2, "both refuse it", |list| !refused(list).is_null()).await?;

    for list in &lists {
        let why = refused(list)["why"].as_str().unwrap_or_default().to_owned();
        ensure!(why.contains(&digest.to_string()) && why.contains("damaged") && why.contains("push"), "{why}");
        ensure!(status(list)["live"]["digest"] == first.digest.to_string(), "{list:#}");
    }
    serves_on(&fleet, &Counter::new(), 2).await?;

    // As the refusal says: nothing else is needed.
    ensure!(fleet.push(&successor("counter-refactored")?).await? == digest);
    let lists = fleet.all_live(2, &wanted).await?;
    ensure!(lists.iter().all(|list| refused(list).is_null()), "{lists:#?}");
    Ok(())
}

#[tokio::test]
async fn a_component_that_is_gone_from_the_store_is_served_by_those_who_have_kept_it() -> Result<()> {
    let (fleet, mut hosts) = Fleet::serving(1).await?;
    let first = fleet.wanted().await?;
    let objects = fleet.nats.jetstream().get_object_store(PLUGINS).await?;
    let counter = Counter::new();

    objects.delete(first.digest.to_string()).await?;
    serves_on(&fleet, &counter, 1).await?;
    ensure!(hosts[0].terminate().await? == 0);
    hosts = fleet.start(1).await?;
    let lists = fleet.all_live(1, &first).await?;
    ensure!(refused(&lists[0]).is_null(), "{lists:#?}");
    serves_on(&fleet, &counter, 1).await?;

    // What is wanted now was never here: the code before goes on until it can be had.
    ensure!(hosts[0].terminate().await? == 0);
    let second = fleet.push(&successor("counter-refactored")?).await?;
    let wanted = fleet.activate(second).await?;
    objects.delete(second.to_string()).await?;
    hosts = fleet.start(1).await?;
    let lists = fleet.all_tell(1, "the code before goes on", |list| !status(list).is_null()).await?;
    ensure!(status(&lists[0])["live"]["activation"] == first.activation, "{lists:#?}");
    ensure!(status(&lists[0])["live"]["digest"] == first.digest.to_string(), "{lists:#?}");
    let why = refused(&lists[0])["why"].as_str().unwrap_or_default().to_owned();
    ensure!(why.contains(&second.to_string()) && why.contains("push"), "{why}");
    serves_on(&fleet, &counter, 1).await?;

    ensure!(fleet.push(&successor("counter-refactored")?).await? == second);
    let lists = fleet.all_live(1, &wanted).await?;
    ensure!(refused(&lists[0]).is_null(), "{lists:#?}");
    serves_on(&fleet, &counter, 1).await?;
    ensure!(hosts[0].is_running()?);
    Ok(())
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_changes_nothing_and_a_deleted_one_retires_its_domain() -> Result<()> {
    let (fleet, hosts) = Fleet::serving(2).await?;
    let first = fleet.wanted().await?;
    let entries = fleet.nats.jetstream().get_key_value(WANTED).await?;
    let served = Counter::new();

    entries.put("counter", "no JSON".into()).await?;
    for host in &hosts {
        host.logs(&["error", "counter", "cannot be read"]).await?;
    }
    // What comes after is done after: then the entry before it has had its effect.
    entries.put("orders", format!(r#"{{"digest":"{}","activation":1}}"#, "ab".repeat(32)).into()).await?;
    fleet.all_tell(2, "both look at the next entry", |list| refused(list)["domain"] == "orders").await?;
    serves_on(&fleet, &served, 2).await?;
    fleet.all_live(2, &first).await?;

    entries.delete("counter").await?;
    fleet.all_tell(2, "both retire it", |list| status(list).is_null()).await?;
    ensure!(fleet.nats.try_ask(served.increment(1), PATIENCE).await?.is_none(), "still served");
    Ok(())
}

#[tokio::test]
async fn a_number_below_what_is_live_is_not_gone_to() -> Result<()> {
    let (fleet, _hosts) = Fleet::serving(1).await?;
    let first = fleet.wanted().await?.digest;
    let live = fleet.activate(first).await?;
    fleet.all_live(1, &live).await?;
    fleet.nats.ask(Counter::new().increment(1)).await?.ok()?;
    let second = fleet.push(&successor("counter-refactored")?).await?;

    let stale = format!(r#"{{"digest":"{second}","activation":1}}"#);
    fleet.nats.jetstream().get_key_value(WANTED).await?.put("counter", stale.into()).await?;

    let lists = fleet.all_tell(1, "it is refused", |list| !refused(list).is_null()).await?;
    let why = refused(&lists[0])["why"].as_str().context("why")?.to_owned();
    ensure!(why.contains("activation 1") && why.contains("activation 2"), "{why}");
    ensure!(status(&lists[0])["live"]["activation"] == 2, "{lists:#?}");
    Ok(())
}
