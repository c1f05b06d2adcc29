//! Everything that a host sends and gets comes late. It must not lose any of it.

use anyhow::Result;

use super::dice::Dice;
use super::proxy::Line;
use super::site::Site;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    let late = dice.time(5..=250);
    let line = site.any_line(dice)?;
    line.set(Line::Late(late));
    dice.dwell(1_000..=3_000).await;
    line.set(Line::Open);
    Ok(())
}
