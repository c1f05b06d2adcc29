//! One server of a cluster no longer reaches the others, nor they it, while hosts and clients reach all of
//! them. It must not end a process.

use anyhow::Result;

use super::dice::Dice;
use super::site::Site;
use crate::proxy::Line;
use crate::servers::SERVERS;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    // The one that leads the agents' events, more often than one that follows.
    let step = usize::try_from(dice.below(4)).unwrap_or_default() % SERVERS;
    let server = (site.leader().await? + step) % SERVERS;
    // Refused, or in silence as where packets are dropped.
    let line = if dice.below(2) == 0 { Line::Cut } else { Line::Stalled };
    site.servers().set_routes_of(server, line);
    // A leader without followers steps down after 10 s: some come back before, some after.
    dice.dwell(1_000..=14_000).await;
    site.servers().set_routes_of(server, Line::Open);
    site.replicas_are_current().await
}
