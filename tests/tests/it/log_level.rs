//! What is logged, changed while hosts run: by whom it is asked and by whom not, and back again. It must
//! not test what lines say.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::{Cli, Host, Misbehave, Nats};

/// Has the plugin say a line that no other has said.
async fn says(nats: &Nats, lines: u64) -> Result<()> {
    nats.ask(Misbehave::new().run("log_flood", lines)).await?.ok()?;
    Ok(())
}

fn said(host: &Host) -> Result<usize> {
    Ok(host.log()?.lines().filter(|line| line.contains("plugin") && line.contains("line 0")).count())
}

#[tokio::test]
async fn the_log_level_is_changed_while_the_host_runs_and_set_back() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::builder(&nats)?.plugin("misbehave")?.env("LOG_LEVEL", "warn").start(&nats).await?;
    let cli = Cli::new(&nats);
    says(&nats, 1).await?;
    ensure!(said(&host)? == 0, "said though it is not to be logged");

    let changed = cli.run(&["log-level", "warn,plugin=debug"]).await?.exit(0)?.json()?;
    ensure!(changed[0]["before"] == "warn" && changed[0]["after"] == "warn,plugin=debug", "{changed}");
    says(&nats, 1).await?;
    ensure!(said(&host)? == 1, "not said");
    ensure!(host.log()?.contains("what is logged was changed by an operator"), "nobody would know why");

    let back = cli.run(&["log-level", "--reset"]).await?.exit(0)?.json()?;
    ensure!(back[0]["before"] == "warn,plugin=debug" && back[0]["after"] == "warn", "{back}");
    says(&nats, 1).await?;
    ensure!(said(&host)? == 1, "said after it was set back");
    let now = cli.run(&["log-level"]).await?.exit(0)?.json()?;
    ensure!(now[0]["after"] == "warn" && now[0]["configured"] == "warn", "{now}");
    Ok(())
}

#[tokio::test]
async fn a_filter_that_is_none_is_refused_and_nothing_changed() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let cli = Cli::new(&nats);
    let refused = cli.run(&["log-level", "loud"]).await?.exit(1)?;
    ensure!(refused.stderr.contains("`loud` is no level"), "{refused:?}");
    // Not every client checks by itself.
    for request in
        [json!({"filter": "info,plugin=loud"}), json!({"filter": "debug", "reset": true}), json!({"filter": 7})]
    {
        let answer = nats.operate("log_level", &request).await?;
        ensure!(answer["status"] == "error", "{request}: {answer}");
    }
    let now = nats.operate("log_level", &json!({})).await?;
    ensure!(now["status"] == "ok" && now["after"] == "info", "{now}");
    Ok(())
}

#[tokio::test]
async fn one_host_of_several_is_changed_by_its_id() -> Result<()> {
    let nats = Nats::start().await?;
    let (_one, _other) = (Host::start(&nats).await?, Host::start(&nats).await?);
    let cli = Cli::new(&nats);
    let all = cli.run(&["log-level"]).await?.exit(0)?.json()?;
    ensure!(all.as_array().is_some_and(|hosts| hosts.len() == 2), "{all}");
    let id = all[1]["host"].as_str().unwrap_or_default();
    let changed = cli.run(&["log-level", "debug", "--host", id]).await?.exit(0)?.json()?;
    ensure!(changed.as_array().is_some_and(|hosts| hosts.len() == 1) && changed[0]["host"] == id, "{changed}");
    let now = cli.run(&["log-level"]).await?.exit(0)?.json()?;
    ensure!(now[0]["after"] == "info" && now[1]["after"] == "debug", "{now}");
    cli.run(&["log-level", "debug", "--host", "elsewhere"]).await?.exit(6)?;
    Ok(())
}

#[tokio::test]
async fn an_unknown_level_is_refused_at_start_by_its_name() -> Result<()> {
    let nats = Nats::start().await?;
    for level in ["verbose", "info,plugin=loud"] {
        Host::builder(&nats)?.env("LOG_LEVEL", level).refuses(&["LOG_LEVEL", level, "trace, debug, info"]).await?;
    }
    Ok(())
}
