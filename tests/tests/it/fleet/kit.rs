//! A fleet for the tests beside this file: a server with the buckets, hosts that go by them, and
//! what each host tells. Plugins are pushed and activated by the host's own library, as operators
//! do it by its command line. It must not know what is tested.

use std::path::Path;
use std::time::Duration;

use agent_service::clock::Clock;
use agent_service::domain::Digest;
use agent_service::fleet::{Fleet as Store, Wanted};
use agent_service::name::Name;
use anyhow::{Context, Result, bail, ensure};
use async_nats::Subscriber;
use futures::StreamExt;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::plugins::plugin;
use tests::{Cli, Counter, Host, HostBuilder, Message, Nats, PATIENCE, Reply, eventually};

/// The bucket of components.
pub(super) const PLUGINS: &str = "AGENT_SERVICE_PLUGINS";
/// The bucket that says what is wanted.
pub(super) const WANTED: &str = "AGENT_SERVICE_WANTED";
/// The stream of the domain that all of these tests are about.
pub(super) const EVENTS: &str = "COUNTER_EVENTS";

/// Larger than any plugin here.
const COMPONENT_BYTES_MAX: usize = 8 << 20;
/// How long one round of asking what hosts serve lasts where an answer is missing. Rounds are
/// repeated; whatever else is asked takes its time and is asked once.
const ROUND: Duration = Duration::from_secs(1);

/// A server with the buckets, and what its hosts share.
pub(super) struct Fleet {
    pub(super) nats: Nats,
    pub(super) store: Store,
    cache: TempDir,
}

/// What an event says of the code that decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) activation: u64,
    pub(super) digest: String,
}

impl Fleet {
    /// Buckets with nothing in them.
    pub(super) async fn new() -> Result<Self> {
        let nats = Nats::start().await?;
        let store = Store::open(&nats.jetstream(), 1).await?;
        Ok(Self { nats, store, cache: TempDir::with_prefix("agent-service-cache-")? })
    }

    /// So many hosts that serve the counter's first version, under activation 1.
    pub(super) async fn serving(count: usize) -> Result<(Self, Vec<Host>)> {
        let fleet = Self::new().await?;
        let first = fleet.activate(fleet.push(&plugin("counter")?).await?).await?;
        let hosts = fleet.start(count).await?;
        fleet.all_live(count, &first).await?;
        Ok((fleet, hosts))
    }

    /// The settings of a host of this fleet. What its plugins compile to is kept for the others.
    pub(super) fn host(&self) -> Result<HostBuilder> {
        self.host_with_cache(self.cache.path())
    }

    /// The same with a cache of its own, as on another machine.
    pub(super) fn host_with_cache(&self, cache: &Path) -> Result<HostBuilder> {
        let builder = Host::builder(&self.nats)?.without_plugins();
        Ok(builder.env("PLUGIN_SOURCE", "nats").env("PLUGIN_CACHE_DIR", cache.display()))
    }

    /// Starts so many hosts at once; whoever needs them ready waits for what they serve.
    pub(super) async fn start(&self, count: usize) -> Result<Vec<Host>> {
        (0..count).map(|_| self.host()?.spawn()).collect()
    }

    pub(super) async fn push(&self, component: &Path) -> Result<Digest> {
        self.push_bytes(&std::fs::read(component)?).await
    }

    pub(super) async fn push_bytes(&self, component: &[u8]) -> Result<Digest> {
        Ok(self.store.store(component, COMPONENT_BYTES_MAX).await?)
    }

    pub(super) async fn activate(&self, digest: Digest) -> Result<Wanted> {
        self.activate_above(digest, 0).await
    }

    /// Under a number above `at_least`.
    pub(super) async fn activate_above(&self, digest: Digest, at_least: u64) -> Result<Wanted> {
        Ok(self.store.activate(&counter(), digest, false, at_least, "test", &Clock::System).await?)
    }

    pub(super) async fn activate_with_drift(&self, digest: Digest) -> Result<Wanted> {
        Ok(self.store.activate(&counter(), digest, true, 0, "test", &Clock::System).await?)
    }

    pub(super) async fn roll_back(&self) -> Result<Wanted> {
        Ok(self.store.roll_back(&counter(), None, 0, None, "test", &Clock::System).await?)
    }

    pub(super) async fn wanted(&self) -> Result<Wanted> {
        self.store.wanted(&counter()).await?.context("nothing is wanted")
    }

