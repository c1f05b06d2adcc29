//! What code has to show before it goes live: that it reads what is recorded as the live code
//! does. It must not test how files are found.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::operator::digest;
use tests::plugin_dir::COUNTER_FILE as FILE;
use tests::plugins::{plugin, successor};
use tests::stored::Stored;
use tests::{Counter, Host, Nats, PluginDir};

/// A component that is of an interface of the same length in an older version.
const INTERFACE: (&[u8], &[u8]) = (b"agent-service:domain/aggregates@1.0.0", b"agent-service:domain/aggregates@0.9.0");

/// A host with the first version of the counter, and two counters with some events each.
struct Recorded {
    nats: Nats,
    dir: PluginDir,
    host: Host,
    /// Four events: 2, 3, reset, 13.
    first: Counter,
    /// Two events: reset, 1.
    second: Counter,
}

impl Recorded {
    async fn start() -> Result<Self> {
        let nats = Nats::start().await?;
        let dir = PluginDir::of_counter()?;
        // Short, since one of the plugins only ends by it.
        let host = Host::builder(&nats)?.plugins_of(&dir).env("PLUGIN_DEADLINE", "300ms").start(&nats).await?;
        let (first, second) = (Counter::named("first"), Counter::named("second"));
        for message in [first.increment(2), first.increment(3), first.reset(), first.increment(13)] {
            nats.ask(message).await?.ok()?;
        }
        for message in [second.reset(), second.increment(1)] {
            nats.ask(message).await?.ok()?;
        }
        Ok(Self { nats, dir, host, first, second })
    }

    fn put(&self, name: &str) -> Result<()> {
        self.dir.put(FILE, &successor(name)?)
    }

    async fn state(&self, counter: &Counter) -> Result<Value> {
        Ok(self.nats.ask(counter.state()).await?.ok()?.state().clone())
    }

    /// Both counters are as they were recorded, and one of them is asked to go on and does.
    async fn is_untouched(&self) -> Result<()> {
        let live = self.nats.live("counter").await?;
        ensure!(live["version"] == "0.1.0" && live["activation"] == 1, "{live}");
        ensure!(self.state(&self.first).await?["count"] == 13);
        self.nats.ask(self.second.reset()).await?.ok()?;
        ensure!(self.state(&self.second).await?["count"] == 0);
        ensure!(self.newest(&self.second).await?.header("ce-activation")? == "1");
        Ok(())
    }

    async fn newest(&self, counter: &Counter) -> Result<Stored> {
        self.nats.stored_in("COUNTER_EVENTS", &counter.events()).await?.pop().context("no event")
    }

    async fn replays(&self) -> Result<u64> {
        self.nats.counters("counter").await?["replays"].as_u64().context("no replays")
    }
}

#[tokio::test]
async fn code_that_does_the_same_goes_live() -> Result<()> {
    let recorded = Recorded::start().await?;
    let mut events = recorded.nats.plugin_events("counter.live").await?;
    let names = [plugin("counter")?, successor("counter-refactored")?];
    let [before, after] = [digest(&names[0])?, digest(&names[1])?];
    let old = recorded.newest(&recorded.first).await?;
    ensure!(old.header("ce-plugin")? == format!("counter/0.1.0;sha256={before}"), "{old:?}");

    recorded.put("counter-refactored")?;
    let live = recorded.nats.goes_live("counter", "0.1.1").await?;

    let report = &live["report"];
    ensure!(live["activation"] == 2 && live["digest"] == after && report["verdict"] == "same", "{live}");
    ensure!(report["compared"]["aggregates"] == 2 && report["compared"]["events"] == 6, "{report}");
    ensure!(report["compared"]["live_snapshots"] == 2, "{report}");
    let previous = &recorded.nats.domain_status("counter").await?["previous"];
    ensure!(previous["version"] == "0.1.0" && previous["digest"] == before, "{previous}");
    let told = events.next().await?;
    ensure!(told["domain"] == "counter" && told["detail"]["activation"] == 2, "{told}");
    recorded.nats.ask(recorded.first.increment(4)).await?.ok()?;
    ensure!(recorded.state(&recorded.first).await?["count"] == 17);
    let new = recorded.newest(&recorded.first).await?;
    ensure!(new.header("ce-plugin")? == format!("counter/0.1.1;sha256={after}"), "{new:?}");
    ensure!(new.header("ce-activation")? == "2" && new.version()? == 5, "{new:?}");
    ensure!(recorded.replays().await? == 0, "an aggregate was replayed though the gate has proven its snapshot");
    Ok(())
}

