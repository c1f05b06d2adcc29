//! Traces over OTLP, as a collector sees them: one for each command, from the client's `traceparent` to
//! the events' headers. It must not test what a command leads to.

use anyhow::{Context, Result, ensure};
use tests::certificates::{Certificates, Flaw};
use tests::collector::Span;
use tests::{Agent, Collector, Host, HostBuilder, Misbehave, Nats, eventually};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";

fn traced(nats: &Nats, endpoint: &str) -> Result<HostBuilder> {
    Ok(Host::builder(nats)?.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint))
}

/// What two tracing systems keep beside it.
const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CLIENT}-{flags}")
}

async fn command_span(collector: &Collector, name: &str, agent: &Agent) -> Result<Span> {
    collector.span(name, ("agent_service.aggregate.id", &agent.id)).await
}

#[tokio::test]
async fn a_command_has_one_trace_from_its_client_through_all_stages_to_its_events() -> Result<()> {
    let (nats, collector) = (Nats::start().await?, Collector::start().await?);
    let host = traced(&nats, &collector.url())?
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test");
    let _host = host.start(&nats).await?;
    let agent = Agent::new();
    let deploy = agent.deploy_configured().msg_id("deploy-1");
    let deploy = deploy.header("traceparent", &traceparent("01")).header("tracestate", STATE);
    nats.ask(deploy.clone()).await?.ok()?;

    let span = command_span(&collector, "agent.deploy", &agent).await?;
    ensure!((span.trace_id.as_str(), span.parent.as_str()) == (TRACE, CLIENT), "another place: {span:?}");
    ensure!(!span.failed && span.state == STATE, "it went well: {span:?}");
    for (name, value) in [
        ("messaging.system", "nats"),
        ("messaging.message.id", "deploy-1"),
        ("agent_service.domain", "agent"),
        ("agent_service.verb", "deploy"),
        ("agent_service.outcome", "ok"),
        ("agent_service.version", "2"),
        ("agent_service.events", "2"),
        ("agent_service.duplicate", "false"),
    ] {
        ensure!(span.attribute(name)? == value, "{name} is not {value}: {span:?}");
    }
    let events = nats.stored(&agent.id).await?;
    ensure!(events.len() == 2, "{events:?}");
    for event in &events {
        ensure!(event.header("traceparent")? == format!("00-{TRACE}-{}-01", span.id), "{:?}", event.headers);
        ensure!(event.header("tracestate")? == STATE, "{:?}", event.headers);
        ensure!(event.header("ce-plugin")? == span.attribute("agent_service.plugin")?, "another plugin: {span:?}");
    }

    let stages = collector.below(&span)?;
    let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    ensure!(names == ["queue", "load", "decide", "append", "evolve"], "{names:?}");
    for pair in stages.windows(2) {
        ensure!(pair[0].time.1 <= pair[1].time.1, "out of order: {pair:?}");
    }
    ensure!(stages.iter().all(|stage| stage.trace_id == TRACE && stage.time.0 <= stage.time.1), "{stages:?}");
    ensure!(stages.iter().all(|stage| stage.time.0 >= span.time.0), "before the command: {stages:?}");
    // The answer does not wait for it.
    ensure!(stages[4].time.0 >= span.time.1, "evolved before the answer: {stages:?}");

    let resource = |name: &str| span.resource.get(name).map(String::as_str);
    ensure!(resource("service.name") == Some("agent-service"), "{:?}", span.resource);
    ensure!(resource("deployment.environment") == Some("test"), "{:?}", span.resource);
    ensure!(collector.heads().iter().all(|head| head.contains("x-tenant: blue")), "{:?}", collector.heads());

    nats.ask(deploy).await?.ok()?;
    let again = collector.span("agent.deploy", ("agent_service.duplicate", "true")).await?;
    ensure!(again.parent == CLIENT && again.id != span.id, "{again:?}");
    Ok(())
}

