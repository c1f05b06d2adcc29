//! What the doctor sees of settings, files, plugins and this machine, and what the start says of the
//! same. It must not test what it sees of NATS.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Result, ensure};
use nkeys::KeyPair;
use tempfile::NamedTempFile;
use tests::certificates::{Certificates, Flaw};
use tests::plugins::plugin;
use tests::{Cli, Doctor, Host, HostBuilder, Nats};
use tokio::net::TcpListener;

/// Where nobody listens: what is looked at here needs no NATS.
const NOWHERE: &str = "nats://127.0.0.1:1";

fn doctor() -> Result<Doctor> {
    Ok(Doctor::for_url(NOWHERE)?.env("NATS_CONNECT_TIMEOUT", "1ms"))
}

/// Doctor and host with the same TLS files.
fn with_tls(nats: &Nats, certificate: &Path, key: &Path) -> Result<(Doctor, HostBuilder)> {
    let (certificate, key) = (certificate.display(), key.display());
    let doctor = doctor()?.env("NATS_TLS_CERT", certificate.to_string()).env("NATS_TLS_KEY", key.to_string());
    Ok((doctor, Host::builder(nats)?.env("NATS_TLS_CERT", certificate).env("NATS_TLS_KEY", key)))
}

#[tokio::test]
async fn settings_that_do_not_go_together_are_a_failure() -> Result<()> {
    doctor()?.env("NATS_USER", "alone").finds("failure", "settings", &["NATS_USER", "NATS_PASSWORD"]).await?;
    Ok(())
}

