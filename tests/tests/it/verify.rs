//! `verify`: silent on what hosts have written, and tells by kind what was done to it since. Names
//! the host's own library where a snapshot or an event is to be well-formed and wrong all the same.

use agent_service::event::event_id;
use agent_service::name::{AggregateId, Name};
use agent_service::snapshot::Snapshot;
use agent_service::store::jetstream::JetStreamSnapshots;
use agent_service::store::{Found, SnapshotStore};
use anyhow::{Context, Result, bail, ensure};
use async_nats::HeaderMap;
use serde_json::{Value, json};
use tests::{Agent, Cli, Counter, Host, Nats, PluginDir, plugins};

/// Two counters of five events each, with a snapshot of each at the fifth; no host any more.
struct Past {
    nats: Nats,
    plugins: PluginDir,
}

impl Past {
    async fn new() -> Result<Self> {
        let nats = Nats::start().await?;
        let host = Host::builder(&nats)?.without_plugins().plugin("counter")?.env("SNAPSHOT_FREQUENCY", 2);
        let mut host = host.start(&nats).await?;
        for by in 1..=5 {
            nats.ask(Counter::named("visitors").increment(by)).await?.ok()?;
            nats.ask(Counter::named("orders").increment(100 * by)).await?.ok()?;
        }
        ensure!(host.terminate().await? == 0);
        Ok(Self { nats, plugins: PluginDir::of_counter()? })
    }

    /// What it finds in the counter's domain, if it ends with this exit code.
    async fn verify(&self, options: &[&str], code: i32) -> Result<Value> {
        let cli = Cli::new(&self.nats).env("PLUGIN_DIR", self.plugins.path().display());
        let document = cli.run(&[&["verify"], options].concat()).await?.exit(code)?.json()?;
        ensure!(document["clean"] == (code == 0), "{document}");
        Ok(document["domains"][0].clone())
    }

    /// That it finds this and nothing else, and words that the finding names.
    async fn finds(&self, found: &Value, words: &[&str]) -> Result<()> {
        let report = self.verify(&[], 9).await?;
        ensure!(report["found"] == *found, "{report}");
        let findings = report["findings"].to_string();
        for word in words {
            ensure!(findings.contains(word), "no {word} in {findings}");
        }
        Ok(())
    }

    async fn snapshots(&self) -> Result<JetStreamSnapshots> {
        let context = self.nats.jetstream();
        Ok(JetStreamSnapshots::open(self.nats.client().clone(), &context, &Name::new("counter")?, 1).await?)
    }

    async fn snapshot(&self, counter: &str) -> Result<(Snapshot, u64)> {
        match self.snapshots().await?.load(&AggregateId::new(counter)?).await? {
            Found::Snapshot { snapshot, revision } => Ok((*snapshot, revision)),
            other => bail!("{other:?}"),
        }
    }

    async fn put_snapshot(&self, counter: &str, change: impl FnOnce(&mut Snapshot)) -> Result<()> {
        let (mut snapshot, revision) = self.snapshot(counter).await?;
        change(&mut snapshot);
        self.snapshots().await?.save(&AggregateId::new(counter)?, snapshot, revision).await?;
        Ok(())
    }

    /// Position of an event by its counter and version.
    async fn sequence(&self, counter: &str, version: usize) -> Result<u64> {
        let events = self.nats.stored_in("COUNTER_EVENTS", &Counter::named(counter).events()).await?;
        Ok(events.get(version - 1).context("no such version")?.sequence)
    }

    async fn remove(&self, sequence: u64) -> Result<()> {
        self.nats.jetstream_api("STREAM.MSG.DELETE.COUNTER_EVENTS", &json!({"seq": sequence})).await?;
        Ok(())
    }

    async fn forge(&self, headers: HeaderMap, payload: &str) -> Result<()> {
        let subject = "counter.events.visitors.incremented";
        let ack = self.nats.jetstream().publish_with_headers(subject, headers, payload.to_owned().into()).await?;
        ack.await?;
        Ok(())
    }

    /// Headers of a sixth event of the visitors, as a host would write them for this command.
    async fn headers(&self, command_id: &str) -> Result<HeaderMap> {
        let events = self.nats.stored_in("COUNTER_EVENTS", &Counter::named("visitors").events()).await?;
        let id = event_id(&Name::new("counter")?, &AggregateId::new("visitors")?, command_id, 0);
        let mut headers = events.get(4).context("no fifth event")?.headers_of_a_copy(id);
        headers.insert("ce-causationid", command_id);
        headers.insert("ce-sequence", "6");
        Ok(headers)
    }
}

