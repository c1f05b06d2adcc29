//! The fault suite in short: one run on each ground, and that it turns red where the host breaks a
//! promise. The long one is `cargo xtask faults`. It must not know how a violation is found.

use anyhow::{Result, ensure};
use tests::faults::disk::Disk;
use tests::faults::kind::Kind;
use tests::faults::{Findings, Plan};

/// Runs a plan, where nothing may be violated.
async fn holds(plan: Plan) -> Result<Findings> {
    let findings = plan.run().await?;
    let violations: Vec<String> = findings.violations.iter().map(ToString::to_string).collect();
    ensure!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
    ensure!(findings.counts.answered("ok") > 50, "hardly anything was done:\n{}", findings.counts);
    Ok(findings)
}

#[tokio::test]
async fn every_promise_holds_while_one_server_and_its_hosts_break() -> Result<()> {
    holds(Plan::of(1).with(&[Kind::HostKilled, Kind::ConnectionsCut, Kind::ServerKilled])).await?;
    Ok(())
}

#[tokio::test]
async fn every_promise_holds_while_a_disk_is_full_and_a_clock_jumps() -> Result<()> {
    let full = if Disk::may_be_mounted() { Kind::DiskFull } else { Kind::LimitReached };
    holds(Plan::of(2).with(&[full, Kind::ClockJumped, Kind::PacketsDelayed])).await?;
    Ok(())
}

#[tokio::test]
async fn a_site_serves_while_its_link_is_cut_and_the_hub_has_it_all_in_the_end() -> Result<()> {
    holds(Plan::of(5).with(&[Kind::LinkCut]).briefly()).await?;
    Ok(())
}

#[tokio::test]
async fn a_host_that_slept_longer_than_its_timeouts_writes_nothing_stale() -> Result<()> {
    let findings = holds(Plan::of(3).with(&[Kind::HostPaused])).await?;
    ensure!(findings.counts.unknown > 0, "nobody was kept waiting:\n{}", findings.counts);
    Ok(())
}

#[tokio::test]
async fn every_promise_holds_while_a_cluster_loses_its_leader_and_a_follower() -> Result<()> {
    holds(Plan::of(4).with(&[Kind::LeaderLost, Kind::FollowerLost])).await?;
    Ok(())
}

/// One of a few runs must be red: what is broken shows where hosts or faults meet.
async fn is_noticed(promise: &str, faults: &[Kind]) -> Result<()> {
    for seed in 1..=3 {
        let plan = Plan { sabotage: Some(promise.into()), ..Plan::of(seed).with(faults) };
        if plan.run().await?.counts.violations > 0 {
            return Ok(());
        }
    }
    anyhow::bail!("a host that breaks the promise `{promise}` was not noticed")
}

#[tokio::test]
async fn a_host_that_skips_the_expected_sequence_is_noticed() -> Result<()> {
    is_noticed("expected-sequence", &[Kind::HostKilled]).await
}

#[tokio::test]
async fn a_host_that_answers_before_the_acknowledgement_is_noticed() -> Result<()> {
    is_noticed("reply-before-ack", &[Kind::ServerKilled]).await
}