#[tokio::test]
async fn code_that_misreads_an_event_is_refused_with_its_diff() -> Result<()> {
    let recorded = Recorded::start().await?;
    let mut events = recorded.nats.plugin_events("counter.refused").await?;

    recorded.put("counter-drifting")?;
    let refusal = recorded.nats.is_refused(FILE, "0.1.2").await?;

    let report = &refusal["report"];
    ensure!(report["verdict"] == "different" && report["differing"] == 2, "{report}");
    let differences = report["differences"].as_array().context("no differences")?;
    for (difference, (aggregate, version, live, candidate)) in
        differences.iter().zip([("first", 1, "2", "3"), ("second", 2, "1", "2")])
    {
        let expected = json!({"path": "/count", "live": live, "candidate": candidate});
        ensure!(difference["aggregate"] == aggregate && difference["version"] == version, "{difference}");
        ensure!(difference["event"] == "incremented" && difference["places"] == json!([expected]), "{difference}");
    }
    let why = refusal["why"].as_str().context("no reason")?;
    for word in ["first", "version 1", "incremented", "/count: 2 became 3", "--accept-drift"] {
        ensure!(why.contains(word), "{word} is not named: {why}");
    }
    let told = events.next().await?;
    ensure!(told["detail"] == refusal, "{told}");
    recorded.host.logs(&["error", "plugin refused", FILE, "/count: 2 became 3"]).await?;
    ensure!(recorded.nats.counters("counter").await?["plugins_refused"] == 1);
    recorded.is_untouched().await
}

#[tokio::test]
async fn a_refusal_stands_until_its_file_is_replaced() -> Result<()> {
    let recorded = Recorded::start().await?;
    recorded.put("counter-drifting")?;
    recorded.nats.is_refused(FILE, "0.1.2").await?;

    recorded.put("counter-refactored")?;
    recorded.nats.goes_live("counter", "0.1.1").await?;

    let list = recorded.nats.plugins().await?;
    ensure!(list["refused"] == json!([]), "{list}");
    Ok(())
}

#[tokio::test]
async fn a_difference_that_the_operator_accepts_goes_live() -> Result<()> {
    let recorded = Recorded::start().await?;
    recorded.put("counter-drifting")?;
    recorded.nats.is_refused(FILE, "0.1.2").await?;
    let mut request = json!({"domain": "counter", "digest": digest(&successor("counter-drifting")?)?});
    let answer = recorded.nats.operate("activate", &request).await?;
    ensure!(answer["status"] == "error", "accepted without a word: {answer}");

    request["accept_drift"] = json!(true);
    let answer = recorded.nats.operate("activate", &request).await?;

    ensure!(answer["status"] == "ok" && answer["activation"] == 2, "{answer}");
    ensure!(answer["report"]["verdict"] == "different", "{answer}");
    ensure!(recorded.nats.live("counter").await?["version"] == "0.1.2");
    // By the new reading, of the events themselves.
    ensure!(recorded.state(&recorded.first).await?["count"] == 14);
    recorded.nats.ask(recorded.second.increment(1)).await?.ok()?;
    ensure!(recorded.state(&recorded.second).await?["count"] == 4);
    let list = recorded.nats.plugins().await?;
    ensure!(list["refused"] == json!([]), "{list}");
    Ok(())
}

