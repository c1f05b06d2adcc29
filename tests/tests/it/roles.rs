//! The roles of `deploy/nats/roles`: each does its job with its permissions, and nothing else. A theme
//! with several files; it must not test certificates.

mod answers;
mod combined;
mod limits;
mod missing;
mod page;
mod work;

use anyhow::{Result, ensure};
use tests::Host;

/// Whether the server has refused the host anything.
fn was_refused_nothing(host: &Host) -> Result<()> {
    let log = host.log()?;
    ensure!(!log.contains("this user may not") && !log.contains("Permissions Violation"), "{log}");
    Ok(())
}
