//! Other code of one domain goes live while everybody works. It must not wait until it is live everywhere.

use anyhow::Result;

use super::dice::Dice;
use super::site::Site;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    site.put_other_plugin()?;
    dice.dwell(200..=1_500).await;
    Ok(())
}
