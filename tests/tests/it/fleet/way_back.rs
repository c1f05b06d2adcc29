//! The way back: an operator's, and the one that a host takes by itself when new code fails on
//! probation. It must not test how old and new code meet while it spreads.

use anyhow::{Context, Result, ensure};
use tests::plugins::successor;
use tests::{Counter, eventually};

use super::kit::{Fleet, is_live, status};

#[tokio::test]
async fn code_that_fails_on_probation_is_put_back_everywhere_by_one_host() -> Result<()> {
    let (fleet, hosts) = Fleet::serving(2).await?;
    let first = fleet.wanted().await?;
    let stumbling = fleet.activate(fleet.push(&successor("counter-stumbling")?).await?).await?;
    fleet.all_live(2, &stumbling).await?;
    let mut told = fleet.told("rolled_back").await?;

    eventually("the fleet goes back", async || {
        // Every tenth decision of an instance fails, and each host lets three pass.
        let counter = Counter::new();
        let replies = (0..20).map(|_| fleet.nats.ask(counter.increment(1)));
        futures::future::try_join_all(replies).await?;
        ensure!(fleet.wanted().await?.rollback, "not yet");
        Ok(())
    })
    .await?;

    let back = fleet.wanted().await?;
    ensure!((back.digest, back.activation, back.previous) == (first.digest, 3, None), "{back:?}");
    ensure!(back.denied.len() == 1 && back.denied[0].digest == stumbling.digest, "{back:?}");
    ensure!(back.why.contains("probation") && !back.by.is_empty(), "{back:?}");
    fleet.all_live(2, &back).await?;
    for _ in &hosts {
        let event = told.next().await?;
        ensure!(event["detail"]["activation"] == 3, "{event:#}");
        ensure!(event["detail"]["why"].as_str().is_some_and(|why| why.contains("probation")), "{event:#}");
    }
    let counter = Counter::new();
    for n in 1..=20 {
        ensure!(fleet.nats.ask(counter.increment(1)).await?.ok()?.version()? == n);
    }
    let decided = fleet.decided(&counter).await?;
    ensure!(decided.iter().all(|one| one.activation == 3), "{decided:?}");

    // Told to, the fleet tries it again.
    let again = fleet.activate(stumbling.digest).await?;
    ensure!(again.activation == 4 && again.denied.is_empty(), "{again:?}");
    fleet.all_live(2, &again).await?;
    Ok(())
}

#[tokio::test]
async fn going_back_parks_what_the_older_code_cannot_read_and_serves_the_rest() -> Result<()> {
    let (fleet, mut hosts) = Fleet::serving(2).await?;
    let first = fleet.wanted().await?;
    let wider = fleet.activate(fleet.push(&successor("counter-wider")?).await?).await?;
    fleet.all_live(2, &wider).await?;
    let (down, up) = (Counter::new(), Counter::new());
    for counter in [&down, &up] {
        fleet.nats.ask(counter.increment(5)).await?.ok()?;
    }
    fleet.nats.ask(down.decrement(1)).await?.ok()?;
    let mut told = fleet.told("rolled_back").await?;

    let back = fleet.roll_back().await?;
    ensure!((back.digest, back.activation, back.previous) == (first.digest, 3, Some(wider.digest)), "{back:?}");
    fleet.all_live(2, &back).await?;

    for _ in 0..2 {
        let event = told.next().await?;
        ensure!(event["detail"]["parked"] == 1 && event["detail"]["activation"] == 3, "{event:#}");
        let failure = &event["detail"]["report"]["failures"][0];
        ensure!(failure["aggregate"] == down.id, "{event:#}");
    }
    // Before any event of the older code stands: the log still names the wider one as the last.
    hosts[0].kill().await?;
    hosts[0] = fleet.host()?.start(&fleet.nats).await?;
    let cache = tempfile::TempDir::with_prefix("agent-service-cache-")?;
    hosts.push(fleet.host_with_cache(cache.path())?.start(&fleet.nats).await?);
    fleet.all_live(3, &back).await?;

    for n in 0..6 {
        fleet.nats.ask(down.increment(1)).await?.error("plugin_failed")?.naming(&["sequence 3"])?;
        ensure!(fleet.nats.ask(up.increment(1)).await?.ok()?.version()? == n + 2);
    }
    ensure!(fleet.count(&up).await? == 11);

    // Forth again, and nothing was lost.
    let forth = fleet.roll_back().await?;
    ensure!((forth.digest, forth.activation) == (wider.digest, 4), "{forth:?}");
    fleet.all_live(3, &forth).await?;
    ensure!(fleet.count(&down).await? == 4);
    ensure!(fleet.nats.ask(down.decrement(1)).await?.ok()?.version()? == 3);
    Ok(())
}

#[tokio::test]
async fn a_host_that_stands_already_where_the_fleet_goes_back_to_takes_the_number() -> Result<()> {
    let (fleet, _hosts) = Fleet::serving(1).await?;
    let counter = Counter::new();
    fleet.nats.ask(counter.increment(2)).await?.ok()?;
    fleet.activate(fleet.push(&successor("counter-drifting")?).await?).await?;
    fleet.all_tell(1, "it refuses", |list| !list["refused"][0].is_null()).await?;

    let back = fleet.roll_back().await?;
    let lists = fleet.all_live(1, &back).await?;

    ensure!(is_live(&lists[0], back.digest, 3) && lists[0]["refused"][0].is_null(), "{lists:#?}");
    ensure!(status(&lists[0])["wanted"]["activation"] == 3, "{lists:#?}");
    fleet.nats.ask(counter.increment(2)).await?.ok()?;
    let last = fleet.decided(&counter).await?.pop().context("an event")?;
    ensure!(last.activation == 3, "{last:?}");
    Ok(())
}
