//! `cargo xtask build`: what is shipped, in one directory. It must not know how it is
//! packed or deployed.

use anyhow::Result;

use crate::artifacts::{self, AGENT, COUNTER, Profile};
use crate::terminal::Terminal;
use crate::workspace;

/// Leaves the release build of the host and the plugins in `target/dist`.
pub(crate) fn run() -> Result<()> {
    let host = artifacts::host(Profile::Release)?;
    let plugins = artifacts::plugins()?;
    let dist = workspace::target_dir().join("dist");
    let parts = [
        (host, "agent-service".to_owned()),
        (plugins.join(AGENT.file), format!("plugins/{}", AGENT.file)),
        (plugins.join(COUNTER.file), format!("examples/{}", COUNTER.file)),
    ];
    for (from, name) in parts {
        let to = dist.join(name);
        artifacts::place(&from, &to)?;
        let shown = to.strip_prefix(workspace::root()).unwrap_or(&to);
        let size_bytes = to.metadata().map(|metadata| metadata.len()).unwrap_or_default();
        Terminal::stdout().line(&format!("{} ({} KiB)", shown.display(), size_bytes.div_ceil(1024)))?;
    }
    Ok(())
}
