//! The commands that look after the plugins of running hosts, against hosts that the test plays:
//! what they are asked, and what is made of their answers. It must not test what a host does.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow, ensure};
use futures::StreamExt;
use serde_json::{Value, json};
use tests::cli::Output;
use tests::{Cli, Nats, plugins};
use tokio::task::JoinHandle;

const OLD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A host as far as the command line sees one. It answers `list` with its document, and whatever
/// else it is asked with an answer prepared for that; both may be changed while it answers.
struct Played {
    document: Arc<Mutex<Value>>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    task: JoinHandle<()>,
}

impl Drop for Played {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a host does with its own document when it is asked something.
type Doing = fn(what: &str, request: &Value, document: &mut Value) -> Value;

impl Played {
    async fn start(nats: &Nats, id: &str, source: &str, doing: Doing) -> Result<Self> {
        let live = json!({"version": "1.0.0", "digest": OLD, "activation": 6, "since": "2026-11-24T06:00:00.000Z"});
        let domains = json!([{"domain": "counter", "live": live}]);
        let document = json!({"host": id, "name": "edge", "source": source, "version": "0.1.0", "domains": domains});
        let (document, asked) = (Arc::new(Mutex::new(document)), Arc::new(Mutex::new(Vec::new())));
        let client = nats.client().clone();
        let mut requests = client.subscribe("agent-service.control.*").await?;
        client.flush().await?;
        let (shared, noted) = (Arc::clone(&document), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Some(message) = requests.next().await {
                let what = message.subject.rsplit('.').next().unwrap_or_default().to_owned();
                let request: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
                let answer = {
                    let mut document = shared.lock().expect("nobody panics here");
                    noted.lock().expect("nobody panics here").push((what.clone(), request.clone()));
                    doing(&what, &request, &mut document)
                };
                if let Some(reply) = message.reply.filter(|_| !answer.is_null()) {
                    client.publish(reply, answer.to_string().into()).await.expect("a connection");
                }
            }
        });
        Ok(Self { document, asked, task })
    }

    fn set(&self, place: &str, value: Value) -> Result<()> {
        let mut document = self.document.lock().map_err(|_| anyhow!("a test has panicked"))?;
        *document.pointer_mut(place).context("a place in the document")? = value;
        Ok(())
    }

    /// The first request of a kind.
    fn asked(&self, what: &str) -> Result<Value> {
        let asked = self.asked.lock().map_err(|_| anyhow!("a test has panicked"))?;
        let found = asked.iter().find(|(kind, _)| kind == what);
        found.map(|(_, request)| request.clone()).with_context(|| format!("never asked to {what}"))
    }
}

/// Tells what it has, and does nothing.
fn idle(what: &str, _: &Value, document: &mut Value) -> Value {
    if what == "list" { document.clone() } else { Value::Null }
}

fn ok(document: &Value, answer: Value) -> Value {
    let mut answer = answer;
    answer["host"] = document["host"].clone();
    answer["status"] = "ok".into();
    answer
}

async fn push(nats: &Nats, more: &[&str]) -> Result<Output> {
    let file = plugins::plugin("counter")?;
    let args = [&["plugin", "push", file.to_str().context("a path in UTF-8")?][..], more].concat();
    Cli::new(nats).run(&args).await
}

async fn wanted(nats: &Nats) -> Result<Value> {
    let entries = nats.jetstream().get_key_value("AGENT_SERVICE_WANTED").await?;
    Ok(serde_json::from_slice(&entries.get("counter").await?.context("an entry")?)?)
}

/// The digest without what says of which kind it is.
fn hexadecimal(document: &Value) -> Result<String> {
    let digest = document["digest"].as_str().context("a digest")?;
    Ok(digest.strip_prefix("sha256:").context("its kind")?.to_owned())
}

