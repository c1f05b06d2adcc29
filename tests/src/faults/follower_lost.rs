//! SIGKILL of a server that follows the one that leads a stream, and its return. It must not take the
//! leader.

use anyhow::Result;

use super::dice::Dice;
use super::leader_lost::lose;
use super::site::Site;
use crate::servers::SERVERS;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    let step = if dice.below(2) == 0 { 1 } else { 2 };
    let follower = (site.leader().await? + step) % SERVERS;
    lose(site, follower, dice).await
}
