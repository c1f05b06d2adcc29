//! All connections of a host end, and new ones are refused for a while. It must not touch those of clients.

use anyhow::Result;

use super::dice::Dice;
use super::site::Site;
use crate::proxy::Line;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    let seat = site.any_seat(dice);
    seat.set_lines(Line::Cut);
    dice.dwell(50..=2_000).await;
    seat.set_lines(Line::Open);
    Ok(())
}