#[tokio::test]
async fn a_plugin_is_pushed_and_activated_before_any_host_runs() -> Result<()> {
    let nats = Nats::start().await?;
    let pushed = push(&nats, &[]).await?.exit(0)?.json()?;
    let digest = hexadecimal(&pushed)?;
    ensure!(pushed["domain"] == "counter" && pushed["activated"].is_null(), "{pushed}");
    let entries = nats.jetstream().get_key_value("AGENT_SERVICE_WANTED").await?;
    ensure!(entries.get("counter").await?.is_none(), "it was activated");

    Cli::new(&nats).run(&["plugin", "activate", "counter", &digest[..8]]).await?.exit(0)?;
    let entry = wanted(&nats).await?;
    ensure!(entry["digest"] == digest && entry["activation"] == 1, "{entry}");
    Ok(())
}

#[tokio::test]
async fn what_hosts_would_refuse_is_not_pushed() -> Result<()> {
    let nats = Nats::start().await?;
    let unsigned = Cli::new(&nats).env("PLUGIN_TRUSTED_KEYS", nkeys::KeyPair::new_user().public_key());
    let file = plugins::plugin("counter")?;
    let file = file.to_str().context("a path in UTF-8")?;
    let output = unsigned.run(&["plugin", "push", file]).await?.exit(2)?;
    ensure!(output.stderr.contains("sign"), "{output:?}");

    let manifest = plugins::own_file("Cargo.toml");
    let manifest = manifest.to_str().context("a path in UTF-8")?;
    Cli::new(&nats).run(&["plugin", "push", manifest]).await?.exit(2)?;
    ensure!(nats.jetstream().get_object_store("AGENT_SERVICE_PLUGINS").await.is_err(), "a bucket was made");
    Ok(())
}

#[tokio::test]
async fn the_list_has_what_every_host_tells() -> Result<()> {
    let nats = Nats::start().await?;
    let _hosts = [Played::start(&nats, "H2", "dir", idle).await?, Played::start(&nats, "H1", "nats", idle).await?];
    let list = Cli::new(&nats).run(&["plugin", "list"]).await?.exit(0)?.json()?;
    ensure!(list[0]["host"] == "H1" && list[1]["host"] == "H2" && list[2].is_null(), "{list}");
    let text = Cli::new(&nats).run(&["plugin", "list", "--output", "text"]).await?.exit(0)?.stdout;
    ensure!(text.contains("edge (H1)") && text.contains("activation 6"), "{text}");
    Ok(())
}

