//! Secrets that the service is given: they are in no log, no error text, no help and no process's
//! arguments, whether it works or not. It must not test what they open.

use anyhow::{Context, Result, ensure};
use async_nats::ConnectOptions;
use nkeys::KeyPair;
use tempfile::NamedTempFile;
use tests::credentials::Credentials;
use tests::{Agent, Cli, Host, HostBuilder, Nats};

/// All there is but for the compiler's own words, which take longer than a test waits and know of nothing.
const TRACE: &str = "trace,cranelift=info,regalloc2=info,wasmtime=info";
const PASSWORD: &str = "hunter2-is-no-secret";
/// The same as an address has it.
const ENCODED: &str = "hunter2-%69s-no-secret";

fn hides(text: &str, secrets: &[&str]) -> Result<()> {
    for secret in secrets {
        ensure!(!text.contains(secret), "a secret is shown:\n{text}");
    }
    Ok(())
}

/// Runs a host that works, and command lines of the same user, and looks at all that they show.
async fn works_and_hides(nats: &Nats, settings: &[(&str, String)], secrets: &[&str]) -> Result<()> {
    let builder = Host::builder(nats)?.env("LOG_LEVEL", TRACE).quiet();
    let builder = settings.iter().fold(builder, |builder, (name, value)| builder.env(name, value));
    let mut host = builder.start(nats).await?;
    nats.ask(Agent::new().deploy()).await?.ok()?;
    hides(&host.command_line()?, secrets)?;
    // The log then also has what a lost connection and a new one leave behind.
    nats.restart_server().await?;
    tests::eventually("the service is back", async || nats.ask(Agent::new().deploy()).await?.ok().map(drop)).await?;
    ensure!(host.terminate().await? == 0);
    let log = host.log()?;
    ensure!(log.contains("TRACE"), "the log is not as detailed as it can be");
    hides(&log, secrets)?;

    let cli = settings.iter().fold(Cli::new(nats), |cli, (name, value)| cli.env(name, value));
    let agent = Agent::new().id;
    for words in [
        &["--help"][..],
        &["state", "agent", &agent],
        &["plugin", "list"],
        &["state", "agent", &agent, "--log-level", "loud"],
        &["stream", "upgrade", "--stream-replicas", "9"],
        &["no-such-command"],
    ] {
        let output = cli.run(words).await?;
        hides(&output.stdout, secrets)?;
        hides(&output.stderr, secrets)?;
    }
    Ok(())
}

/// Runs a host and a command line that cannot work, and looks at what they show; it names these words.
async fn fails_and_hides(host: HostBuilder, settings: &[(&str, &str)], words: &[&str], secrets: &[&str]) -> Result<()> {
    let host = host.env("LOG_LEVEL", TRACE).env("NATS_CONNECT_TIMEOUT", "1s").quiet();
    let host = settings.iter().fold(host, |host, (name, value)| host.env(name, value));
    let (code, log) = host.ends().await?;
    ensure!(code == 1, "exit code {code}");
    hides(&log, secrets)?;
    for word in words {
        ensure!(log.contains(word), "it does not name {word}:\n{log}");
    }
    let cli = settings.iter().fold(Cli::for_url("nats://127.0.0.1:1"), |cli, (name, value)| cli.env(name, value));
    let output = cli.env("NATS_CONNECT_TIMEOUT", "1s").run(&["state", "agent", &Agent::new().id]).await?;
    ensure!(output.code != 0, "{}", output.code);
    hides(&output.stdout, secrets)?;
    hides(&output.stderr, secrets)
}

async fn with_password() -> Result<Nats> {
    let login = ConnectOptions::with_user_and_password("test".to_owned(), PASSWORD.to_owned());
    Nats::with_login(&format!("authorization {{ user: test, password: {PASSWORD} }}"), login).await
}

#[tokio::test]
async fn a_password_is_not_shown() -> Result<()> {
    let nats = with_password().await?;
    let settings = [("NATS_USER", "test".to_owned()), ("NATS_PASSWORD", PASSWORD.to_owned())];
    works_and_hides(&nats, &settings, &[PASSWORD]).await
}

#[tokio::test]
async fn a_password_in_the_address_logs_in_and_is_not_shown() -> Result<()> {
    let nats = with_password().await?;
    let url = nats.url().replacen("nats://", &format!("nats://test:{ENCODED}@"), 1);
    works_and_hides(&nats, &[("NATS_URL", url)], &[PASSWORD, ENCODED]).await
}

