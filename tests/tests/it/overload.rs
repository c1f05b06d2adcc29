//! More than a host can do: every command is answered, what is too much at once and not late, memory
//! stays within its bounds, and it is over when the load is. It must not test outages of the server.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use tests::flood::Flood;
use tests::{Counter, Host, HostBuilder, Misbehave, Nats, PATIENCE, eventually};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Far more than mailbox, waiting room and sockets hold.
const FLOOD: usize = 40_000;
const COUNTERS: usize = 500;
/// How soon a host must be as before once the load ends. One second is promised; other tests run beside.
const RECOVERY_MAX: Duration = Duration::from_secs(3);
/// What a flood may leave in memory, in KiB: buffers that have grown once.
const GROWTH_MAX_KIB: u64 = 96 << 10;

fn counters(count: usize) -> Vec<Counter> {
    (0..count).map(|_| Counter::new()).collect()
}

fn builder(nats: &Nats) -> Result<HostBuilder> {
    Host::builder(nats)?.without_plugins().plugin("counter")
}

/// A command is done soon again.
async fn has_recovered(nats: &Nats) -> Result<Duration> {
    let begun = Instant::now();
    eventually("a command is done", async || {
        nats.ask(Counter::new().increment(1)).await?.ok()?;
        Ok(())
    })
    .await?;
    Ok(begun.elapsed())
}

/// Every `ok` is stored once, and nothing else is.
async fn ensure_stored(nats: &Nats, flood: &Flood) -> Result<()> {
    let stored = nats.stored_at_once("COUNTER_EVENTS").await?;
    let mut causes: Vec<String> = Vec::new();
    for event in &stored {
        causes.push(event.header("ce-causationid")?.to_owned());
    }
    let mut ok: Vec<&str> =
        flood.answers.iter().filter(|(_, answer)| answer["status"] == "ok").map(|(id, _)| id.as_str()).collect();
    causes.sort_unstable();
    ok.sort_unstable();
    ensure!(causes == ok, "{} stored, {} answered with ok", causes.len(), ok.len());
    Ok(())
}

#[tokio::test]
async fn every_command_of_a_flood_is_answered_and_those_that_are_ok_are_stored_once() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.start(&nats).await?;
    has_recovered(&nats).await?;
    nats.jetstream().get_stream("COUNTER_EVENTS").await?.purge().await?;
    let before = host.resident_kib()?;

    let flood = Flood::send(&nats, &counters(COUNTERS), FLOOD).await?;

    let (ok, overloaded) = (flood.count("ok"), flood.count("overloaded"));
    let grown = host.resident_kib()?.saturating_sub(before);
    eprintln!("{FLOOD} at once: {ok} ok, {overloaded} overloaded, after {:.1?}; {grown} KiB more", flood.took);
    ensure!(ok + overloaded == FLOOD, "{:?}", flood.answers.values().find(|a| a["code"] == "timeout"));
    ensure!(ok > 0);
    ensure_stored(&nats, &flood).await?;
    let recovery = has_recovered(&nats).await?;
    ensure!(recovery < RECOVERY_MAX, "{recovery:?}");
    ensure!(grown < GROWTH_MAX_KIB, "{grown} KiB");
    Ok(())
}

#[tokio::test]
async fn too_much_for_one_aggregate_is_refused_at_once_while_others_are_served() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = builder(&nats)?.start(&nats).await?;
    let (loaded, other) = (counters(1), Counter::new());
    nats.ask(other.increment(1)).await?.ok()?;

    let flooding = Flood::send(&nats, &loaded, FLOOD / 4);
    let meanwhile = async {
        // All share a mailbox: where that is full for a moment, one comes again as the answer says.
        for _ in 0..20 {
            eventually("the other is counted up", async || nats.ask(other.increment(1)).await?.ok()).await?;
        }
        Ok(())
    };
    let (flood, ()) = tokio::try_join!(flooding, meanwhile)?;
    ensure!(flood.count("ok") + flood.count("overloaded") == FLOOD / 4);
    ensure!(flood.count("overloaded") > 0, "it took all of {}", FLOOD / 4);
    Ok(())
}

#[tokio::test]
async fn a_flood_beside_an_endless_loop_loses_no_answer() -> Result<()> {
    let nats = Nats::start().await?;
    let host = Host::builder(&nats)?.without_plugins().plugin("misbehave")?.plugin("counter")?;
    let _host = host.start(&nats).await?;
    let counters = counters(COUNTERS);
    let spinning = async {
        for _ in 0..2 {
            nats.ask(Misbehave::new().run("spin", 0)).await?.error("plugin_failed")?;
        }
        Ok(())
    };
    let (flood, ()) = tokio::try_join!(Flood::send(&nats, &counters, FLOOD / 2), spinning)?;
    ensure!(flood.count("ok") + flood.count("overloaded") == FLOOD / 2);
    Ok(())
}

#[tokio::test]
async fn ten_thousand_aggregates_at_once_stay_within_the_limits_of_memory() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.env("CACHE_CAPACITY", 100).start(&nats).await?;
    has_recovered(&nats).await?;
    let before = host.resident_kib()?;
    let all = counters(10_000);
    for _ in 0..2 {
        for some in all.chunks(2_000) {
            try_join_all(some.iter().map(async |counter| {
                eventually("the counter is counted up", async || nats.ask(counter.increment(1)).await?.ok()).await
            }))
            .await?;
        }
    }
    let grown = host.resident_kib()?.saturating_sub(before);
    ensure!(grown < GROWTH_MAX_KIB, "{grown} KiB");
    let reply = nats.ask(all[0].state()).await?.ok()?;
    ensure!(reply.state()["count"] == 2, "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn a_client_that_never_reads_harms_nobody_but_itself() -> Result<()> {
    let nats = Nats::start().await?;
    let host = builder(&nats)?.start(&nats).await?;
    has_recovered(&nats).await?;
    let before = host.resident_kib()?;
    let address = nats.url().trim_start_matches("nats://").to_owned();
    let mut deaf = TcpStream::connect(address).await?;
    deaf.write_all(b"CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB deaf.* 1\r\n").await?;
    let command = Counter::new().increment(1);
    for n in 0..FLOOD / 2 {
        let mut line = format!("PUB {} deaf.{n} {}\r\n", command.subject, command.payload.len()).into_bytes();
        line.extend_from_slice(&command.payload);
        line.extend_from_slice(b"\r\n");
        if deaf.write_all(&line).await.is_err() {
            // The server has had enough of it.
            break;
        }
    }
    let recovery = has_recovered(&nats).await?;
    ensure!(recovery < PATIENCE, "{recovery:?}");
    let grown = host.resident_kib()?.saturating_sub(before);
    ensure!(grown < GROWTH_MAX_KIB, "{grown} KiB");
    Ok(())
}
