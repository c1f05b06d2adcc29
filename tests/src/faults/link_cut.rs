//! The link of a leaf node to its hub is cut for a minute, and the site serves all the while. It must not
//! touch what runs at its ends.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::checker::{Rule, Violation};
use super::dice::Dice;
use super::ground::{LinkedHub, SITE};
use super::site::Site;
use crate::counter::Counter;
use crate::eventually::eventually;
use crate::proxy::Line;

/// How long, in milliseconds.
const LASTS_MS: RangeInclusive<u64> = 60_000..=75_000;
/// The same in the short version.
const BRIEF_MS: RangeInclusive<u64> = 6_000..=9_000;
/// How long the hub waits for a site that it may not reach.
const REACH: Duration = Duration::from_secs(1);

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    let lasts = dice.time(if site.is_brief() { BRIEF_MS } else { LASTS_MS });
    // Refused, or in silence as where packets are dropped.
    let line = if dice.below(2) == 0 { Line::Cut } else { Line::Stalled };
    let begun = Instant::now();
    let before = site.events().await?;
    let hub = site.hub()?;
    hub.link.set(line);
    eventually("the hub no longer reaches the site", async || {
        ensure!(!reaches(hub).await, "it does, by another way");
        Ok(())
    })
    .await?;
    let mut silent = None;
    while begun.elapsed() < lasts && silent.is_none() {
        // Confirmed by a read from the site's own JetStream.
        let query = Counter::new().state();
        let answered =
            eventually("a query is answered", async || site.nats().ask(query.clone()).await?.error("not_found"));
        silent = answered.await.err();
        dice.dwell(100..=500).await;
    }
    let stored = site.events().await? > before;
    ensure!(!reaches(hub).await, "the link stood again before its time");
    hub.link.set(Line::Open);
    let what = match silent {
        Some(error) => format!("{error:#}"),
        None if !stored => "nothing was stored".to_owned(),
        None => return Ok(()),
    };
    let what = format!("while the link was cut for {lasts:?} ({line:?}): {what}");
    site.report(Violation { rule: Rule::ServesAlone, what });
    Ok(())
}

async fn reaches(hub: &LinkedHub) -> bool {
    let nothing = json!({});
    let asked = hub.hub.nats.jetstream_api_of(SITE, "INFO", &nothing);
    matches!(tokio::time::timeout(REACH, asked).await, Ok(Ok(_)))
}
