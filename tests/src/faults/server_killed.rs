//! SIGKILL of the only server, which syncs every write, and a new start on its store. It must not touch the hosts.

use anyhow::Result;

use super::dice::Dice;
use super::site::Site;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    site.server(0, |server| server.kill())?;
    dice.dwell(0..=2_000).await;
    site.server(0, |server| server.restart())
}
