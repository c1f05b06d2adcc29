//! The systemd unit: what systemd says of it, and the host under as many of its restrictions as a process
//! without rights can put on. It must not start systemd, nor need to be root.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tests::deployment::{output, settings, shipped, shipped_path};
use tests::plugins::service_binary;
use tests::{Agent, Host, Nats, PluginDir};
use xtask::deploy_checkers::installed;

const UNIT: &str = "systemd/agent-service.service";
const PROGRAM: &str = "/usr/bin/agent-service";

/// systemd before 254 does not know these, and says so.
const NEWER_KEYS: [&str; 2] = ["RestartSteps", "RestartMaxDelaySec"];

/// No capability is kept, and none can come back.
const RESTRICTIONS: [&str; 3] = ["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"];

/// The values that the unit gives to a key, in order.
fn values(unit: &str, key: &str) -> Vec<String> {
    let lines = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines.map(|value| value.trim().to_owned()).collect()
}

fn value(unit: &str, key: &str) -> Result<String> {
    let mut all = values(unit, key);
    ensure!(all.len() == 1, "{key} is set {} times", all.len());
    all.pop().with_context(|| format!("no {key}"))
}

fn environment(unit: &str) -> Result<Vec<(String, String)>> {
    let split = |line: String| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    values(unit, "Environment").into_iter().map(|line| split(line).context("an assignment")).collect()
}

#[test]
fn systemd_has_nothing_against_the_unit() -> Result<()> {
    let Some(mut systemd) = installed("systemd-analyze") else { return Ok(()) };
    let dir = TempDir::with_prefix("agent-service-unit-")?;
    let file = dir.path().join("agent-service.service");
    let unit = shipped(UNIT)?;
    ensure!(value(&unit, "ExecStart")? == PROGRAM);
    std::fs::write(&file, unit.replace(PROGRAM, &service_binary()?.canonicalize()?.display().to_string()))?;

    let judged = systemd.args(["verify", "--man=no"]).arg(&file).output()?;
    let said = String::from_utf8_lossy(&judged.stderr).into_owned();
    let of_newer_keys = |line: &str| NEWER_KEYS.iter().any(|key| line.contains(&format!("Unknown key '{key}'")));
    let rest: Vec<&str> = said.lines().filter(|line| !of_newer_keys(line)).collect();
    ensure!(judged.status.success() && rest.is_empty(), "{}: {rest:#?}", judged.status);
    Ok(())
}

#[test]
fn the_unit_exposes_little() -> Result<()> {
    let Some(mut systemd) = installed("systemd-analyze") else { return Ok(()) };
    // In tenths.
    let judged = systemd.args(["security", "--offline=true", "--threshold=20", "--no-pager"]);
    output(judged.arg(shipped_path(UNIT)), "").map(drop)
}

#[test]
fn the_units_files_agree_with_one_another_and_with_the_host() -> Result<()> {
    let (unit, known) = (shipped(UNIT)?, settings()?);
    let environment = environment(&unit)?;
    let file = shipped("systemd/agent-service.env")?;
    let suggested = file.lines().filter_map(|line| line.strip_prefix('#')?.split_once('=')).map(|one| one.0.to_owned());
    let named: BTreeSet<String> = environment.iter().map(|one| one.0.clone()).chain(suggested).collect();
    ensure!(named.is_subset(&known), "no settings: {:?}", named.difference(&known).collect::<Vec<_>>());

    let user = value(&unit, "User")?;
    ensure!(shipped("systemd/agent-service.sysusers.conf")?.contains(&format!("\nu {user} ")), "nobody makes {user}");
    let plugins = environment.iter().find(|one| one.0 == "PLUGIN_DIR").context("PLUGIN_DIR")?.1.clone();
    let state = format!("/var/lib/{}", value(&unit, "StateDirectory")?);
    ensure!(plugins.starts_with(&state), "{plugins} is not under {state}");
    ensure!(
        shipped("systemd/agent-service.tmpfiles.conf")?.contains(&format!("\nd {plugins} ")),
        "nobody makes {plugins}"
    );

    // Plugins become machine code in the process.
    ensure!(values(&unit, "MemoryDenyWriteExecute").is_empty() && unit.contains("# MemoryDenyWriteExecute"));
    Ok(())
}

#[tokio::test]
async fn the_host_works_with_the_units_environment_and_without_any_right() -> Result<()> {
    let unit = shipped(UNIT)?;
    let nats = Nats::start().await?;
    let (plugins, cache) = (PluginDir::of_counter()?, TempDir::with_prefix("agent-service-cache-")?);
    plugins.put("agent.wasm", &tests::plugins::plugin("agent")?)?;
    let mut host = Host::builder(&nats)?.plugins_of(&plugins);
    for (name, value) in environment(&unit)? {
        host = match name.as_str() {
            // What this machine has elsewhere.
            "NATS_URL" | "PLUGIN_DIR" | "HTTP_ADDR" => host,
            "PLUGIN_CACHE_DIR" => host.env(&name, cache.path().display()),
            _ => host.env(&name, value),
        };
    }
    ensure!(value(&unit, "NoNewPrivileges")? == "yes" && value(&unit, "CapabilityBoundingSet")?.is_empty());
    // Taking from the bounding set needs a right that only root has.
    let tried = Command::new("setpriv").args(RESTRICTIONS).arg("true").status();
    let restricted = tried.is_ok_and(|status| status.success());
    if restricted {
        let mut program = vec!["setpriv"];
        program.extend(RESTRICTIONS);
        let mask = format!("umask {} && exec \"$@\"", value(&unit, "UMask")?);
        program.extend(["sh", "-c", &mask, "sh"]);
        host = host.through(&program);
    } else {
        eprintln!("SKIPPED: setpriv cannot drop rights here; the host runs with the unit's environment only");
    }
    let host = host.start(&nats).await?;

    let agent = Agent::new();
    nats.ask(agent.deploy_configured()).await?.ok()?;
    for number in 0..200 {
        nats.ask(agent.set("number", number)).await?.ok()?;
    }

    if restricted {
        ensure!(host.status("NoNewPrivs")? == "1" && host.status("CapEff")?.trim_matches('0').is_empty());
    }
    let threads: u64 = host.status("Threads")?.parse()?;
    ensure!(threads < value(&unit, "TasksMax")?.parse()?, "{threads} threads");
    let memory_max_kib = value(&unit, "MemoryHigh")?.trim_end_matches('M').parse::<u64>()? << 10;
    ensure!(host.resident_kib()? < memory_max_kib, "{} KiB", host.resident_kib()?);
    Ok(())
}
