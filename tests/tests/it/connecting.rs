//! Reaching NATS: addresses, credentials, certificates, and servers that will not do. It must not
//! test what happens when the connection is lost later.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_nats::ConnectOptions;
use nkeys::KeyPair;
use tempfile::NamedTempFile;
use tests::certificates::Certificates;
use tests::credentials::Credentials;
use tests::{Agent, Host, HostBuilder, Nats};
use xtask::nats_server::{NatsServer, find_version, free_port};

/// The newest release before atomic batches.
const TOO_OLD: &str = "2.11.11";

/// Far below the time for which an address without a server is retried.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Nothing listens on it: it needs rights that the tests' server does not ask for.
const DEAD: &str = "nats://127.0.0.1:1";

async fn serves(nats: &Nats, host: HostBuilder) -> Result<()> {
    let _host = host.start(nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    ensure!(nats.ask(agent.state()).await?.ok()?.version()? == 1);
    Ok(())
}

fn test_login() -> ConnectOptions {
    ConnectOptions::with_user_and_password("test".to_owned(), "test".to_owned())
}

fn file_with(text: &str) -> Result<NamedTempFile> {
    let file = NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    Ok(file)
}

fn path(file: &NamedTempFile) -> Result<&str> {
    file.path().to_str().context("a path in UTF-8")
}

#[tokio::test]
async fn of_several_servers_the_first_may_be_dead() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::builder_for(&format!("{DEAD},{}", nats.url()))?;
    serves(&nats, host).await
}

#[tokio::test]
async fn several_servers_may_be_listed_with_blanks() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::builder_for(&format!("{}, {DEAD}", nats.url()))?;
    serves(&nats, host).await
}

#[tokio::test]
async fn user_and_password_are_used() -> Result<()> {
    let nats = Nats::with_login("authorization { user: test, password: test }", test_login()).await?;
    let host = Host::builder(&nats)?.env("NATS_USER", "test").env("NATS_PASSWORD", "test");
    serves(&nats, host).await
}

#[tokio::test]
async fn an_nkey_is_used() -> Result<()> {
    let key = KeyPair::new_user();
    let config =
        format!("authorization {{ users = [ {{ nkey: {} }}, {{ user: test, password: test }} ] }}", key.public_key());
    let nats = Nats::with_login(&config, test_login()).await?;
    let seed = file_with(&format!("{}\n", key.seed()?))?;
    let host = Host::builder(&nats)?.env("NATS_NKEY", path(&seed)?);
    serves(&nats, host).await
}

#[tokio::test]
async fn a_credentials_file_is_used() -> Result<()> {
    let credentials = Credentials::new()?;
    let file = file_with(&credentials.user)?;
    let login = ConnectOptions::with_credentials(&credentials.user)?;
    let nats = Nats::with_login(&credentials.server_config, login).await?;
    let host = Host::builder(&nats)?.env("NATS_CREDS", path(&file)?);
    serves(&nats, host).await
}

#[tokio::test]
async fn a_credentials_file_that_is_missing_is_named() -> Result<()> {
    let nats = Nats::start().await?;
    Host::builder(&nats)?.env("NATS_CREDS", "/nowhere/agent.creds").refuses(&["/nowhere/agent.creds"]).await
}

#[tokio::test]
async fn a_wrong_password_ends_the_start_at_once() -> Result<()> {
    let nats = Nats::with_login("authorization { user: test, password: test }", test_login()).await?;
    let host = Host::builder(&nats)?.env("NATS_USER", "test").env("NATS_PASSWORD", "wrong-secret");

    let start = Instant::now();
    let (code, log) = host.ends().await?;

    ensure!(code == 1 && start.elapsed() < AT_ONCE, "exit code {code} after {:?}", start.elapsed());
    ensure!(log.to_lowercase().contains("authorization"), "{log}");
    ensure!(!log.contains("wrong-secret"), "the password is in the log");
    Ok(())
}

