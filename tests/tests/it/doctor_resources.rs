//! What doctor and start say of a machine that has too little for a host, each want made for real. It must
//! not test files and settings.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use tempfile::{NamedTempFile, TempDir};
use tests::{Doctor, Host, Nats, PluginDir, eventually, skipped};

/// Where nobody listens: what is looked at here needs no NATS.
const NOWHERE: &str = "nats://127.0.0.1:1";
/// A mount that nobody else sees, and that ends with its process.
const APART: [&str; 4] = ["unshare", "--user", "--map-root-user", "--mount"];

fn doctor() -> Result<Doctor> {
    Ok(Doctor::for_url(NOWHERE)?.env("NATS_CONNECT_TIMEOUT", "1ms"))
}

/// What starts a program with so many open files at most.
fn limited(files: u32) -> Vec<String> {
    ["sh", "-c", &format!("ulimit -n {files} && exec \"$@\""), "sh"].map(str::to_owned).to_vec()
}

/// What starts a program that sees something else in the place of a file or directory; `None`, with a word
/// of it, where this machine lets nobody mount anything.
fn mounted(mount: &str) -> Option<Vec<String>> {
    let script = format!("mount {mount} && exec \"$@\"");
    let line: Vec<String> = APART.iter().copied().chain(["sh", "-c", &script, "sh"]).map(str::to_owned).collect();
    let tried = Command::new(&line[0]).args(&line[1..]).arg("true").status();
    if tried.is_ok_and(|status| status.success()) {
        return Some(line);
    }
    skipped(&format!(
        "`{} mount {mount}` is refused here: what the doctor says of it is not looked at",
        APART.join(" ")
    ));
    None
}

fn disk(place: &Path, options: &str) -> Option<Vec<String>> {
    mounted(&format!("-t tmpfs -o mode=0700,{options} none '{}'", place.display()))
}

fn parts(line: &[String]) -> Vec<&str> {
    line.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn few_open_files_are_a_warning_of_doctor_and_start() -> Result<()> {
    let (few, enough) = (limited(255), limited(256));
    doctor()?.through(&parts(&few)).finds("warning", "open_files", &["255 files", "LimitNOFILE="]).await?;
    doctor()?.through(&parts(&enough)).finds("ok", "open_files", &["256 files"]).await?;

    let nats = Nats::start().await?;
    let host = Host::builder(&nats)?.through(&parts(&few)).start(&nats).await?;
    host.logs(&["warn", "check=\"open_files\"", "255 files", "LimitNOFILE="]).await
}

#[tokio::test]
async fn more_live_aggregates_than_the_machine_has_memory_for_are_a_warning_of_doctor_and_start() -> Result<()> {
    // By 4 KB each 80 MB, beside 60 MB for the host itself.
    let aggregates = ("CACHE_CAPACITY", 20_000);
    let here = || Ok::<_, anyhow::Error>(doctor()?.env(aggregates.0, aggregates.1));
    here()?.finds("ok", "memory", &["CACHE_CAPACITY=20000", "133.5 MiB", "this "]).await?;

    let machine = NamedTempFile::new()?;
    // As containers are shown less than the machine has.
    fs::write(machine.path(), "MemTotal:         163840 kB\nMemFree:          163840 kB\n")?;
    let Some(small) = mounted(&format!("--bind '{}' /proc/meminfo", machine.path().display())) else { return Ok(()) };
    let told = ["CACHE_CAPACITY=20000", "this machine has 160.0 MiB", "lower CACHE_CAPACITY"];
    here()?.through(&parts(&small)).finds("warning", "memory", &told).await?;
    fs::write(machine.path(), "MemTotal:         174080 kB\n")?;
    here()?.through(&parts(&small)).finds("ok", "memory", &["this machine has 170.0 MiB"]).await?;

    fs::write(machine.path(), "MemTotal:         163840 kB\n")?;
    let nats = Nats::start().await?;
    let host = Host::builder(&nats)?.env(aggregates.0, aggregates.1).through(&parts(&small)).start(&nats).await?;
    host.logs(&["warn", "check=\"memory\"", "this machine has 160.0 MiB"]).await
}

#[tokio::test]
async fn more_live_aggregates_than_the_control_group_has_memory_for_are_a_warning() -> Result<()> {
    let groups = TempDir::with_prefix("agent-service-groups-")?;
    fs::write(groups.path().join("memory.max"), "134217728\n")?;
    let group = format!("--bind '{}' /sys/fs/cgroup", groups.path().display());
    let Some(within) = mounted(&group) else { return Ok(()) };
    let doctor = || Ok::<_, anyhow::Error>(doctor()?.env("CACHE_CAPACITY", 20_000).through(&parts(&within)));
    doctor()?.finds("warning", "memory", &["this control group may have 128.0 MiB", "raise the limit"]).await?;
    fs::write(groups.path().join("memory.max"), "max\n")?;
    doctor()?.finds("ok", "memory", &["this machine has"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_disk_with_little_room_is_a_warning_of_doctor_and_start() -> Result<()> {
    let nats = Nats::start().await?;
    let doctor = Doctor::new(&nats)?;
    let cache = doctor.cache().to_owned();
    let Some(small) = disk(&cache, "size=255m") else { return Ok(()) };
    let doctor = doctor.through(&parts(&small));
    let report = doctor.finds("warning", "disk", &["PLUGIN_CACHE_DIR", "255.0 MiB left", "make room"]).await?;
    // The plugins lie elsewhere.
    ensure!(report.checks("warning").iter().filter(|check| **check == "disk").count() == 1, "{report:?}");

    let host = Host::builder(&nats)?.env("PLUGIN_CACHE_DIR", cache.display()).through(&parts(&small));
    let host = host.start(&nats).await?;
    host.logs(&["warn", "check=\"disk\"", "PLUGIN_CACHE_DIR", "make room"]).await?;

    let Some(enough) = disk(&cache, "size=257m") else { return Ok(()) };
    doctor.through(&parts(&enough)).finds("ok", "disk", &["PLUGIN_CACHE_DIR", "257.0 MiB left"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_disk_that_takes_no_more_files_is_a_warning() -> Result<()> {
    let doctor = doctor()?;
    // The one that it takes is its root.
    let Some(full) = disk(doctor.cache(), "size=1g,nr_inodes=1") else { return Ok(()) };
    doctor.through(&parts(&full)).finds("warning", "disk", &["PLUGIN_CACHE_DIR", "no more files"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_host_here_that_is_up_and_not_ready_is_a_failure_with_the_part_until_it_is() -> Result<()> {
    let (nats, plugins) = (Nats::start().await?, PluginDir::new()?);
    let host = Host::builder(&nats)?.plugins_of(&plugins).env("HTTP_ADDR", "127.0.0.1:0").spawn()?;
    let doctor = Doctor::new(&nats)?.env("HTTP_ADDR", host.http_address().await?);
    let report = doctor.finds("failure", "http", &["plugins", "not ready", "there is no plugin"]).await?;
    ensure!(report.code() == 9, "{report:?}");

    plugins.put("agent.wasm", &tests::plugins::plugin("agent")?)?;
    let ready = async || doctor.looks(&[]).await?.has("ok", "http", &["is ready"]);
    eventually("the host is ready, and the doctor says so", ready).await?;

    nats.server()?.kill()?;
    let away = async || doctor.looks(&[]).await?.has("failure", "http", &["\"about\":\"nats\"", "not ready"]);
    eventually("the host knows that NATS is away, and so does the doctor", away).await
}