#[tokio::test]
async fn a_command_without_or_with_an_unreadable_trace_begins_one() -> Result<()> {
    let (nats, collector) = (Nats::start().await?, Collector::start().await?);
    let _host = traced(&nats, &collector.url())?.start(&nats).await?;
    let (plain, odd) = (Agent::new(), Agent::new());
    nats.ask(plain.deploy()).await?.ok()?;
    let unreadable = odd.deploy().header("traceparent", &traceparent("01").to_uppercase());
    nats.ask(unreadable.header("tracestate", STATE)).await?.ok()?;

    for agent in [plain, odd] {
        let span = command_span(&collector, "agent.deploy", &agent).await?;
        ensure!(span.parent.is_empty() && span.trace_id != TRACE && span.state.is_empty(), "{span:?}");
        let [event] = &nats.stored(&agent.id).await?[..] else { anyhow::bail!("one event") };
        ensure!(event.header("tracestate").is_err(), "of another trace: {:?}", event.headers);
        ensure!(event.header("traceparent")? == format!("00-{}-{}-01", span.trace_id, span.id), "{:?}", event.headers);
    }
    Ok(())
}

#[tokio::test]
async fn what_the_client_does_not_sample_is_not_traced_and_carried_on_as_it_is() -> Result<()> {
    let (nats, collector) = (Nats::start().await?, Collector::start().await?);
    let mut host = traced(&nats, &collector.url())?.start(&nats).await?;
    let (unsampled, sampled) = (Agent::new(), Agent::new());
    let carried = unsampled.deploy().header("traceparent", &traceparent("00")).header("tracestate", STATE);
    nats.ask(carried).await?.ok()?;
    nats.ask(sampled.deploy()).await?.ok()?;
    // Its end flushes: all that was traced is there.
    ensure!(host.terminate().await? == 0);

    let spans = collector.spans()?;
    ensure!(spans.iter().any(|span| span.name == "agent.deploy"), "nothing was traced");
    ensure!(spans.iter().all(|span| span.trace_id != TRACE), "traced though not sampled: {spans:?}");
    let [event] = &nats.stored(&unsampled.id).await?[..] else { anyhow::bail!("one event") };
    ensure!(event.header("traceparent")? == traceparent("00"), "{:?}", event.headers);
    ensure!(event.header("tracestate")? == STATE, "{:?}", event.headers);
    Ok(())
}

#[tokio::test]
async fn the_sampler_of_the_environment_decides() -> Result<()> {
    let (nats, collector) = (Nats::start().await?, Collector::start().await?);
    let mut host =
        traced(&nats, &collector.url())?.env("OTEL_TRACES_SAMPLER", "parentbased_always_off").start(&nats).await?;
    let (plain, sampled) = (Agent::new(), Agent::new());
    nats.ask(plain.deploy()).await?.ok()?;
    nats.ask(sampled.deploy().header("traceparent", &traceparent("01"))).await?.ok()?;
    ensure!(host.terminate().await? == 0);

    let spans = collector.spans()?;
    ensure!(!spans.is_empty() && spans.iter().all(|span| span.trace_id == TRACE), "{spans:?}");
    ensure!(nats.stored(&plain.id).await?[0].header("traceparent").is_err(), "an event of no trace bears one");
    Ok(())
}

