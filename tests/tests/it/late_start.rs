//! A host that starts before what it needs is there. It must not test what a wrong setting does.

use anyhow::{Result, ensure};
use tests::faults::ground::Ground;
use tests::faults::site::Site;

#[tokio::test]
async fn a_host_that_starts_while_jetstream_has_no_leader_waits_for_one() -> Result<()> {
    let mut site = Site::set_up(Ground::Cluster, false, true, None).await?;
    let followers = [1, 2];
    for number in followers {
        site.server(number, |server| server.kill())?;
    }
    let seat = site.first_seat();
    seat.host.kill().await?;
    seat.start_anew()?;
    // One server of three accepts connections, and answers nothing that needs a majority.
    seat.host.logs(&["not started yet"]).await?;

    for number in followers {
        site.server(number, |server| server.restart())?;
    }

    site.settled().await?;
    ensure!(site.ended() == 0, "the host has ended instead of waiting");
    Ok(())
}
