//! Plugin files that will not do, and none at all: the host runs and says why. It must not test
//! what a good plugin does.

use anyhow::{Result, ensure};
use tests::{Agent, Host, HostBuilder, Nats, PATIENCE, plugins};

/// A component that exports nothing.
const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
/// A core module, which is no component.
const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// The host runs, says what is wrong in one line with these words, and serves nothing.
async fn not_ready(nats: &Nats, builder: HostBuilder, words: &[&str]) -> Result<()> {
    let mut host = builder.spawn()?;
    host.logs(words).await?;
    // The next line of a start that went on; none of it may claim to be ready.
    ensure!(nats.ping().await?.is_empty(), "it answers pings");
    let reply = nats.try_ask(Agent::new().deploy(), PATIENCE).await?;
    ensure!(reply.is_none(), "{reply:?}");
    ensure!(host.is_running()?, "it has ended");
    ensure!(host.terminate().await? == 0);
    Ok(())
}

/// A file beside the agent plugin is refused by name and cause, and agents are served.
async fn refused_beside_others(file: &str, bytes: &[u8], cause: &[&str]) -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::builder(&nats)?.plugin_file(file, bytes).start(&nats).await?;

    let mut words = vec![file];
    words.extend(cause);
    host.logs(&words).await?;
    nats.ask(Agent::new().deploy()).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn a_plugin_directory_that_is_missing_leaves_the_host_not_ready() -> Result<()> {
    let nats = Nats::start().await?;
    not_ready(&nats, Host::builder(&nats)?.without_plugin_dir(), &["warn", "plugin directory"]).await
}

#[tokio::test]
async fn a_plugin_directory_that_is_empty_leaves_the_host_not_ready() -> Result<()> {
    let nats = Nats::start().await?;
    not_ready(&nats, Host::builder(&nats)?.without_plugins(), &["warn", "plugin directory"]).await
}

#[tokio::test]
async fn a_directory_of_nothing_but_bad_plugins_leaves_the_host_not_ready() -> Result<()> {
    let nats = Nats::start().await?;
    let builder = Host::builder(&nats)?.without_plugins().plugin_file("bad.wasm", b"hello");
    not_ready(&nats, builder, &["bad.wasm"]).await
}

#[tokio::test]
async fn a_truncated_plugin_is_refused_by_name_and_others_are_served() -> Result<()> {
    let bytes = std::fs::read(plugins::plugin("counter")?)?;
    refused_beside_others("counter.wasm", &bytes[..bytes.len() / 2], &[]).await
}

#[tokio::test]
async fn a_text_file_is_refused_by_name_and_others_are_served() -> Result<()> {
    refused_beside_others("notes.wasm", b"not a component at all", &["component"]).await
}

#[tokio::test]
async fn an_empty_file_is_refused_by_name_and_others_are_served() -> Result<()> {
    refused_beside_others("empty.wasm", b"", &[]).await
}

#[tokio::test]
async fn a_core_module_is_refused_by_name_and_others_are_served() -> Result<()> {
    refused_beside_others("module.wasm", EMPTY_MODULE, &["component"]).await
}

#[tokio::test]
async fn a_component_of_another_interface_is_refused_by_name_and_others_are_served() -> Result<()> {
    refused_beside_others("stranger.wasm", EMPTY_COMPONENT, &["agent-service:domain"]).await
}

#[tokio::test]
async fn a_file_that_is_no_plugin_by_its_name_is_left_alone() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::builder(&nats)?.plugin_file("README.md", b"# Plugins").start(&nats).await?;

    nats.ask(Agent::new().deploy()).await?.ok()?;
    ensure!(!host.log()?.contains("README.md"), "it was looked at");
    Ok(())
}
