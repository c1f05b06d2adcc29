//! Everything that a host sends and gets comes late. It must not lose any of it.

use anyhow::Result;

use super::dice::Dice;
use super::site::Site;
use crate::proxy::Line;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    let late = dice.time(5..=250);
    let seat = site.any_seat(dice);
    seat.set_lines(Line::Late(late));
    dice.dwell(1_000..=3_000).await;
    seat.set_lines(Line::Open);
    Ok(())
}
