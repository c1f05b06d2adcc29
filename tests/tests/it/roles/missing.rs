//! Permissions that are too few: the host says which one, at once, and does not wait for an answer that
//! cannot come. It must not test what is enough.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use async_nats::ConnectOptions;
use tests::roles::{CLIENT, Form, Roles};
use tests::{Agent, Host, Nats};

/// Far below the time for which a silent JetStream is asked again.
const AT_ONCE: Duration = Duration::from_secs(10);

/// The deployment guide's own list, with a second user for the test.
const GUIDE: &str = r#"
authorization {
  users = [
    { user: test, password: test }
    {
      user: "agent-service"
      password: "secret"
      permissions: {
        publish: ["agent.events.>"]
        subscribe: ["agent.commands.>"]
      }
    }
  ]
}
"#;

#[tokio::test]
async fn the_guides_list_is_too_small_and_the_host_says_so() -> Result<()> {
    let login = ConnectOptions::with_user_and_password("test".to_owned(), "test".to_owned());
    let nats = Nats::with_login(GUIDE, login).await?;
    let host = Host::builder(&nats)?.env("NATS_USER", "agent-service").env("NATS_PASSWORD", "secret");
    refuses_at_once(&host, "subscribe", "_INBOX.").await?;

    // With a way for answers it is still too small.
    let config = GUIDE.replace("\"agent.commands.>\"", "\"agent.commands.>\", \"_INBOX.>\"");
    let login = ConnectOptions::with_user_and_password("test".to_owned(), "test".to_owned());
    let nats = Nats::with_login(&config, login).await?;
    let host = Host::builder(&nats)?.env("NATS_USER", "agent-service").env("NATS_PASSWORD", "secret");
    refuses_at_once(&host, "publish", "$JS.API.INFO").await
}

async fn refuses_at_once(host: &tests::HostBuilder, right: &str, subject: &str) -> Result<()> {
    let start = Instant::now();
    let (code, log) = host.ends().await?;
    let last = log.lines().last().unwrap_or_default();
    ensure!(code == 1, "exit code {code}: {log}");
    ensure!(last.contains(&format!("may not {right} to `{subject}")) && last.contains("docs/permissions.md"), "{log}");
    ensure!(start.elapsed() < AT_ONCE, "it took {:?}: {log}", start.elapsed());
    Ok(())
}

#[tokio::test]
async fn each_permission_that_a_start_needs_is_named_where_it_is_missing() -> Result<()> {
    for (right, subject) in [
        ("publish", "$JS.API.INFO"),
        ("publish", "$JS.API.STREAM.INFO.AGENT_EVENTS"),
        ("publish", "$JS.API.STREAM.CREATE.AGENT_EVENTS"),
        ("publish", "$JS.API.STREAM.INFO.KV_AGENT_SNAPSHOTS"),
        ("publish", "$JS.API.STREAM.CREATE.KV_AGENT_SNAPSHOTS"),
        ("subscribe", "agent.commands.>"),
        ("subscribe", "agent.queries.>"),
    ] {
        // Of the host alone: what it lacks, the operator that the test is may have.
        let missing = (format!("\"{subject}\""), "\"nothing\"".to_owned());
        let (roles, nats) = Roles::start_with(Form::Users, &[missing]).await?;
        refuses_at_once(&roles.host(&nats)?, right, subject).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_host_that_may_not_write_events_tells_its_clients_why() -> Result<()> {
    let missing = ("\"agent.events.>\",\n      \"agent.dead.>\"".to_owned(), "\"agent.dead.>\"".to_owned());
    let (roles, nats) = Roles::start_with(Form::Users, &[missing]).await?;
    let host = roles.host(&nats)?.start(&nats).await?;
    let (alice, start) = (roles.connect(&nats, CLIENT).await?, Instant::now());
    for command in [Agent::new().deploy(), Agent::new().deploy_configured()] {
        alice.ask(command).await?.error("unavailable")?.naming(&["may not publish", "agent.events."])?;
    }
    ensure!(start.elapsed() < AT_ONCE, "it took {:?}", start.elapsed());
    ensure!(nats.stream_messages("AGENT_EVENTS").await? == 0);
    host.logs(&["error", "may not publish to `agent.events."]).await
}

#[tokio::test]
async fn a_command_line_that_may_not_ask_says_so() -> Result<()> {
    let (roles, nats) = Roles::start(Form::Users).await?;
    let _host = roles.host(&nats)?.start(&nats).await?;
    let alice = roles.cli(&nats, CLIENT);
    for (words, subject) in [
        (&["events", "agent"][..], "$JS.API.STREAM.INFO.AGENT_EVENTS"),
        (&["plugin", "list"], "agent-service.control.list"),
        (&["send", "agent", "deploy", "{}", "--id", "a", "--durable"], "agent.inbox."),
        (&["stream", "upgrade"], "$JS.API."),
    ] {
        let start = Instant::now();
        let output = alice.run(words).await?;
        ensure!(
            output.code != 0 && output.stderr.contains(&format!("may not publish to `{subject}")),
            "{words:?}: {output:?}"
        );
        ensure!(start.elapsed() < AT_ONCE, "{words:?} took {:?}", start.elapsed());
    }
    Ok(())
}
