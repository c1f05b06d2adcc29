//! SIGKILL of one of the hosts, and a new one in its place a while later. It must not wait for it to be idle.

use anyhow::Result;

use super::dice::Dice;
use super::site::Site;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    let seat = site.any_seat(dice);
    seat.host.kill().await?;
    dice.dwell(0..=1_500).await;
    seat.start_anew()
}