#[tokio::test]
async fn a_clean_log_is_clean() -> Result<()> {
    let past = Past::new().await?;
    let report = past.verify(&[], 0).await?;
    ensure!(report["domain"] == "counter" && report["stream"] == "COUNTER_EVENTS", "{report}");
    ensure!(report["aggregates"] == 2 && report["events"] == 10 && report["snapshots"] == 2, "{report}");
    ensure!(report["found"] == json!({}) && report["not_verified"] == json!([]), "{report}");
    Ok(())
}

#[tokio::test]
async fn where_there_is_no_log_nothing_is_clean() -> Result<()> {
    let nats = Nats::start().await?;
    let cli = Cli::new(&nats);
    let refused = async || {
        let output = cli.run(&["verify"]).await?.exit(2)?;
        ensure!(output.stderr.contains("nothing to verify") && output.stdout.is_empty(), "{output:?}");
        Ok::<_, anyhow::Error>(())
    };
    refused().await?;
    // A stream of somebody else's.
    nats.create_stream(&json!({"name": "LETTERS", "subjects": ["letters.>"], "storage": "file"})).await?;
    refused().await
}

#[tokio::test]
async fn both_domains_are_verified_beside_a_host_that_serves() -> Result<()> {
    let past = Past::new().await?;
    past.plugins.put("agent.wasm", &plugins::plugin("agent")?)?;
    let host = Host::builder(&past.nats)?.plugins_of(&past.plugins).env("SNAPSHOT_FREQUENCY", 1);
    let _host = host.start(&past.nats).await?;
    let agent = Agent::new();
    past.nats.ask(agent.deploy_configured()).await?.ok()?;
    let cli = Cli::new(&past.nats).env("PLUGIN_DIR", past.plugins.path().display());
    let writing = async {
        for number in 0..200 {
            past.nats.ask(agent.set("key", number)).await?.ok()?;
        }
        Ok(())
    };
    let verifying = async { cli.run(&["verify"]).await?.exit(0)?.json() };

    let ((), document) = tokio::try_join!(writing, verifying)?;

    let domains: Vec<&Value> = document["domains"].as_array().context("domains")?.iter().collect();
    ensure!(domains.len() == 2 && document["clean"] == true, "{document}");
    let words = cli.run(&["verify", "--domain", "agent", "--output", "text"]).await?.exit(0)?.stdout;
    ensure!(words.contains("1 aggregates, 202 events") && words.contains("nothing is wrong"), "{words}");
    cli.run(&["verify", "--domain", "orders"]).await?.exit(2)?;
    Ok(())
}

#[tokio::test]
async fn a_version_that_is_missing_is_found() -> Result<()> {
    let past = Past::new().await?;
    past.remove(past.sequence("visitors", 3).await?).await?;
    past.finds(&json!({"gap": 1}), &["visitors", "version 3 is missing"]).await
}

#[tokio::test]
async fn a_first_version_that_is_missing_is_found() -> Result<()> {
    let past = Past::new().await?;
    // The visitors have the first position of the stream, the orders the second.
    past.remove(past.sequence("orders", 1).await?).await?;
    past.finds(&json!({"gap": 1}), &["orders", "version 1 is missing"]).await
}

#[tokio::test]
async fn a_last_version_that_is_missing_is_found_by_the_snapshot() -> Result<()> {
    let past = Past::new().await?;
    past.remove(past.sequence("visitors", 5).await?).await?;
    let words = ["visitors", "the log ends with version 4"];
    past.finds(&json!({"snapshot_contradicts": 1}), &words).await
}