async fn with_tls(certificates: &Certificates) -> Result<Nats> {
    let file = |name: &str| certificates.file(name).display().to_string();
    let config = format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}",
        file("server.pem"),
        file("server-key.pem"),
        file("ca.pem")
    );
    let login = ConnectOptions::new()
        .require_tls(true)
        .add_root_certificates(certificates.file("ca.pem"))
        .add_client_certificate(certificates.file("client.pem"), certificates.file("client-key.pem"));
    Nats::with_login(&config, login).await
}

#[tokio::test]
async fn tls_with_an_own_authority_and_a_client_certificate_is_used() -> Result<()> {
    let certificates = Certificates::new()?;
    let nats = with_tls(&certificates).await?;
    let host = Host::builder(&nats)?
        .env("NATS_TLS_CA", certificates.file("ca.pem").display())
        .env("NATS_TLS_CERT", certificates.file("client.pem").display())
        .env("NATS_TLS_KEY", certificates.file("client-key.pem").display());
    serves(&nats, host).await
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_trusted() -> Result<()> {
    let (certificates, others) = (Certificates::new()?, Certificates::new()?);
    let nats = with_tls(&certificates).await?;
    let host = Host::builder(&nats)?
        .env("NATS_CONNECT_TIMEOUT", "1s")
        .env("NATS_TLS_CA", others.file("ca.pem").display())
        .env("NATS_TLS_CERT", certificates.file("client.pem").display())
        .env("NATS_TLS_KEY", certificates.file("client-key.pem").display());
    host.refuses(&["certificate"]).await
}

#[tokio::test]
async fn a_jetstream_domain_is_used() -> Result<()> {
    let nats = Nats::in_domain("edge").await?;
    serves(&nats, Host::builder(&nats)?.env("NATS_JS_DOMAIN", "edge")).await
}

#[tokio::test]
async fn a_jetstream_domain_that_is_not_there_is_named() -> Result<()> {
    let nats = Nats::start().await?;
    Host::builder(&nats)?.env("NATS_JS_DOMAIN", "moon").refuses(&["jetstream", "moon"]).await
}

#[tokio::test]
async fn an_address_without_a_server_is_retried_and_then_given_up() -> Result<()> {
    let start = Instant::now();
    let (code, log) = Host::builder_for(DEAD)?.env("NATS_CONNECT_TIMEOUT", "1s").ends().await?;

    let lasted = start.elapsed();
    ensure!(code == 1 && lasted >= Duration::from_secs(1) && lasted < AT_ONCE, "exit code {code} after {lasted:?}");
    ensure!(log.contains("127.0.0.1:1") && log.contains("NATS_CONNECT_TIMEOUT"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_comes_up_late_is_waited_for() -> Result<()> {
    let port = free_port()?;
    let mut host = Host::builder_for(&format!("nats://127.0.0.1:{port}"))?.spawn()?;
    host.logs(&["nats"]).await?;
    ensure!(host.is_running()?, "it did not wait");

    let server = NatsServer::builder().port(port).start()?;
    let nats = Nats::connect(server, ConnectOptions::new()).await?;

    tests::eventually("the service gets ready", async || {
        ensure!(nats.new_instance().await?, "no answer to a ping");
        Ok(())
    })
    .await?;
    nats.ask(Agent::new().deploy()).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn a_server_without_jetstream_is_refused() -> Result<()> {
    let server = NatsServer::builder().without_jetstream().start()?;
    let nats = Nats::connect(server, ConnectOptions::new()).await?;
    Host::builder(&nats)?.refuses(&["jetstream"]).await
}

#[tokio::test]
async fn an_account_without_jetstream_is_refused() -> Result<()> {
    let config = "accounts { A { users: [ { user: test, password: test } ] }, B { jetstream: enabled } }";
    let nats = Nats::with_login(config, test_login()).await?;
    Host::builder(&nats)?.env("NATS_USER", "test").env("NATS_PASSWORD", "test").refuses(&["jetstream"]).await
}

#[tokio::test]
async fn a_server_older_than_2_12_is_refused() -> Result<()> {
    let server = NatsServer::builder().binary(find_version(TOO_OLD)?).start()?;
    let nats = Nats::connect(server, ConnectOptions::new()).await?;
    Host::builder(&nats)?.refuses(&[TOO_OLD, "2.12"]).await
}
