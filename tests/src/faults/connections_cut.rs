//! All connections of a host end, and new ones are refused for a while. It must not touch those of clients.

use anyhow::Result;

use super::dice::Dice;
use super::proxy::Line;
use super::site::Site;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    let line = site.any_line(dice)?;
    line.set(Line::Cut);
    dice.dwell(50..=2_000).await;
    line.set(Line::Open);
    Ok(())
}