#[tokio::test]
async fn a_flipped_bit_in_a_snapshot_is_found() -> Result<()> {
    let past = Past::new().await?;
    let bucket = past.nats.jetstream().get_key_value("COUNTER_SNAPSHOTS").await?;
    let whole = bucket.get("visitors").await?.context("a snapshot")?;
    for at in [whole.len() / 3, whole.len() - 1] {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x10;
        bucket.put("visitors", bytes.into()).await?;
        past.finds(&json!({"snapshot_damaged": 1}), &["visitors"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_snapshot_of_another_state_is_found() -> Result<()> {
    let past = Past::new().await?;
    let (other, _) = past.snapshot("orders").await?;
    past.put_snapshot("visitors", |snapshot| snapshot.state = other.state).await?;
    past.finds(&json!({"snapshot_differs": 1}), &["visitors", "not what the events"]).await
}

#[tokio::test]
async fn a_snapshot_of_another_log_is_found() -> Result<()> {
    let past = Past::new().await?;
    let (other, _) = past.snapshot("orders").await?;
    past.put_snapshot("visitors", |snapshot| snapshot.last_event_id = other.last_event_id).await?;
    past.finds(&json!({"snapshot_contradicts": 1}), &["visitors", "in its place"]).await?;
    // Of an aggregate that the log has never heard of.
    let stranger = AggregateId::new("stranger")?;
    past.snapshots().await?.save(&stranger, other, 0).await?;
    past.finds(&json!({"snapshot_contradicts": 2}), &["stranger", "no event of the aggregate"]).await
}

#[tokio::test]
async fn what_no_host_wrote_is_found() -> Result<()> {
    let past = Past::new().await?;
    past.forge(HeaderMap::new(), r#"{"by":1}"#).await?;
    past.finds(&json!({"foreign": 1}), &["visitors", "no header ce-id"]).await?;
    // A version that has been.
    let mut headers = past.headers("again").await?;
    headers.insert("ce-sequence", "5");
    past.forge(headers, r#"{"by":1}"#).await?;
    past.finds(&json!({"foreign": 2}), &["version 5 has been"]).await?;
    // Well made but for its id.
    let mut headers = past.headers("made-up").await?;
    let id = "5f0c6dd5-9c0a-5b58-8f8e-9f3d3f2a7c11";
    headers.insert("ce-id", id);
    headers.insert("Nats-Msg-Id", id);
    past.forge(headers, r#"{"by":1}"#).await?;
    past.finds(&json!({"foreign": 3}), &["not that of an event of its command"]).await
}

#[tokio::test]
async fn an_event_that_does_not_evolve_is_found() -> Result<()> {
    let past = Past::new().await?;
    past.forge(past.headers("forged").await?, r#"{"by":"many"}"#).await?;
    past.finds(&json!({"failing": 1}), &["visitors"]).await
}

#[tokio::test]
async fn what_has_aged_needs_a_snapshot() -> Result<()> {
    let past = Past::new().await?;
    let keep_from = past.sequence("orders", 4).await?;
    past.nats.jetstream_api("STREAM.PURGE.COUNTER_EVENTS", &json!({"seq": keep_from})).await?;
    let report = past.verify(&[], 0).await?;
    ensure!(report["aggregates"] == 2 && report["events"] == 3, "{report}");

    past.nats.jetstream().get_key_value("COUNTER_SNAPSHOTS").await?.delete("orders").await?;
    past.finds(&json!({"uncovered": 1}), &["orders", "up to version 3 are gone"]).await
}

#[tokio::test]
async fn many_aggregates_take_several_walks_and_are_all_verified() -> Result<()> {
    let past = Past::new().await?;
    let host = Host::builder(&past.nats)?.plugins_of(&past.plugins);
    let mut host = host.start(&past.nats).await?;
    for number in 0..30 {
        for _ in 0..2 {
            past.nats.ask(Counter::named(&format!("counter-{number}")).increment(1)).await?.ok()?;
        }
    }
    ensure!(host.terminate().await? == 0);
    past.remove(past.sequence("counter-7", 1).await?).await?;
    past.remove(past.sequence("counter-23", 1).await?).await?;

    let at_once = past.verify(&[], 9).await?;
    let by_and_by = past.verify(&["--aggregates", "3"], 9).await?;

    ensure!(at_once["found"] == json!({"gap": 2}) && at_once["aggregates"] == 32, "{at_once}");
    for field in ["found", "aggregates", "events", "snapshots"] {
        ensure!(at_once[field] == by_and_by[field], "{field}: {at_once}\n{by_and_by}");
    }
    Ok(())
}

#[tokio::test]
async fn without_the_live_code_it_asks_for_it() -> Result<()> {
    let past = Past::new().await?;
    past.plugins.remove("counter.wasm")?;
    let cli = Cli::new(&past.nats).env("PLUGIN_DIR", past.plugins.path().display());
    let output = cli.run(&["verify"]).await?.exit(1)?;
    ensure!(output.stderr.contains("--plugin FILE") && output.stdout.is_empty(), "{output:?}");

    let counter = plugins::plugin("counter")?;
    past.verify(&["--plugin", counter.to_str().context("UTF-8")?], 0).await?;
    let nowhere = Cli::for_url("nats://127.0.0.1:1").env("NATS_CONNECT_TIMEOUT", "100ms");
    nowhere.run(&["verify"]).await?.exit(6)?;
    Ok(())
}