#[tokio::test]
async fn code_that_fails_on_what_is_recorded_is_refused_in_words() -> Result<()> {
    let recorded = Recorded::start().await?;
    let cases: [(&str, &str, &[&str]); 5] = [
        ("counter-forgetful", "0.1.3", &["first", "version 3", "was_reset", "a reset is not known here"]),
        ("counter-trapping", "0.1.4", &["first", "version 4", "incremented", "trap"]),
        ("counter-spinning", "0.1.6", &["first", "version 1", "300 ms"]),
        ("counter-amnesiac", "0.1.7", &["own snapshot", "nothing is remembered here"]),
        ("counter-greedy", "0.1.8", &["first", "version 1", "memory"]),
    ];
    for (name, version, words) in cases {
        recorded.put(name)?;
        let refusal = recorded.nats.is_refused(FILE, version).await?;

        ensure!(refusal["report"]["verdict"] == "failed", "{refusal}");
        let why = refusal["why"].as_str().context("no reason")?;
        for word in words {
            ensure!(why.contains(word), "{name}: {word} is not named: {why}");
        }
        recorded.host.logs(&[&["plugin refused", FILE], words].concat()).await?;
        recorded.is_untouched().await?;
    }
    ensure!(recorded.nats.counters("counter").await?["plugins_refused"] == cases.len());
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_no_plugin_is_refused_and_the_live_one_stays() -> Result<()> {
    let recorded = Recorded::start().await?;
    let good = std::fs::read(successor("counter-refactored")?)?;
    let speechless = std::fs::read(successor("counter-speechless")?)?;
    let cases: [(&str, &[u8], &str); 5] = [
        ("empty", b"", "no webassembly"),
        ("truncated", &good[..good.len() / 2], "complete"),
        ("a module", b"\0asm\x01\0\0\0", "not a component"),
        ("of an older interface", &older_interface(&good)?, "aggregates@0.9.0"),
        ("speechless", &speechless, "when asked what it is"),
    ];
    for (what, bytes, cause) in cases {
        recorded.dir.put_bytes(FILE, bytes)?;
        recorded.host.logs(&["plugin refused", FILE, cause]).await.with_context(|| what)?;

        let refusal = recorded.nats.is_refused(FILE, "").await?;
        let why = refusal["why"].as_str().context("no reason")?;
        ensure!(why.to_lowercase().contains(cause), "{what}: {refusal}");
        recorded.is_untouched().await?;
    }
    Ok(())
}

/// The same component as if it were built for an older interface.
fn older_interface(component: &[u8]) -> Result<Vec<u8>> {
    let (served, older) = INTERFACE;
    let mut bytes = component.to_vec();
    let mut found = 0;
    for at in 0..bytes.len() - served.len() {
        if bytes[at..].starts_with(served) {
            bytes[at..at + served.len()].copy_from_slice(older);
            found += 1;
        }
    }
    ensure!(found > 0, "the component names no interface");
    Ok(bytes)
}

#[tokio::test]
async fn a_difference_under_a_raised_state_schema_goes_live() -> Result<()> {
    let recorded = Recorded::start().await?;

    recorded.put("counter-doubling")?;
    let live = recorded.nats.goes_live("counter", "1.2.0").await?;

    ensure!(live["state_schema"] == 2 && live["report"]["verdict"] == "different", "{live}");
    ensure!(recorded.state(&recorded.first).await? == json!({"count": 13, "doubled": 26}));
    Ok(())
}

#[tokio::test]
async fn code_that_reads_the_former_state_goes_live_without_a_replay() -> Result<()> {
    let recorded = Recorded::start().await?;

    recorded.put("counter-migrating")?;
    let live = recorded.nats.goes_live("counter", "1.0.0").await?;

    ensure!(live["state_schema"] == 2 && live["report"]["verdict"] == "same", "{live}");
    ensure!(recorded.state(&recorded.first).await?["count"] == 13);
    ensure!(recorded.nats.ask(recorded.second.increment(4)).await?.ok()?.version()? == 3);
    ensure!(recorded.state(&recorded.second).await?["count"] == 5);
    ensure!(recorded.replays().await? == 0);
    Ok(())
}

#[tokio::test]
async fn code_that_declines_the_former_state_goes_live_by_replay() -> Result<()> {
    let recorded = Recorded::start().await?;

    recorded.put("counter-declining")?;
    let live = recorded.nats.goes_live("counter", "1.1.0").await?;

    ensure!(live["report"]["compared"]["declined_snapshots"] == 2, "{live}");
    ensure!(recorded.state(&recorded.first).await?["count"] == 13);
    ensure!(recorded.nats.ask(recorded.second.increment(4)).await?.ok()?.version()? == 3);
    ensure!(recorded.state(&recorded.second).await?["count"] == 5);
    ensure!(recorded.replays().await? == 2);
    Ok(())
}

#[tokio::test]
async fn a_later_version_brings_a_new_command() -> Result<()> {
    let recorded = Recorded::start().await?;
    recorded.nats.ask(recorded.first.decrement(3)).await?.error("invalid")?.naming(&["decrement"])?;

    recorded.put("counter-wider")?;
    recorded.nats.goes_live("counter", "2.0.0").await?;

    ensure!(recorded.nats.ask(recorded.first.decrement(3)).await?.ok()?.version()? == 5);
    ensure!(recorded.state(&recorded.first).await?["count"] == 10);
    ensure!(recorded.newest(&recorded.first).await?.subject == "counter.events.first.decremented");
    Ok(())
}
