//! The command line as scripts use it: what it prints, and its exit codes. It must not test the
//! service behind it.

use anyhow::{Context, Result, ensure};
use async_nats::HeaderMap;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tests::{Agent, Cli, Host, Nats, agent, plugins};

fn deployment() -> String {
    agent::deployment().to_string()
}

#[tokio::test]
async fn send_prints_the_reply_and_exits_with_0() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();

    let args = ["send", "agent", "deploy", "--id", &agent.id, "--json", &deployment()];
    let output = Cli::new(&nats).run(&args).await?.exit(0)?;

    let reply = output.json()?;
    ensure!(reply["status"] == "ok" && reply["id"] == agent.id.as_str() && reply["version"] == 1, "{reply}");
    ensure!(output.stdout.lines().count() == 1, "{output:?}");
    Ok(())
}

#[tokio::test]
async fn send_reads_the_payload_from_standard_input_or_a_file() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let cli = Cli::new(&nats);
    let agents = [Agent::new(), Agent::new(), Agent::new()];
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), deployment())?;
    let at_file = format!("@{}", file.path().display());

    let input = deployment();
    cli.run_with_input(&["send", "agent", "deploy", "--id", &agents[0].id, "-"], &input).await?.exit(0)?;
    cli.run(&["send", "agent", "deploy", "--id", &agents[1].id, &at_file]).await?.exit(0)?;
    cli.run(&["send", "agent", "deploy", "--id", &agents[2].id, "--json", &at_file]).await?.exit(0)?;

    for agent in &agents {
        ensure!(nats.stored(&agent.id).await?.len() == 1);
    }
    Ok(())
}

#[tokio::test]
async fn send_passes_ids_actor_and_expectation_on() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    let json = deployment();
    let args = [
        "send",
        "agent",
        "deploy",
        "--id",
        &agent.id,
        "--msg-id",
        "once",
        "--expected-version",
        "0",
        "--correlation-id",
        "undertaking",
        "--actor",
        "alice",
        "--json",
        &json,
    ];

    Cli::new(&nats).run(&args).await?.exit(0)?;
    let again = Cli::new(&nats).run(&args).await?.exit(0)?.json()?;

    ensure!(again["duplicate"] == true, "{again}");
    let event = &nats.stored(&agent.id).await?[0];
    ensure!(event.header("ce-causationid")? == "once");
    ensure!(event.header("ce-correlationid")? == "undertaking");
    ensure!(event.header("ce-actor")? == "alice");
    Ok(())
}

#[tokio::test]
async fn send_prints_the_services_reply_where_the_stream_captures_commands() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::builder(&nats)?.env("STREAM_LAYOUT", "combined").start(&nats).await?;
    let agent = Agent::new();

    let args = ["send", "agent", "deploy", "--id", &agent.id, "--json", &deployment()];
    let reply = Cli::new(&nats).run(&args).await?.exit(0)?.json()?;

    ensure!(reply["status"] == "ok" && reply["version"] == 1, "{reply}");
    Ok(())
}

