//! Signals to processes that the tests have started. It must not know what they are.

use anyhow::{Context, Result, ensure};

/// Sends a signal by name (`TERM`, `STOP`, `CONT`) through the shell's own `kill`, so that no
/// unsafe code is needed for it.
pub async fn send(name: &str, process: u32) -> Result<()> {
    let status = tokio::process::Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {process}"))
        .status()
        .await
        .context("sh does not start")?;
    ensure!(status.success(), "signal {name} to process {process} failed");
    Ok(())
}
