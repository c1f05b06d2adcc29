//! The connections of a host stay open and nothing passes for longer than its timeouts; then all of it does. It
//! must not touch those of clients.

use anyhow::Result;

use super::dice::Dice;
use super::site::Site;
use crate::proxy::Line;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    let seat = site.any_seat(dice);
    seat.set_lines(Line::Stalled);
    dice.dwell(1_000..=6_500).await;
    seat.set_lines(Line::Open);
    Ok(())
}
