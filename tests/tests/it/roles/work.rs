//! Each role at its job, without anything being refused to it. It must not test what a role may not.

use anyhow::{Context, Result, ensure};
use async_nats::jetstream;
use futures::StreamExt;
use serde_json::json;
use tests::inbox::misbehave;
use tests::operator::digest;
use tests::plugins::{plugin, successor};
use tests::roles::{
    AGENT_CLIENT, CLIENT, DURABLE_CLIENT, FORMS, Form, ONE_AGENT, OPERATOR, OUTSIDE_DOMAIN, PUBLISHER, READER, Roles,
};
use tests::stored::ensure_history;
use tests::user::next;
use tests::{Agent, Cli, Host, Message, Nats, PluginDir, Reply, eventually};
use uuid::Uuid;

use super::was_refused_nothing;

/// Larger than one message of the server that the test starts.
const LARGE_BYTES: usize = 40_000;
const SMALL_PAYLOAD: &str = "max_payload: 64KB\n";

#[tokio::test]
async fn a_host_does_all_of_its_work() -> Result<()> {
    for form in FORMS {
        let (roles, nats) = Roles::start(form).await?;
        let builder = roles.host(&nats)?.env("SNAPSHOT_FREQUENCY", 2).env("LOG_LEVEL", "debug");
        let mut host = builder.start(&nats).await?;
        let (alice, agent) = (roles.connect(&nats, CLIENT).await?, Agent::new());

        alice.ask(agent.deploy_configured()).await?.ok()?;
        alice.ask(agent.activate()).await?.ok()?;
        alice.ask(agent.deploy()).await?.error("rejected")?;
        nats.has_snapshot_of(&agent.id).await?;
        ensure!(alice.ask(agent.state_at(1)).await?.ok()?.version()? == 1);
        ensure!(alice.ask(agent.history(0, 10)).await?.ok()?.events()?.len() == 3);
        ensure!(host.terminate().await? == 0);
        was_refused_nothing(&host)?;

        host = builder.start(&nats).await?;
        alice.ask(agent.suspend()).await?.ok()?;
        ensure!(alice.ask(agent.state()).await?.ok()?.version()? == 4);
        ensure_history(&nats.stored(&agent.id).await?)?;
        let stats = nats.counters("agent").await?;
        ensure!(stats["ok"].as_u64() > Some(0), "{stats}");
        alice.was_refused_nothing()?;
        was_refused_nothing(&host)?;
    }
    Ok(())
}

