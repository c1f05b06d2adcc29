//! The file system under the only server is full (ENOSPC), and has room again. nats-server 2.15 stores
//! nothing more in a stream of which a write has failed, so it is started anew, as an operator does.
//! It must not touch the streams.

use anyhow::{Result, ensure};

use super::dice::Dice;
use super::site::Site;
use crate::eventually::eventually;

/// What the server logs for each message that has found no room.
const REFUSED: &str = "no space left on device";

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    let refused = || site.server(0, |server| Ok(server.log().matches(REFUSED).count()));
    let before = refused()?;
    site.disk()?.fill()?;
    eventually("something finds no room", async || {
        ensure!(refused()? > before, "the server stores all it gets");
        Ok(())
    })
    .await?;
    dice.dwell(500..=3_000).await;
    site.disk()?.empty()?;
    dice.dwell(0..=1_000).await;
    // In the order that ends a server well, or as whoever is in a hurry does it.
    if dice.below(2) == 0 {
        site.server(0, |server| server.stop())?;
    }
    site.server(0, |server| server.restart())
}
