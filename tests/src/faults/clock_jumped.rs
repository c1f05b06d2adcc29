//! The clock of one host jumps back an hour, and forward again. It must not touch the clock that measures spans.

use anyhow::Result;

use super::dice::Dice;
use super::site::Site;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    let seat = site.any_seat(dice);
    seat.shift_clock(-3_600)?;
    dice.dwell(500..=3_000).await;
    seat.shift_clock(0)
}
