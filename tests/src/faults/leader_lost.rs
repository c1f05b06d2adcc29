//! SIGKILL of the server that leads a stream, in a cluster of three, and its return. It must not say
//! who leads next.

use anyhow::Result;

use super::dice::Dice;
use super::site::Site;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    let leader = site.leader().await?;
    lose(site, leader, dice).await
}

/// Kills a server for a while, and waits until it has caught up: one may be lost at a time.
pub(super) async fn lose(site: &mut Site, server: usize, dice: &mut Dice) -> Result<()> {
    site.server(server, |server| server.kill())?;
    dice.dwell(200..=4_000).await;
    site.server(server, |server| server.restart())?;
    site.replicas_are_current().await
}
