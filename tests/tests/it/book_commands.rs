//! The commands of the book, typed as they stand, page by page. It must not know what they do: what they
//! print is on the pages.

use anyhow::Result;
use tests::rehearsal::rehearse;

#[test]
fn practice_md() -> Result<()> {
    rehearse("practice.md")
}

#[test]
fn configure_md() -> Result<()> {
    rehearse("configure.md")
}

#[test]
fn operate_md() -> Result<()> {
    rehearse("operate.md")
}

#[test]
fn scale_md() -> Result<()> {
    rehearse("scale.md")
}

#[test]
fn upgrade_md() -> Result<()> {
    rehearse("upgrade.md")
}

#[test]
fn backup_md() -> Result<()> {
    rehearse("backup.md")
}

#[test]
fn restore_md() -> Result<()> {
    rehearse("restore.md")
}

#[test]
fn verify_md() -> Result<()> {
    rehearse("verify.md")
}

#[test]
fn drill_service_md() -> Result<()> {
    rehearse("drill-service.md")
}

#[test]
fn drill_cluster_md() -> Result<()> {
    rehearse("drill-cluster.md")
}

#[test]
fn drill_data_md() -> Result<()> {
    rehearse("drill-data.md")
}

#[test]
fn runbook_md() -> Result<()> {
    rehearse("runbook.md")
}

#[test]
fn troubleshooting_md() -> Result<()> {
    rehearse("troubleshooting.md")
}

#[test]
fn swap_plugins_md() -> Result<()> {
    rehearse("swap-plugins.md")
}

#[test]
fn inbox_md() -> Result<()> {
    rehearse("inbox.md")
}

#[test]
fn agent_domain_md() -> Result<()> {
    rehearse("agent-domain.md")
}