#[tokio::test]
async fn a_token_in_the_address_logs_in_and_is_not_shown() -> Result<()> {
    let login = ConnectOptions::with_token(PASSWORD.to_owned());
    let nats = Nats::with_login(&format!("authorization {{ token: {PASSWORD} }}"), login).await?;
    let url = nats.url().replacen("nats://", &format!("nats://{PASSWORD}@"), 1);
    works_and_hides(&nats, &[("NATS_URL", url)], &[PASSWORD]).await
}

#[tokio::test]
async fn a_password_in_the_settings_file_is_not_shown() -> Result<()> {
    let nats = with_password().await?;
    let file = NamedTempFile::new()?;
    std::fs::write(file.path(), format!("nats_user = \"test\"\nnats_password = \"{PASSWORD}\"\n"))?;
    let path = file.path().display().to_string();
    works_and_hides(&nats, &[("CONFIG_FILE", path)], &[PASSWORD]).await
}

#[tokio::test]
async fn a_seed_is_not_shown() -> Result<()> {
    let key = KeyPair::new_user();
    let seed = key.seed()?;
    let login = ConnectOptions::with_nkey(seed.clone());
    let nats =
        Nats::with_login(&format!("authorization {{ users = [ {{ nkey: {} }} ] }}", key.public_key()), login).await?;
    let file = NamedTempFile::new()?;
    std::fs::write(file.path(), &seed)?;
    works_and_hides(&nats, &[("NATS_NKEY", file.path().display().to_string())], &[&seed]).await
}

#[tokio::test]
async fn credentials_are_not_shown() -> Result<()> {
    let credentials = Credentials::new()?;
    let login = ConnectOptions::with_credentials(&credentials.user)?;
    let nats = Nats::with_login(&credentials.server_config, login).await?;
    let file = NamedTempFile::new()?;
    std::fs::write(file.path(), &credentials.user)?;
    let secrets: Vec<&str> = credentials.user.lines().filter(|line| line.len() > 40).collect();
    ensure!(secrets.len() == 2, "{} long lines", secrets.len());
    works_and_hides(&nats, &[("NATS_CREDS", file.path().display().to_string())], &secrets).await
}

#[tokio::test]
async fn what_fails_shows_no_secret_either() -> Result<()> {
    let nats = with_password().await?;
    let host = || Host::builder(&nats);
    let wrong = "wrong-secret";
    let login = [("NATS_USER", "test"), ("NATS_PASSWORD", wrong)];
    fails_and_hides(host()?, &login, &["authorization violation"], &[wrong]).await?;

    let at = nats.url().replacen("nats://", "", 1);
    for (url, words) in [
        (format!("nats://test:{wrong}@{at}"), &["authorization violation", &at][..]),
        (format!("nats://test:{wrong}@127.0.0.1:1"), &["127.0.0.1:1", "NATS_URL"]),
        (format!("nats://test:{wrong}@one:port"), &["NATS_URL", "no address"]),
        (format!("http://test:{wrong}@one"), &["NATS_URL", "no address"]),
        (format!("nats://test:{wrong}@one,nats://test:other-{wrong}@two"), &["NATS_URL", "different logins"]),
        (format!("nats://test:wrong-{wrong},secret@127.0.0.1:1"), &["NATS_URL"]),
    ] {
        fails_and_hides(host()?, &[("NATS_URL", &url)], words, &[wrong]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_in_the_place_of_a_files_name_is_not_shown() -> Result<()> {
    let nats = Nats::start().await?;
    let (seed, credentials) = (KeyPair::new_user().seed()?, Credentials::new()?.user);
    let seed_of_user = credentials.lines().find(|line| line.starts_with("SU")).context("a seed")?;
    fails_and_hides(Host::builder(&nats)?, &[("NATS_NKEY", &seed)], &["NATS_NKEY", "name of a file"], &[&seed]).await?;
    fails_and_hides(
        Host::builder(&nats)?,
        &[("NATS_CREDS", &credentials)],
        &["NATS_CREDS", "name of a file"],
        &[seed_of_user],
    )
    .await
}

#[tokio::test]
async fn a_broken_settings_file_does_not_show_its_lines() -> Result<()> {
    let nats = Nats::start().await?;
    for line in [
        format!("nats_password = {PASSWORD}"),
        format!("nats_password = \"{PASSWORD}"),
        format!("nats_password = \"a\"\nnats_password = \"{PASSWORD}\""),
        format!("nats_pasword = \"{PASSWORD}\""),
        format!("nats_password = {{ is = \"{PASSWORD}\" }}"),
    ] {
        let file = NamedTempFile::new()?;
        std::fs::write(file.path(), &line)?;
        let path = file.path().display().to_string();
        fails_and_hides(Host::builder(&nats)?, &[("CONFIG_FILE", &path)], &[&path], &[PASSWORD]).await?;
    }
    Ok(())
}
