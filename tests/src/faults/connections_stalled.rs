//! The connections of a host stay open and nothing passes for longer than its timeouts; then all of it does. It
//! must not touch those of clients.

use anyhow::Result;

use super::dice::Dice;
use super::proxy::Line;
use super::site::Site;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    let line = site.any_line(dice)?;
    line.set(Line::Stalled);
    dice.dwell(1_000..=6_500).await;
    line.set(Line::Open);
    Ok(())
}