#[tokio::test]
async fn refusals_and_failures_are_told_apart() -> Result<()> {
    let (nats, collector) = (Nats::start().await?, Collector::start().await?);
    let _host = traced(&nats, &collector.url())?.plugin("misbehave")?.start(&nats).await?;
    let (agent, bad) = (Agent::new(), Misbehave::new());
    nats.ask(agent.deploy()).await?.ok()?;
    nats.ask(agent.deploy()).await?.rejected("already_deployed")?;
    nats.ask(agent.command("deploy", &serde_json::json!({"agent_type": 7}))).await?.error("invalid")?;
    nats.ask(tests::Message::to("agent.commands.made_up", r#"{"agent_id":"x"}"#)).await?.error("invalid")?;
    nats.ask(bad.run("trap", 0)).await?.error("plugin_failed")?;

    let refused = collector.span("agent.deploy", ("agent_service.outcome", "rejected")).await?;
    ensure!(refused.attribute("agent_service.reason")? == "already_deployed" && !refused.failed, "{refused:?}");
    let invalid = collector.span("agent.deploy", ("agent_service.outcome", "invalid")).await?;
    ensure!(!invalid.failed, "{invalid:?}");
    // Clients choose verbs: one that the domain does not know makes no name of its own.
    let unknown = collector.span("agent.other", ("agent_service.verb", "made_up")).await?;
    ensure!(unknown.attribute("error.type")? == "invalid", "{unknown:?}");
    let failed = collector.span("misbehave.run", ("agent_service.outcome", "plugin_failed")).await?;
    ensure!(failed.failed, "{failed:?}");
    Ok(())
}

#[tokio::test]
async fn the_plugins_lines_stand_in_their_command_and_log_lines_name_it() -> Result<()> {
    let (nats, collector) = (Nats::start().await?, Collector::start().await?);
    let host = traced(&nats, &collector.url())?.plugin("misbehave")?.env("LOG_FORMAT", "json");
    let host = host.start(&nats).await?;
    let (one, other) = (Misbehave::new(), Misbehave::new());
    let answers = futures::join!(nats.ask(one.run("log_flood", 2)), nats.ask(other.run("log_flood", 1)));
    answers.0?.ok()?;
    answers.1?.ok()?;

    for (misbehave, lines) in [(&one, &["line 0", "line 1"][..]), (&other, &["line 0"])] {
        let span = collector.span("misbehave.run", ("agent_service.aggregate.id", &misbehave.id)).await?;
        let said: Vec<&str> =
            span.events.iter().filter_map(|(_, told)| told.get("log.message")).map(String::as_str).collect();
        ensure!(said == lines, "{span:?}");
        ensure!(span.events.iter().all(|(name, told)| name == "plugin.log" && told["log.severity"] == "info"));
        let log = host.log()?;
        let named = log.lines().filter(|line| line.contains(&span.id) && line.contains("line "));
        let named: Vec<serde_json::Value> = named.map(serde_json::from_str).collect::<Result<_, _>>()?;
        ensure!(named.len() == lines.len(), "log lines of the span: {named:?}");
        ensure!(named.iter().all(|line| line["trace_id"] == span.trace_id.as_str()), "{named:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_command_that_loses_against_another_writer_shows_its_attempts() -> Result<()> {
    let (nats, collector) = (Nats::start().await?, Collector::start().await?);
    let first = traced(&nats, &collector.url())?.start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    // The second has the agent in memory as well; whoever is asked next is behind the other by then.
    let _second = traced(&nats, &collector.url())?.start(&nats).await?;
    let behind = eventually("a host is behind the other", async || {
        nats.ask(agent.set("key", uuid::Uuid::now_v7().to_string())).await?.ok()?;
        let spans = collector.spans()?;
        spans.into_iter().find(|span| span.attributes.contains_key("agent_service.attempts")).context("not yet")
    })
    .await?;
    drop(first);

    ensure!(behind.attribute("agent_service.outcome")? == "ok", "{behind:?}");
    ensure!(behind.events.iter().any(|(name, _)| name == "another writer was first"), "{behind:?}");
    let stages = collector.below(&behind)?;
    let count = |name: &str| stages.iter().filter(|stage| stage.name == name).count();
    ensure!(count("append") >= 2 && count("decide") >= 2 && count("catch_up") >= 1, "{stages:?}");
    ensure!(stages.iter().any(|stage| stage.attributes.contains_key("agent_service.attempt")), "{stages:?}");
    Ok(())
}

#[tokio::test]
async fn a_durable_command_is_traced_like_any_other() -> Result<()> {
    let (nats, collector) = (Nats::start().await?, Collector::start().await?);
    let _host = traced(&nats, &collector.url())?.start(&nats).await?;
    nats.stream_stands("AGENT_INBOX").await?;
    let agent = Agent::new();
    nats.accept(agent.deploy().durable().header("traceparent", &traceparent("01"))).await?;

    let span = command_span(&collector, "agent.deploy", &agent).await?;
    ensure!((span.trace_id.as_str(), span.parent.as_str()) == (TRACE, CLIENT), "{span:?}");
    let event = nats.stored(&agent.id).await?.into_iter().next().context("an event")?;
    ensure!(event.header("traceparent")? == format!("00-{TRACE}-{}-01", span.id), "{:?}", event.headers);
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_told_of_once_and_again_when_it_is_back() -> Result<()> {
    let nats = Nats::start().await?;
    let collector = Collector::start().await?;
    let (url, port) = (collector.url(), collector.port());
    drop(collector);
    let host = traced(&nats, &url)?.env("HTTP_ADDR", "127.0.0.1:0").start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    host.logs(&["warn", "traces cannot be exported", &url]).await?;
    for n in 0..20 {
        nats.ask(agent.set("key", n)).await?.ok()?;
    }

    let collector = Collector::at(port).await?;
    host.logs(&["info", "traces are exported again"]).await?;
    let count = |words: &str| Ok::<_, anyhow::Error>(host.log()?.lines().filter(|line| line.contains(words)).count());
    ensure!(count("traces cannot be exported")? == 1, "told more than once");
    ensure!(count("OpenTelemetry")? == 0, "a library speaks for itself");
    // What was traced meanwhile waited.
    command_span(&collector, "agent.deploy", &agent).await?;
    let address = host.http_address().await?;
    eventually("all is exported", async || {
        let metrics = tests::Metrics::parse(&tests::http::get(&address, "/metrics").await?.body)?;
        let of = |result| metrics.value("agent_service_traces_total", &[("result", result)]);
        ensure!((of("exported"), of("dropped"), of("failed")) == (Some(21.0), Some(0.0), Some(0.0)), "{metrics:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn stopping_flushes_and_an_endpoint_that_never_answers_does_not_hold_it_up() -> Result<()> {
    let (nats, collector) = (Nats::start().await?, Collector::start().await?);
    let mut host = traced(&nats, &collector.url())?.start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    ensure!(host.terminate().await? == 0);
    let names: Vec<String> = collector.spans()?.into_iter().map(|span| span.name).collect();
    ensure!(names.contains(&"agent.deploy".to_owned()) && names.contains(&"evolve".to_owned()), "{names:?}");

    // Connections are taken by the system, and nobody reads them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let mut host = traced(&nats, &format!("http://{}", silent.local_addr()?))?.start(&nats).await?;
    nats.ask(agent.activate()).await?.ok()?;
    ensure!(host.terminate().await? == 0);
    ensure!(host.log()?.contains("the last traces may not have been exported"), "not a word");
    Ok(())
}

#[tokio::test]
async fn without_an_endpoint_or_with_the_sdk_off_nothing_is_traced() -> Result<()> {
    let (nats, collector) = (Nats::start().await?, Collector::start().await?);
    let mut host = traced(&nats, &collector.url())?.env("OTEL_SDK_DISABLED", "true").start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy().header("traceparent", &traceparent("01"))).await?.ok()?;
    ensure!(nats.stored(&agent.id).await?[0].header("traceparent")? == traceparent("01"));
    ensure!(host.terminate().await? == 0);
    ensure!(collector.heads().is_empty(), "{:?}", collector.heads());
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_exported_to_is_refused_at_start_by_its_name() -> Result<()> {
    let nats = Nats::start().await?;
    let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    for (name, value) in [
        (endpoint, "collector:4318"),
        (endpoint, "grpc://collector:4317"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ] {
        let host = traced(&nats, "http://127.0.0.1:4318")?.env(name, value);
        host.refuses(&[name, value]).await.with_context(|| format!("{name}={value}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn over_https_traces_go_to_a_collector_whose_authority_is_named() -> Result<()> {
    let (nats, certificates) = (Nats::start().await?, Certificates::new()?);
    let collector = Collector::with_tls(&certificates, "server").await?;
    let authority = certificates.file("ca.pem");
    let host = traced(&nats, &collector.url())?.env("OTEL_EXPORTER_OTLP_CERTIFICATE", authority.display());
    let mut host = host.start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy().header("traceparent", &traceparent("01"))).await?.ok()?;

    let span = command_span(&collector, "agent.deploy", &agent).await?;
    ensure!((span.trace_id.as_str(), span.parent.as_str()) == (TRACE, CLIENT), "another place: {span:?}");
    ensure!(host.terminate().await? == 0);
    ensure!(!host.log()?.contains("traces cannot be exported"), "{}", host.log()?);
    Ok(())
}

#[tokio::test]
async fn a_collector_of_the_systems_own_authorities_needs_no_further_setting() -> Result<()> {
    let (nats, certificates) = (Nats::start().await?, Certificates::new()?);
    let collector = Collector::with_tls(&certificates, "server").await?;
    // Where the system's authorities are is read from the environment first.
    let host = traced(&nats, &collector.url())?.env("SSL_CERT_FILE", certificates.file("ca.pem").display());
    let _host = host.start(&nats).await?;
    let agent = Agent::new();
    nats.ask(agent.deploy()).await?.ok()?;
    command_span(&collector, "agent.deploy", &agent).await.map(drop)
}

#[tokio::test]
async fn a_collector_that_is_not_trusted_is_sent_nothing_and_the_log_says_why() -> Result<()> {
    let (nats, certificates, others) = (Nats::start().await?, Certificates::new()?, Certificates::new()?);
    certificates.flawed("expired", Flaw::Expired)?;
    certificates.flawed("elsewhere", Flaw::Named("collector.example"))?;
    for (shown, trusted, why) in [
        ("server", &others, ["invalid peer certificate", "whom to trust"]),
        ("expired", &certificates, ["invalid peer certificate", "expired"]),
        ("elsewhere", &certificates, ["invalid peer certificate", "not valid for name"]),
    ] {
        let collector = Collector::with_tls(&certificates, shown).await?;
        let authority = trusted.file("ca.pem");
        let host = traced(&nats, &collector.url())?.env("OTEL_EXPORTER_OTLP_CERTIFICATE", authority.display());
        let mut host = host.start(&nats).await?;
        let agent = Agent::new();
        nats.ask(agent.deploy()).await?.ok()?;
        host.logs(&["warn", "traces cannot be exported", &collector.url(), why[0], why[1]]).await?;
        ensure!(host.terminate().await? == 0);
        ensure!(collector.heads().is_empty(), "{shown}: {:?}", collector.heads());
    }
    Ok(())
}

#[tokio::test]
async fn an_authority_that_cannot_be_read_is_refused_at_start() -> Result<()> {
    let (nats, certificates) = (Nats::start().await?, Certificates::new()?);
    let host = |file: &std::path::Path| {
        let host = traced(&nats, "https://127.0.0.1:4318")?;
        anyhow::Ok(host.env("OTEL_EXPORTER_OTLP_CERTIFICATE", file.display()))
    };
    let named = "OTEL_EXPORTER_OTLP_CERTIFICATE";
    host("/nowhere/ca.pem".as_ref())?.refuses(&[named, "/nowhere/ca.pem", "cannot be read"]).await?;
    host(&certificates.file("server-key.pem"))?.refuses(&[named, "holds no certificate"]).await
}