#[tokio::test]
async fn settings_that_cannot_be_read_end_it_with_exit_code_1() -> Result<()> {
    let output = Cli::for_url(NOWHERE).env("CACHE_CAPACITY", "all").run(&["doctor"]).await?.exit(1)?;
    ensure!(output.stderr.contains("CACHE_CAPACITY") && output.stdout.is_empty(), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn credentials_that_are_missing_damaged_or_open_to_all_are_found() -> Result<()> {
    doctor()?.env("NATS_CREDS", "/nowhere/a.creds").finds("failure", "credentials", &["/nowhere/a.creds"]).await?;
    let file = NamedTempFile::new()?;
    let with_file = || Ok::<_, anyhow::Error>(doctor()?.env("NATS_NKEY", file.path().display()));

    fs::write(file.path(), "SUAPPLE")?;
    let report = with_file()?.finds("failure", "credentials", &["damaged"]).await?;
    ensure!(!format!("{report:?}").contains("SUAPPLE"), "a secret is told");
    fs::write(file.path(), KeyPair::new_user().seed()?)?;
    with_file()?.finds("ok", "credentials", &[]).await?;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644))?;
    with_file()?.finds("warning", "credentials", &["chmod o-r"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_is_missing_is_named_by_doctor_and_start() -> Result<()> {
    let (nats, certificates) = (Nats::start().await?, Certificates::new()?);
    let (doctor, host) = with_tls(&nats, Path::new("/nowhere/a.pem"), &certificates.file("client-key.pem"))?;
    doctor.finds("failure", "certificates", &["NATS_TLS_CERT", "/nowhere/a.pem"]).await?;
    host.refuses(&["NATS_TLS_CERT", "/nowhere/a.pem", "this user may read"]).await
}

#[tokio::test]
async fn a_file_without_a_certificate_is_named_by_doctor_and_start() -> Result<()> {
    let (nats, certificates) = (Nats::start().await?, Certificates::new()?);
    let key = certificates.file("client-key.pem");
    let (doctor, host) = with_tls(&nats, &key, &key)?;
    doctor.finds("failure", "certificates", &["NATS_TLS_CERT", "holds no certificate"]).await?;
    host.refuses(&["NATS_TLS_CERT", "holds no certificate"]).await
}

#[tokio::test]
async fn a_key_of_another_certificate_is_named_by_doctor_and_start() -> Result<()> {
    let (nats, certificates) = (Nats::start().await?, Certificates::new()?);
    let (doctor, host) = with_tls(&nats, &certificates.file("client.pem"), &certificates.file("server-key.pem"))?;
    doctor.finds("failure", "certificates", &["NATS_TLS_KEY", "server-key.pem", "made together"]).await?;
    host.refuses(&["NATS_TLS_KEY", "server-key.pem", "made together"]).await
}

#[tokio::test]
async fn an_expired_certificate_is_a_failure_and_another_is_well() -> Result<()> {
    let nats = Nats::start().await?;
    let certificates = Certificates::new()?;
    certificates.flawed("expired", Flaw::Expired)?;
    let (doctor, _) = with_tls(&nats, &certificates.file("expired.pem"), &certificates.file("expired-key.pem"))?;
    doctor.finds("failure", "certificates", &["NATS_TLS_CERT", "ended at 2020-"]).await?;

    let (doctor, _) = with_tls(&nats, &certificates.file("client.pem"), &certificates.file("client-key.pem"))?;
    doctor.finds("ok", "certificates", &["holds until"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_plugin_directory_that_is_missing_or_empty_is_found() -> Result<()> {
    doctor()?.env("PLUGIN_DIR", "/nowhere").finds("failure", "plugin_dir", &["/nowhere"]).await?;
    let doctor = doctor()?;
    doctor.plugins.remove("agent.wasm")?;
    doctor.finds("warning", "plugin_dir", &["nothing would be served"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_no_plugin_is_a_failure_and_one_that_was_never_compiled_is_left_out() -> Result<()> {
    let doctor = doctor()?;
    doctor.plugins.put_bytes("junk.wasm", b"no component")?;
    let report = doctor.finds("failure", "plugins", &["junk.wasm", "no WebAssembly component"]).await?;
    report.has("skipped", "plugins", &["agent.wasm", "plugin inspect"])
}

#[tokio::test]
async fn two_plugins_of_one_domain_are_found_once_they_were_compiled() -> Result<()> {
    let nats = Nats::start().await?;
    let doctor = Doctor::new(&nats)?;
    doctor.plugins.put("second.wasm", &plugin("agent")?)?;
    let host = Host::builder(&nats)?.plugins_of(&doctor.plugins);
    let _host = host.env("PLUGIN_CACHE_DIR", doctor.cache().display()).start(&nats).await?;

    let report = doctor.finds("warning", "plugins", &["agent.wasm, second.wasm"]).await?;
    report.has("ok", "plugins", &["second.wasm", "can be served"])
}

#[tokio::test]
async fn with_trusted_keys_an_unsigned_plugin_is_a_failure() -> Result<()> {
    let doctor = doctor()?.env("PLUGIN_TRUSTED_KEYS", KeyPair::new_user().public_key());
    doctor.finds("failure", "signatures", &["agent.wasm", "plugin sign"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_cache_that_others_can_write_is_told_by_doctor_and_start() -> Result<()> {
    let nats = Nats::start().await?;
    let doctor = Doctor::new(&nats)?;
    fs::set_permissions(doctor.cache(), fs::Permissions::from_mode(0o777))?;
    doctor.finds("warning", "cache_dir", &["others may write"]).await?;

    let host = Host::builder(&nats)?.env("PLUGIN_CACHE_DIR", doctor.cache().display()).start(&nats).await?;
    host.logs(&["warn", "cache of plugin code cannot be used", "others may write", "PLUGIN_CACHE_DIR"]).await?;
    host.logs(&["warn", "check=\"cache_dir\"", "others may write"]).await
}

#[tokio::test]
async fn a_cache_that_cannot_be_made_is_told_by_doctor_and_start() -> Result<()> {
    let (nats, file) = (Nats::start().await?, NamedTempFile::new()?);
    let below = file.path().join("cache");
    let doctor = Doctor::new(&nats)?.env("PLUGIN_CACHE_DIR", below.display());
    doctor.finds("warning", "cache_dir", &[&below.display().to_string()]).await?;

    let host = Host::builder(&nats)?.env("PLUGIN_CACHE_DIR", below.display()).start(&nats).await?;
    host.logs(&["warn", "cache of plugin code cannot be used", "PLUGIN_CACHE_DIR"]).await
}

#[tokio::test]
async fn an_address_that_is_taken_is_a_failure_and_a_free_one_is_said_to_be() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let address = taken.local_addr()?.to_string();
    // Whoever has it may answer nothing at all.
    doctor()?.env("HTTP_ADDR", &address).finds("failure", "http", &[&address, "taken"]).await?;
    drop(taken);
    doctor()?.env("HTTP_ADDR", &address).finds("skipped", "http", &["is free"]).await?;
    Ok(())
}