#[tokio::test]
async fn the_doctor_finds_that_a_host_holds_every_right_it_needs() -> Result<()> {
    for form in FORMS {
        let (roles, nats) = Roles::start(form).await?;
        let holds_all = async |source: &str| {
            let report = roles.doctor(&nats)?.env("PLUGIN_SOURCE", source).looks(&[]).await?;
            report.has("ok", "permissions", &[])?;
            ensure!(!report.checks("failure").contains(&"permissions"), "{report:?}");
            anyhow::Ok(())
        };
        holds_all("dir").await?;
        let _host = roles.host(&nats)?.start(&nats).await?;
        holds_all("dir").await?;
        holds_all("nats").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_host_keeps_snapshots_that_are_larger_than_a_message() -> Result<()> {
    let begin = "# Who may do what";
    let replaced = [(begin.to_owned(), format!("{SMALL_PAYLOAD}{begin}"))];
    let (roles, nats) = Roles::start_with(Form::Users, &replaced).await?;
    let mut host = roles.host(&nats)?.env("SNAPSHOT_FREQUENCY", 1).start(&nats).await?;
    let (alice, agent) = (roles.connect(&nats, CLIENT).await?, Agent::new());
    alice.ask(agent.deploy()).await?.ok()?;
    for number in 0..4 {
        // What does not compress.
        let text: String = (0..LARGE_BYTES / 32).map(|_| Uuid::new_v4().simple().to_string()).collect();
        alice.ask(agent.set(&format!("key-{number}"), text)).await?.ok()?;
    }
    eventually("the snapshot lies in pieces", async || {
        ensure!(nats.snapshot_messages(&agent.id).await? > 1, "one message");
        Ok(())
    })
    .await?;
    ensure!(host.terminate().await? == 0);
    was_refused_nothing(&host)
}

#[tokio::test]
async fn durable_commands_are_taken_and_executed() -> Result<()> {
    for form in FORMS {
        let (roles, nats) = Roles::start(form).await?;
        let mut host = roles.host(&nats)?.start(&nats).await?;
        nats.stream_stands("AGENT_INBOX").await?;
        let (carol, agent) = (roles.connect(&nats, DURABLE_CLIENT).await?, Agent::new());
        let outcomes = carol.client().new_inbox();
        let mut outcome = carol.subscribe(&outcomes).await?;

        let command = agent.deploy().durable().header("Agent-Reply-To", &outcomes);
        let stream = jetstream::new(carol.client().clone());
        let sent = stream.publish_with_headers(command.subject, command.headers, command.payload).await?;
        ensure!(sent.await?.stream == "AGENT_INBOX");
        Reply::parse(next(&mut outcome).await?)?.ok()?;
        let carols = roles.cli(&nats, DURABLE_CLIENT);
        carols.run(&["send", "agent", "activate", "--id", &agent.id, "{}", "--durable"]).await?.exit(0)?;
        nats.inbox_is_empty("AGENT_INBOX").await?;

        ensure!(nats.stored(&agent.id).await?.len() == 2);
        carol.was_refused_nothing()?;
        ensure!(host.terminate().await? == 0);
        was_refused_nothing(&host)?;
    }
    Ok(())
}

#[tokio::test]
async fn durable_commands_that_fail_are_parked_dropped_and_tried_again() -> Result<()> {
    let (roles, nats) = Roles::start_with(Form::Users, &files_of("misbehave", "MISBEHAVE")).await?;
    let builder = roles.host(&nats)?.without_plugins().plugin("misbehave")?.env("INBOX_TRIES", 1);
    let mut host = builder.start(&nats).await?;
    nats.stream_stands("MISBEHAVE_INBOX").await?;
    let carol = roles.connect(&nats, DURABLE_CLIENT).await?;
    let (carols, olga) = (jetstream::new(carol.client().clone()), roles.cli(&nats, OPERATOR));
    for mode in ["trap", "behave"] {
        let command = misbehave("a", mode);
        carols.publish(command.subject, command.payload).await?.await?;
    }
    let dead = async |count| {
        eventually("so many are parked", async || {
            let found = nats.stream_messages("MISBEHAVE_DEAD").await?;
            ensure!(found == count, "{found} are");
            Ok(())
        })
        .await
    };
    dead(2).await?;
    nats.inbox_is_empty("MISBEHAVE_INBOX").await?;
    olga.run(&["inbox", "skip", "misbehave", "1"]).await?.exit(0)?;
    olga.run(&["inbox", "retry", "misbehave", "a"]).await?.exit(0)?;
    dead(0).await?;
    ensure!(host.terminate().await? == 0);
    was_refused_nothing(&host)
}

#[tokio::test]
async fn a_client_of_one_agent_commands_and_asks_it() -> Result<()> {
    for form in FORMS {
        let (roles, nats) = Roles::start(form).await?;
        let _host = roles.host(&nats)?.start(&nats).await?;
        let (bob, own) = (roles.connect(&nats, AGENT_CLIENT).await?, Agent { id: ONE_AGENT.to_owned() });
        bob.ask(own.deploy().by_subject(&own.id)).await?.ok()?;
        ensure!(bob.ask(own.state().by_subject(&own.id)).await?.ok()?.version()? == 1);
        bob.ask(own.history(0, 10).by_subject(&own.id)).await?.ok()?;
        bob.was_refused_nothing()?;
    }
    Ok(())
}

#[tokio::test]
async fn a_reader_has_events_as_they_happen_and_from_where_it_stopped() -> Result<()> {
    for form in FORMS {
        let (roles, nats) = Roles::start(form).await?;
        let _host = roles.host(&nats)?.start(&nats).await?;
        nats.jetstream_api("CONSUMER.CREATE.AGENT_EVENTS.audit", &audit()).await?;
        let (alice, dave) = (roles.connect(&nats, CLIENT).await?, roles.connect(&nats, READER).await?);
        let (agent, mut live) = (Agent::new(), dave.subscribe("agent.events.>").await?);
        alice.ask(agent.deploy()).await?.ok()?;
        alice.ask(agent.activate()).await?.ok()?;

        ensure!(next(&mut live).await?.subject.as_str() == format!("agent.events.{}.deployed", agent.id));
        let stream = jetstream::with_domain(dave.client().clone(), OUTSIDE_DOMAIN);
        let consumer: jetstream::consumer::PullConsumer =
            stream.get_consumer_from_stream("audit", "AGENT_EVENTS").await?;
        let mut messages = consumer.fetch().max_messages(2).messages().await?;
        for event in ["deployed", "activated"] {
            let message = messages.next().await.context("no event")?.map_err(anyhow::Error::from_boxed)?;
            ensure!(message.subject.ends_with(event), "{}", message.subject);
            message.double_ack().await.map_err(anyhow::Error::from_boxed)?;
        }
        let info = nats.jetstream_api("CONSUMER.INFO.AGENT_EVENTS.audit", &json!({})).await?;
        ensure!(info["ack_floor"]["stream_seq"] == 2, "{info}");
        dave.was_refused_nothing()?;
    }
    Ok(())
}

/// A place in the log that a reader keeps.
fn audit() -> serde_json::Value {
    let config = json!({
        "durable_name": "audit", "name": "audit", "ack_policy": "explicit", "deliver_policy": "all",
        "filter_subject": "agent.events.>",
    });
    json!({"stream_name": "AGENT_EVENTS", "config": config})
}

#[tokio::test]
async fn a_publisher_brings_plugins_and_an_operator_has_them_run() -> Result<()> {
    for form in FORMS {
        // The counter is the domain that plugins of several versions are there for.
        let (roles, nats) = Roles::start_with(form, &files_of("counter", "COUNTER")).await?;
        let host = roles.host(&nats)?.without_plugins().env("PLUGIN_SOURCE", "nats");
        let mut running = host.spawn()?;
        running.logs(&["not ready"]).await?;
        let (erin, olga) = (roles.cli(&nats, PUBLISHER), roles.cli(&nats, OPERATOR));
        for (component, version) in [(plugin("counter")?, 1), (successor("counter-refactored")?, 2)] {
            pushed(&erin, &component).await?;
            let digest = digest(&component)?;
            olga.run(&["plugin", "activate", "counter", &digest, "--wait", "30s"]).await?.exit(0)?;
            let command =
                Message::to("counter.commands.increment", json!({"counter_id": "a", "by": version}).to_string());
            roles.connect(&nats, CLIENT).await?.ask(command).await?.ok()?;
        }
        olga.run(&["plugin", "rollback", "counter"]).await?.exit(0)?;
        goes_back_by_itself(&roles, &nats, &running).await?;
        // What is watched is watched anew.
        nats.restart_server().await?;
        let again = digest(&successor("counter-refactored")?)?;
        olga.run(&["plugin", "activate", "counter", &again, "--wait", "30s"]).await?.exit(0)?;
        ensure!(running.terminate().await? == 0);
        was_refused_nothing(&running)?;
        let mut again = host.start(&nats).await?;
        ensure!(again.terminate().await? == 0);
        was_refused_nothing(&again)?;
    }
    Ok(())
}

/// Has a plugin run that stumbles, and waits until the host has put back the one before.
async fn goes_back_by_itself(roles: &Roles, nats: &Nats, host: &Host) -> Result<()> {
    let stumbling = successor("counter-stumbling")?;
    pushed(&roles.cli(nats, PUBLISHER), &stumbling).await?;
    let activate = ["plugin", "activate", "counter", &digest(&stumbling)?, "--wait", "30s"];
    roles.cli(nats, OPERATOR).run(&activate).await?.exit(0)?;
    let alice = roles.connect(nats, CLIENT).await?;
    eventually("the host goes back", async || {
        for _ in 0..20 {
            alice
                .ask(Message::to("counter.commands.increment", json!({"counter_id": "b", "by": 1}).to_string()))
                .await?;
        }
        ensure!(host.log()?.matches("plugin rolled back").count() == 2, "not yet");
        Ok(())
    })
    .await
}

async fn pushed(cli: &Cli, component: &std::path::Path) -> Result<()> {
    let output = cli.run(&["plugin", "push", component.to_str().context("a path in UTF-8")?]).await?;
    ensure!(!output.stderr.contains("may not"), "{output:?}");
    output.exit(0).map(drop)
}

/// The files for another domain, as docs/permissions.md says to make them.
fn files_of<'a>(domain: &'a str, streams: &'a str) -> Vec<(String, String)> {
    let of_agents = ["EVENTS", "SNAPSHOTS", "INBOX", "DEAD"];
    let renamed = of_agents.iter().map(|kind| (format!("AGENT_{kind}"), format!("{streams}_{kind}")));
    renamed.chain([("\"agent.".to_owned(), format!("\"{domain}."))]).collect()
}

#[tokio::test]
async fn an_operator_tends_streams_and_hosts() -> Result<()> {
    for form in FORMS {
        let (roles, nats) = Roles::start(form).await?;
        let _host = roles.host(&nats)?.start(&nats).await?;
        let (alice, agent) = (roles.connect(&nats, CLIENT).await?, Agent::new());
        alice.ask(agent.deploy()).await?.ok()?;
        let backups = tempfile::TempDir::new()?;
        let backup = backups.path().join("all");
        let backup = backup.to_str().context("a path in UTF-8")?;
        let dir = PluginDir::with("agent.wasm", &plugin("agent")?)?;
        let file = dir.file("agent.wasm");
        let file = file.to_str().context("a path in UTF-8")?;
        let olga = roles.cli(&nats, OPERATOR).env("PLUGIN_DIR", dir.path().display());
        for words in [
            &["events", "agent", "--json"][..],
            &["state", "agent", &agent.id],
            &["inbox", "list", "agent"],
            &["plugin", "list"],
            &["plugin", "check", file],
            &["stream", "upgrade"],
            &["backup", backup],
            &["verify", "--domain", "agent"],
        ] {
            let output = olga.run(words).await?;
            ensure!(output.code == 0 && !output.stderr.contains("may not"), "{words:?}: {output:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn inboxes_are_each_users_own() -> Result<()> {
    let (roles, nats) = Roles::start(Form::Users).await?;
    let _host = roles.host(&nats)?.start(&nats).await?;
    let asked = ["state", "agent", ONE_AGENT];
    let shared = roles.cli(&nats, CLIENT).env("NATS_INBOX_PREFIX", "_INBOX").run(&asked).await?;
    ensure!(shared.code == 1 && shared.stderr.contains("may not subscribe to `_INBOX."), "{shared:?}");
    roles.cli(&nats, CLIENT).run(&asked).await?.exit(4).map(drop)
}