    /// What so many hosts answer to one request; an error where fewer do.
    pub(super) async fn ask_hosts(&self, what: &str, request: &Value, count: usize) -> Result<Vec<Value>> {
        let inbox = self.nats.client().new_inbox();
        let mut answers = self.nats.client().subscribe(inbox.clone()).await?;
        let request = Message::to(format!("agent-service.control.{what}"), request.to_string());
        self.nats.publish_with_reply(request, &inbox).await?;
        let patience = if what == "list" { ROUND } else { PATIENCE };
        let mut found = Vec::new();
        while found.len() < count {
            let answer = tokio::time::timeout(patience, answers.next()).await;
            let Ok(Some(answer)) = answer else { bail!("{} of {count} hosts answer", found.len()) };
            ensure!(answer.status.is_none(), "nobody answers");
            found.push(serde_json::from_slice(&answer.payload)?);
        }
        Ok(found)
    }

    /// What each of so many hosts tells, once all of them tell what is looked for.
    pub(super) async fn all_tell(
        &self,
        count: usize,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Value>> {
        eventually(what, async || {
            let lists = self.ask_hosts("list", &json!({}), count).await?;
            ensure!(lists.iter().all(&is_so), "{lists:#?}");
            Ok(lists)
        })
        .await
    }

    /// What each of so many hosts tells, once all of them serve what is wanted.
    pub(super) async fn all_live(&self, count: usize, wanted: &Wanted) -> Result<Vec<Value>> {
        let what = format!("{count} hosts serve activation {}", wanted.activation);
        self.all_tell(count, &what, |list| is_live(list, wanted.digest, wanted.activation)).await
    }

    /// Sends a command until it is done: again, under the same id, where a reply asks for that.
    pub(super) async fn done(&self, message: Message) -> Result<Reply> {
        let message = match message.headers.get("Nats-Msg-Id") {
            Some(_) => message,
            None => message.msg_id(&uuid::Uuid::now_v7().to_string()),
        };
        eventually("the command is done", async || {
            let reply = self.nats.ask(message.clone()).await?;
            match reply.body["retryable"] == true {
                true => bail!("{}", reply.body),
                false => Ok(reply),
            }
        })
        .await?
        .ok()
    }

    pub(super) async fn count(&self, counter: &Counter) -> Result<u64> {
        let reply = self.done(counter.state()).await?;
        reply.state()["count"].as_u64().with_context(|| format!("no count: {}", reply.body))
    }

    /// By what code each event of a counter was decided, from the log.
    pub(super) async fn decided(&self, counter: &Counter) -> Result<Vec<Decided>> {
        let events = self.nats.stored_in(EVENTS, &counter.events()).await?;
        events.iter().map(decided).collect()
    }

    /// What hosts tell from now on of what happened to the counter's plugin.
    pub(super) async fn told(&self, what: &str) -> Result<Told> {
        let events = self.nats.client().subscribe(format!("agent-service.events.counter.{what}")).await?;
        self.nats.client().flush().await?;
        Ok(Told(events))
    }
}

/// What hosts tell as it happens.
pub(super) struct Told(Subscriber);

impl Told {
    pub(super) async fn next(&mut self) -> Result<Value> {
        let message = tokio::time::timeout(PATIENCE, self.0.next()).await.context("nothing more was told")?;
        Ok(serde_json::from_slice(&message.context("the connection has ended")?.payload)?)
    }
}

/// By what code an event was decided.
pub(super) fn decided(event: &tests::stored::Stored) -> Result<Decided> {
    let (_, digest) = event.header("ce-plugin")?.split_once(";sha256=").context("ce-plugin without a digest")?;
    Ok(Decided { activation: event.header("ce-activation")?.parse()?, digest: digest.to_owned() })
}

/// What a host tells of the counter; null where it does not serve it.
pub(super) fn status(list: &Value) -> Value {
    let domains = list["domains"].as_array();
    domains.into_iter().flatten().find(|one| one["domain"] == "counter").cloned().unwrap_or_default()
}

pub(super) fn is_live(list: &Value, digest: Digest, activation: u64) -> bool {
    let status = status(list);
    status["live"]["digest"] == digest.to_string() && status["live"]["activation"] == activation
}

/// The one refusal that a host tells of; null where there is none.
pub(super) fn refused(list: &Value) -> Value {
    list["refused"][0].clone()
}

/// A component with the signature of a new key, and that key's public half.
pub(super) async fn signed(component: &Path) -> Result<(Vec<u8>, String)> {
    let (dir, key) = (TempDir::with_prefix("agent-service-signing-")?, KeyPair::new_user());
    let (file, seed) = (dir.path().join("signed.wasm"), dir.path().join("key.seed"));
    std::fs::write(&seed, key.seed()?)?;
    let args = ["plugin", "sign", text(component)?, "--key", text(&seed)?, "--out", text(&file)?];
    Cli::for_url("nats://127.0.0.1:1").run(&args).await?.exit(0)?;
    Ok((std::fs::read(file)?, key.public_key()))
}

pub(super) fn counter() -> Name {
    Name::new("counter").expect("a name")
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}
