//! Settings: flags over environment over file over defaults, and a refusal that names what cannot
//! be understood. It must not test what single settings do.

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;
use tests::{Agent, Host, Nats};

fn file_with(text: &str) -> Result<NamedTempFile> {
    let file = tempfile::Builder::new().suffix(".toml").tempfile()?;
    std::fs::write(file.path(), text)?;
    Ok(file)
}

fn path(file: &NamedTempFile) -> Result<&str> {
    file.path().to_str().context("a path in UTF-8")
}

async fn refused_value(name: &str, value: &str) -> Result<()> {
    let nats = Nats::start().await?;
    Host::builder(&nats)?.env(name, value).refuses(&[name, value]).await
}

#[tokio::test]
async fn a_value_that_does_not_parse_is_an_error_that_names_it() -> Result<()> {
    for (name, value) in [
        ("SNAPSHOT_FREQUENCY", "abc"),
        ("SNAPSHOT_FREQUENCY", "-1"),
        ("SNAPSHOT_STORE", "disk"),
        ("STREAM_LAYOUT", "sideways"),
        ("STREAM_REPLICAS", "many"),
        ("STREAM_MAX_AGE", "a year"),
        ("NATS_CONNECT_TIMEOUT", "soon"),
        ("CACHE_CAPACITY", "all"),
        ("LOG_FORMAT", "xml"),
    ] {
        refused_value(name, value).await.context(format!("{name}={value}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_snapshot_frequency_of_0_is_refused() -> Result<()> {
    refused_value("SNAPSHOT_FREQUENCY", "0").await
}

#[tokio::test]
async fn a_stream_name_that_nats_forbids_is_refused() -> Result<()> {
    refused_value("STREAM_NAME", "AGENT.EVENTS").await
}

#[tokio::test]
async fn an_unknown_key_in_the_file_is_an_error_that_names_it() -> Result<()> {
    let nats = Nats::start().await?;
    let file = file_with("snapshot_frequenzy = 5\n")?;
    let host = Host::builder(&nats)?.arg("--config").arg(path(&file)?);
    host.refuses(&["snapshot_frequenzy", path(&file)?]).await
}

#[tokio::test]
async fn a_value_of_the_wrong_type_in_the_file_is_an_error_that_names_it() -> Result<()> {
    let nats = Nats::start().await?;
    let file = file_with("snapshot_frequency = \"often\"\n")?;
    let host = Host::builder(&nats)?.arg("--config").arg(path(&file)?);
    host.refuses(&["snapshot_frequency", path(&file)?]).await
}

#[tokio::test]
async fn a_file_that_is_no_toml_is_an_error_that_names_it() -> Result<()> {
    let nats = Nats::start().await?;
    let file = file_with("{\"snapshot_frequency\": 5}\n")?;
    let host = Host::builder(&nats)?.arg("--config").arg(path(&file)?);
    host.refuses(&[path(&file)?]).await
}

#[tokio::test]
async fn a_file_that_is_missing_is_an_error_that_names_it() -> Result<()> {
    let nats = Nats::start().await?;
    Host::builder(&nats)?.env("CONFIG_FILE", "/nowhere/agent.toml").refuses(&["/nowhere/agent.toml"]).await
}

#[tokio::test]
async fn an_unknown_flag_is_an_error_that_names_it() -> Result<()> {
    let nats = Nats::start().await?;
    Host::builder(&nats)?.arg("--snapshot-frequenzy=5").refuses(&["--snapshot-frequenzy"]).await
}

#[tokio::test]
async fn the_file_is_over_the_defaults() -> Result<()> {
    let nats = Nats::start().await?;
    let file = file_with("stream_name = \"FROM_FILE\"\n")?;
    let _host = Host::builder(&nats)?.env("CONFIG_FILE", path(&file)?).start(&nats).await?;

    nats.stream_config("FROM_FILE").await?;
    Ok(())
}

#[tokio::test]
async fn the_environment_is_over_the_file() -> Result<()> {
    let nats = Nats::start().await?;
    let file = file_with("stream_name = \"FROM_FILE\"\n")?;
    let builder = Host::builder(&nats)?.env("CONFIG_FILE", path(&file)?).env("STREAM_NAME", "FROM_ENVIRONMENT");
    let _host = builder.start(&nats).await?;

    nats.stream_config("FROM_ENVIRONMENT").await?;
    ensure!(nats.stream_config("FROM_FILE").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_flag_is_over_the_environment() -> Result<()> {
    let nats = Nats::start().await?;
    let builder = Host::builder(&nats)?.env("STREAM_NAME", "FROM_ENVIRONMENT").arg("--stream-name=FROM_FLAG");
    let _host = builder.start(&nats).await?;

    nats.stream_config("FROM_FLAG").await?;
    ensure!(nats.stream_config("FROM_ENVIRONMENT").await.is_err());
    Ok(())
}

#[tokio::test]
async fn the_json_log_is_json_line_by_line() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::builder(&nats)?.env("LOG_FORMAT", "json").start(&nats).await?;
    nats.ask(Agent::new().deploy()).await?.ok()?;

    let log = host.log()?;
    ensure!(log.lines().count() > 0, "an empty log");
    for line in log.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        ensure!(entry["level"].is_string(), "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn the_log_level_is_a_setting() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::builder(&nats)?.env("LOG_LEVEL", "error").start(&nats).await?;
    nats.ask(Agent::new().deploy()).await?.ok()?;

    ensure!(host.log()?.is_empty(), "{}", host.log()?);
    Ok(())
}