#[tokio::test]
async fn the_exit_code_tells_the_replys_code() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let cli = Cli::new(&nats);
    let (agent, forged) = (Agent::new(), Agent::new());
    nats.ask(agent.deploy()).await?.ok()?;
    let subject = format!("agent.events.{}.deployed", forged.id);
    nats.jetstream().publish_with_headers(subject, HeaderMap::new(), "{}".into()).await?.await?;

    let cases: [(&[&str], i32, &str); 6] = [
        (&["send", "agent", "explode", "--id", &agent.id, "--json", "{}"], 2, "invalid"),
        (&["send", "agent", "suspend", "--id", &agent.id, "--json", r#"{"reason":"x"}"#], 3, "rejected"),
        (&["state", "agent", &Agent::new().id], 4, "not_found"),
        (&["send", "agent", "activate", "--id", &agent.id, "--expected-version", "7", "--json", "{}"], 5, "conflict"),
        (&["state", "agent", &forged.id], 8, "plugin_failed"),
        (&["state", "agent", &agent.id, "--at-version", "9"], 2, "invalid"),
    ];
    for (args, code, name) in cases {
        let output = cli.run(args).await?.exit(code)?;
        // The refusal is the answer: it stands where answers stand.
        ensure!(output.json()?["code"] == name, "{output:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_domain_that_nobody_serves_is_unavailable() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;

    let output = Cli::new(&nats).run(&["send", "robot", "walk", "--id", "r2", "--json", "{}"]).await?.exit(6)?;

    ensure!(format!("{}{}", output.stdout, output.stderr).contains("unavailable"), "{output:?}");
    Cli::new(&nats).run(&["state", "robot", "r2"]).await?.exit(6)?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() -> Result<()> {
    let cli = Cli::for_url("nats://127.0.0.1:1").env("NATS_CONNECT_TIMEOUT", "1s");

    let output = cli.run(&["state", "agent", &Agent::new().id]).await?.exit(6)?;

    ensure!(output.stderr.contains("127.0.0.1:1"), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_a_timeout() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::start(&nats).await?;
    host.signal("STOP").await?;

    let args = ["send", "agent", "deploy", "--id", &Agent::new().id, "--reply-timeout", "1", "--json", &deployment()];
    let output = Cli::new(&nats).run(&args).await?;

    host.signal("CONT").await?;
    output.exit(7)?;
    Ok(())
}

#[tokio::test]
async fn wrong_use_exits_with_1() -> Result<()> {
    let nats = Nats::start().await?;
    let cli = Cli::new(&nats);
    let wrong: [&[&str]; 5] = [
        &["sing"],
        &["send", "agent"],
        &["send", "agent", "deploy", "--id", "x", "@/nowhere/payload.json"],
        &["state"],
        &["plugin", "inspect", "/nowhere/agent.wasm"],
    ];
    for args in wrong {
        let output = cli.run(args).await?.exit(1)?;
        ensure!(!output.stderr.is_empty(), "{args:?}: {output:?}");
    }
    Ok(())
}

#[tokio::test]
async fn state_prints_the_state_now_and_at_a_version() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;

    let now = Cli::new(&nats).run(&["state", "agent", &agent.id]).await?.exit(0)?.json()?;
    ensure!(now == nats.ask(agent.state()).await?.ok()?.body, "{now}");
    let then = Cli::new(&nats).run(&["state", "agent", &agent.id, "--at-version", "1"]).await?.exit(0)?.json()?;
    ensure!(then["version"] == 1 && then["state"]["status"] == "Deployed", "{then}");
    Ok(())
}

#[tokio::test]
async fn state_in_words_is_for_people() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    let output = Cli::new(&nats).run(&["state", "agent", &agent.id, "--output", "text"]).await?.exit(0)?;

    ensure!(output.stdout.contains("Deployed") && output.json().is_err(), "{output:?}");
    ensure!(!output.stdout.contains('\u{1b}'), "colours where there is no terminal");
    Ok(())
}

#[tokio::test]
async fn events_prints_one_document_per_event() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let (agent, other) = (Agent::new(), Agent::new());
    nats.ask(agent.deploy().msg_id("first").header("Agent-Actor", "alice")).await?.ok()?;
    nats.ask(other.deploy()).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;

    let of_one = Cli::new(&nats).run(&["events", "agent", &agent.id]).await?.exit(0)?.json_lines()?;
    let of_all = Cli::new(&nats).run(&["events", "agent"]).await?.exit(0)?.json_lines()?;

    let stored = nats.stored(&agent.id).await?;
    ensure!(of_one.len() == 2 && of_all.len() == 3, "{of_one:?} {of_all:?}");
    ensure!(of_all[0] == of_one[0] && of_all[2] == of_one[1], "{of_one:?} {of_all:?}");
    let expected = json!({
        "domain": "agent", "id": agent.id, "type": "deployed", "version": 1, "sequence": stored[0].sequence,
        "time": stored[0].header("ce-time")?, "data": stored[0].data, "command_id": "first",
        "correlation_id": "first", "actor": "alice", "plugin": stored[0].header("ce-plugin")?,
    });
    ensure!(of_one[0] == expected, "{}\nis not\n{expected}", of_one[0]);
    Ok(())
}

#[tokio::test]
async fn events_follows_what_happens() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let (agent, other) = (Agent::new(), Agent::new());
    nats.ask(agent.deploy()).await?.ok()?;

    let mut follow = Cli::new(&nats).follow(&["events", "agent", &agent.id, "--follow"])?;
    ensure!(follow.next().await?["type"] == "deployed");
    nats.ask(other.deploy()).await?.ok()?;
    nats.ask(agent.activate()).await?.ok()?;

    let next = follow.next().await?;
    ensure!(next["type"] == "activated" && next["version"] == 2, "{next}");
    Ok(())
}

#[tokio::test]
async fn plugin_inspect_shows_what_a_plugin_is() -> Result<()> {
    let nats = Nats::start().await?;
    let file = plugins::plugin("agent")?;
    let path = file.to_str().context("a path in UTF-8")?;
    let bytes = std::fs::read(&file)?;
    let digest = hex::encode(Sha256::digest(&bytes));

    let text = Cli::new(&nats).run(&["plugin", "inspect", path, "--output", "text"]).await?.exit(0)?.stdout;
    for word in ["agent", "agent-service:domain", "agent_id", "update_configuration", "metadata", "deployed", &digest] {
        ensure!(text.contains(word), "no {word} in\n{text}");
    }
    let document = Cli::new(&nats).run(&["plugin", "inspect", path]).await?.exit(0)?.json()?;
    ensure!(document["domain"] == "agent" && document["version"].is_string(), "{document}");
    let names = |list: &str| -> usize { document[list].as_array().map_or(0, Vec::len) };
    ensure!(names("commands") == 11 && names("events") == 11, "{document}");
    ensure!(document["commands"].as_array().is_some_and(|all| all.iter().all(|one| one["name"].is_string())));
    ensure!(document.to_string().contains(&digest), "{document}");
    Ok(())
}

#[tokio::test]
async fn plugin_inspect_of_a_stranger_names_file_and_cause() -> Result<()> {
    let nats = Nats::start().await?;
    let file = tempfile::Builder::new().suffix(".wasm").tempfile()?;
    std::fs::write(file.path(), b"\0asm\x0d\0\x01\0")?;
    let path = file.path().to_str().context("a path in UTF-8")?;

    let output = Cli::new(&nats).run(&["plugin", "inspect", path]).await?.exit(2)?;

    ensure!(output.stderr.contains(path) && output.stderr.contains("agent-service:domain"), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn completions_are_printed_for_the_usual_shells() -> Result<()> {
    let nats = Nats::start().await?;
    for shell in ["bash", "zsh", "fish"] {
        let output = Cli::new(&nats).run(&["completions", shell]).await?.exit(0)?;
        for word in ["agent-service", "send", "events", "inspect"] {
            ensure!(output.stdout.contains(word), "{shell}: no {word}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn help_is_printed_on_standard_output() -> Result<()> {
    let nats = Nats::start().await?;
    let output = Cli::new(&nats).run(&["--help"]).await?.exit(0)?;

    for word in ["send", "state", "events", "plugin", "stream", "completions"] {
        ensure!(output.stdout.contains(word), "no {word}: {output:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_connection_is_set_by_flags_too() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;

    let cli = Cli::for_url("nats://127.0.0.1:1");
    let reply: Value = cli.run(&["state", "agent", &agent.id, "--nats-url", &nats.url()]).await?.exit(0)?.json()?;
    ensure!(reply["version"] == 1, "{reply}");
    Ok(())
}
