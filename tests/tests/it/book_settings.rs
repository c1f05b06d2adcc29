//! The page of all settings: in step with the binary. It must not know any setting.

use std::process::Command;

use anyhow::{Result, ensure};
use tests::deployment::{output, repository, settings};
use tests::plugins::service_binary;

#[test]
fn the_page_is_what_the_binary_prints() -> Result<()> {
    let printed = output(Command::new(service_binary()?).arg("settings").env_clear(), "")?;
    let page = std::fs::read_to_string(repository().join("docs/settings.md"))?;
    ensure!(page == printed, "docs/settings.md is not what the code says: agent-service settings > docs/settings.md");
    for name in settings()? {
        ensure!(page.contains(&format!("\n| `{name}` | `--")), "{name} has no row");
    }
    Ok(())
}
