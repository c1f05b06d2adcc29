//! SIGSTOP of one of two hosts for longer than any of its timeouts, then SIGCONT: what it had decided by then is
//! stale. It must not look at what it does afterwards.

use anyhow::Result;

use super::dice::Dice;
use super::site::Site;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    let seat = site.any_seat(dice);
    seat.host.signal("STOP").await?;
    // A request of a host waits for 5 s at most, an append for 2 s as these hosts are set.
    dice.dwell(5_200..=6_500).await;
    seat.host.signal("CONT").await
}