#[tokio::test]
async fn without_hosts_and_buckets_there_is_nobody_to_ask() -> Result<()> {
    let nats = Nats::start().await?;
    for args in [&["plugin", "list"][..], &["plugin", "activate", "counter", OLD], &["plugin", "rollback", "counter"]] {
        let output = Cli::new(&nats).run(args).await?.exit(6)?;
        ensure!(output.stderr.contains("no host answers"), "{output:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_activation_waits_for_hosts_that_follow_the_fleet() -> Result<()> {
    /// Goes live with the number after the highest that was live, as soon as that can be wanted.
    fn follows(what: &str, _: &Value, document: &mut Value) -> Value {
        let told = idle(what, &Value::Null, document);
        // Asked once more, it has found what is wanted.
        let target = document["next"].clone();
        if target.is_string() {
            document["domains"][0]["live"]["digest"] = target;
            document["domains"][0]["live"]["activation"] = 7.into();
        }
        told
    }
    let nats = Nats::start().await?;
    let digest = hexadecimal(&push(&nats, &[]).await?.exit(0)?.json()?)?;
    let host = Played::start(&nats, "H1", "nats", follows).await?;
    {
        let mut document = host.document.lock().map_err(|_| anyhow!("a test has panicked"))?;
        document["next"] = digest.clone().into();
    }

    let done = Cli::new(&nats).run(&["plugin", "activate", "counter", &digest]).await?.exit(0)?.json()?;
    ensure!(done["hosts"][0]["outcome"] == "live" && done["hosts"][0]["activation"] == 7, "{done}");
    ensure!(wanted(&nats).await?["activation"] == 7, "not above what was live");
    Ok(())
}

#[tokio::test]
async fn a_host_that_refuses_is_told_with_its_reason_and_one_that_does_nothing_as_well() -> Result<()> {
    /// Tells of a refusal from the second time on.
    fn refuses(what: &str, _: &Value, document: &mut Value) -> Value {
        let told = idle(what, &Value::Null, document);
        document["refused"] = document["refuses"].clone();
        told
    }
    let nats = Nats::start().await?;
    let digest = hexadecimal(&push(&nats, &[]).await?.exit(0)?.json()?)?;
    let _idle = Played::start(&nats, "H1", "nats", idle).await?;
    let args = ["plugin", "activate", "counter", &digest, "--wait", "100ms"];
    let done = Cli::new(&nats).run(&args).await?.exit(7)?.json()?;
    ensure!(done["hosts"][0]["outcome"] == "waiting", "{done}");

    let host = Played::start(&nats, "H2", "nats", refuses).await?;
    {
        let refusal = json!([{"origin": "fleet", "digest": digest, "why": "the states differ", "at": "now"}]);
        let mut document = host.document.lock().map_err(|_| anyhow!("a test has panicked"))?;
        document["refused"] = json!([]);
        document["refuses"] = refusal;
    }
    let done = Cli::new(&nats).run(&args).await?.exit(2)?.json()?;
    let refused = done["hosts"].as_array().context("hosts")?.iter().find(|host| host["host"] == "H2");
    ensure!(refused.context("H2")?["why"] == "the states differ", "{done}");
    Ok(())
}

#[tokio::test]
async fn hosts_with_a_directory_are_asked_one_by_one() -> Result<()> {
    fn does(what: &str, _: &Value, document: &mut Value) -> Value {
        match what {
            "activate" => ok(document, json!({"activation": 7, "digest": OLD, "report": {"verdict": "same"}})),
            "rollback" => json!({"host": document["host"], "status": "error", "message": "nothing ran before"}),
            _ => idle(what, &Value::Null, document),
        }
    }
    let nats = Nats::start().await?;
    let host = Played::start(&nats, "H1", "dir", does).await?;

    let args = ["plugin", "activate", "counter", &OLD[..10], "--accept-drift"];
    let done = Cli::new(&nats).run(&args).await?.exit(0)?.json()?;
    ensure!(host.asked("activate")? == json!({"domain": "counter", "digest": OLD, "accept_drift": true}));
    ensure!(done["hosts"][0]["report"]["verdict"] == "same" && done["wanted"].is_null(), "{done}");

    let done = Cli::new(&nats).run(&["plugin", "rollback", "counter"]).await?.exit(2)?.json()?;
    ensure!(host.asked("rollback")? == json!({"domain": "counter"}));
    ensure!(done["hosts"][0]["why"] == "nothing ran before", "{done}");
    ensure!(nats.jetstream().get_key_value("AGENT_SERVICE_WANTED").await.is_err(), "a bucket was made");
    Ok(())
}

#[tokio::test]
async fn a_shadow_is_followed_to_its_end() -> Result<()> {
    /// Compares at once, and is done when it is asked how far it is.
    fn compares(what: &str, request: &Value, document: &mut Value) -> Value {
        if what == "shadow" {
            document["domains"][0]["shadow"] = json!({
                "digest": request["digest"], "version": "1.0.0", "state": "done",
                "compared": 5, "differing": document["differing"], "not_compared": 1, "differences": [],
            });
            return ok(document, json!({}));
        }
        idle(what, request, document)
    }
    let nats = Nats::start().await?;
    let host = Played::start(&nats, "H1", "dir", compares).await?;
    let file = plugins::plugin("counter")?;
    let file = file.to_str().context("a path in UTF-8")?;
    let args = ["plugin", "shadow", file, "--share", "25", "--for", "1s"];

    host.document.lock().map_err(|_| anyhow!("a test has panicked"))?["differing"] = 0.into();
    let done = Cli::new(&nats).run(&args).await?.exit(0)?.json()?;
    ensure!(done["compared"] == 5 && done["differing"] == 0 && done["activated"].is_null(), "{done}");
    let request = host.asked("shadow")?;
    ensure!(request == json!({"digest": hexadecimal(&done)?, "share": 0.25, "for_ms": 1_000}), "{request}");

    host.set("/differing", 2.into())?;
    let done = Cli::new(&nats).run(&args).await?.exit(2)?.json()?;
    ensure!(done["differing"] == 2, "{done}");
    Ok(())
}
