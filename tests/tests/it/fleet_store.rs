//! Where a fleet's plugins are kept, on a real server. The one module that uses the host's own
//! code: who writes to the buckets beside it, and what is lost with them, cannot be asked from
//! outside. It must not know how a plugin goes live.

use std::sync::Arc;
use std::time::Duration;

use agent_service::clock::Clock;
use agent_service::domain::Digest;
use agent_service::fleet::{Fleet, FleetError, FleetWatch};
use agent_service::name::Name;
use anyhow::{Context, Result, bail, ensure};
use tests::{Nats, PATIENCE};

const PLUGINS: &str = "AGENT_SERVICE_PLUGINS";
const WANTED: &str = "AGENT_SERVICE_WANTED";
/// More than several pieces, and no multiple of one.
const SIZE: usize = 700_001;
const SIZE_MAX: usize = 1 << 20;

struct Kept {
    nats: Nats,
    fleet: Fleet,
}

impl Kept {
    async fn new() -> Result<Self> {
        Self::on(Nats::start().await?).await
    }

    async fn on(nats: Nats) -> Result<Self> {
        let fleet = Fleet::open(&nats.jetstream(), 1).await?;
        Ok(Self { nats, fleet })
    }

    async fn store(&self, fill: u8) -> Result<Digest> {
        Ok(self.fleet.store(&component(fill), SIZE_MAX).await?)
    }

    async fn activate(&self, digest: Digest) -> Result<u64, FleetError> {
        let wanted = self.fleet.activate(&domain(), digest, false, 0, "test", &Clock::System).await?;
        Ok(wanted.activation)
    }

    /// Puts other bytes where a component is expected, as anybody may who can write to the bucket.
    async fn tamper(&self, digest: Digest, bytes: &[u8]) -> Result<()> {
        let store = self.nats.jetstream().get_object_store(PLUGINS).await?;
        let mut bytes = bytes;
        store.put(digest.to_string().as_str(), &mut bytes).await?;
        Ok(())
    }
}

fn component(fill: u8) -> Vec<u8> {
    (0..SIZE).map(|at| (at % 251) as u8 ^ fill).collect()
}

fn domain() -> Name {
    Name::new("agent").expect("a name")
}

async fn told(watch: &mut FleetWatch) -> Result<()> {
    Ok(tokio::time::timeout(PATIENCE, watch.changed()).await.context("nothing was told")??)
}

/// Nothing is told within a time in which a change always is.
async fn quiet(watch: &mut FleetWatch) -> Result<()> {
    match tokio::time::timeout(Duration::from_millis(300), watch.changed()).await {
        Ok(told) => bail!("told without a change: {told:?}"),
        Err(_) => Ok(()),
    }
}

#[tokio::test]
async fn a_component_is_read_back_as_it_was_stored() -> Result<()> {
    let kept = Kept::new().await?;
    let digest = kept.store(0).await?;
    ensure!(digest == Digest::of(&component(0)));
    ensure!(kept.store(0).await? == digest, "storing again");

    let other = Fleet::find(&kept.nats.jetstream()).await?.context("the buckets stand")?;
    ensure!(other.component(digest, SIZE_MAX).await?.context("kept")? == component(0));
    ensure!(other.component(Digest::of(b"another"), SIZE_MAX).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_server_of_small_messages_and_a_jetstream_domain_do_as_well() -> Result<()> {
    for nats in [Nats::with_config("max_payload: 16384").await?, Nats::in_domain("edge").await?] {
        let kept = Kept::on(nats).await?;
        let digest = kept.store(0).await?;
        ensure!(kept.fleet.component(digest, SIZE_MAX).await?.context("kept")? == component(0));
        ensure!(kept.activate(digest).await? == 1);
        ensure!(kept.fleet.wanted(&domain()).await?.context("wanted")?.digest == digest);
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_found_where_nothing_was_made() -> Result<()> {
    let nats = Nats::start().await?;
    ensure!(Fleet::find(&nats.jetstream()).await?.is_none());
    ensure!(nats.jetstream().get_object_store(PLUGINS).await.is_err(), "looking made a bucket");

    Fleet::open(&nats.jetstream(), 1).await?;
    nats.jetstream().delete_object_store(PLUGINS).await?;
    let error = Fleet::find(&nats.jetstream()).await.err().context("half a fleet")?;
    ensure!(error == FleetError::Gone { bucket: PLUGINS }, "{error}");
    Ok(())
}

#[tokio::test]
async fn a_bucket_that_would_forget_is_refused() -> Result<()> {
    let nats = Nats::start().await?;
    let config = async_nats::jetstream::kv::Config {
        bucket: WANTED.to_owned(),
        max_age: Duration::from_secs(60),
        ..Default::default()
    };
    nats.jetstream().create_key_value(config).await?;
    let error = Fleet::open(&nats.jetstream(), 1).await.err().context("it was adopted")?.to_string();
    ensure!(error.contains(WANTED) && error.contains("max_age"), "{error}");
    Ok(())
}

#[tokio::test]
async fn what_was_tampered_with_is_not_handed_out_and_can_be_replaced() -> Result<()> {
    let kept = Kept::new().await?;
    let digest = kept.store(0).await?;
    kept.tamper(digest, &component(1)).await?;

    let error = kept.fleet.component(digest, SIZE_MAX).await.err().context("handed out")?;
    ensure!(matches!(error, FleetError::Damaged { .. }), "{error}");

    kept.store(0).await?;
    ensure!(kept.fleet.component(digest, SIZE_MAX).await?.context("kept")? == component(0));
    Ok(())
}

#[tokio::test]
async fn what_is_too_large_is_neither_stored_nor_read() -> Result<()> {
    let kept = Kept::new().await?;
    let error = kept.fleet.store(&component(0), SIZE - 1).await.err().context("stored")?;
    ensure!(error == FleetError::TooLarge { size: SIZE, max: SIZE - 1 }, "{error}");

    let digest = kept.store(0).await?;
    ensure!(kept.fleet.component(digest, SIZE).await?.is_some(), "exactly as large as allowed");
    let error = kept.fleet.component(digest, SIZE - 1).await.err().context("read")?;
    ensure!(error == FleetError::TooLarge { size: SIZE, max: SIZE - 1 }, "{error}");
    Ok(())
}

#[tokio::test]
async fn lost_pieces_end_the_reading_and_are_stored_anew() -> Result<()> {
    let kept = Kept::new().await?;
    let digest = kept.store(0).await?;
    let stream = kept.nats.jetstream().get_stream(format!("OBJ_{PLUGINS}")).await?;
    stream.purge().filter(format!("$O.{PLUGINS}.C.>")).await?;

    let reading = kept.fleet.component(digest, SIZE_MAX);
    let error = tokio::time::timeout(PATIENCE, reading).await.context("it never ends")?.err().context("read")?;
    ensure!(matches!(error, FleetError::Damaged { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn only_what_is_kept_is_activated() -> Result<()> {
    let kept = Kept::new().await?;
    let digest = Digest::of(b"nowhere");
    ensure!(kept.activate(digest).await == Err(FleetError::NotStored { digest }));
    ensure!(kept.fleet.all_wanted().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn of_many_who_activate_at_once_none_is_lost_and_numbers_only_grow() -> Result<()> {
    const AT_ONCE: u64 = 12;
    let kept = Arc::new(Kept::new().await?);
    let digests = [kept.store(0).await?, kept.store(1).await?];
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|n| {
            let kept = Arc::clone(&kept);
            let digest = digests[usize::from(n % 2 == 1)];
            tokio::spawn(async move { kept.activate(digest).await })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.push(task.await??);
    }
    numbers.sort_unstable();

    ensure!(numbers == (1..=AT_ONCE).collect::<Vec<_>>(), "{numbers:?}");
    ensure!(kept.fleet.wanted(&domain()).await?.context("wanted")?.activation == AT_ONCE);
    Ok(())
}

#[tokio::test]
async fn a_roll_back_goes_to_what_was_before_under_a_higher_number() -> Result<()> {
    let kept = Kept::new().await?;
    let (first, second) = (kept.store(0).await?, kept.store(1).await?);
    kept.activate(first).await?;
    let number = kept.activate(second).await?;
    let roll_back = async |from, deny: Option<&str>| {
        kept.fleet.roll_back(&domain(), from, 0, deny.map(str::to_owned), "host", &Clock::System).await
    };

    let overtaken = roll_back(Some(number - 1), Some("late")).await;
    ensure!(matches!(overtaken, Err(FleetError::Overtaken { .. })), "{overtaken:?}");
    let back = roll_back(Some(number), Some("4 failures in probation")).await?;

    ensure!((back.digest, back.activation) == (first, number + 1), "{back:?}");
    ensure!(back.denied.len() == 1 && back.denied[0].digest == second && back.by == "host", "{back:?}");
    ensure!(kept.fleet.all_wanted().await?.get(&domain()) == Some(&back));
    ensure!(roll_back(None, None).await == Err(FleetError::NothingBefore { domain: domain() }));
    Ok(())
}

#[tokio::test]
async fn an_entry_of_somebody_else_harms_no_other_domain() -> Result<()> {
    let kept = Kept::new().await?;
    kept.activate(kept.store(0).await?).await?;
    let entries = kept.nats.jetstream().get_key_value(WANTED).await?;
    entries.put("orders", "no JSON".into()).await?;
    entries.put("No.Domain", "{}".into()).await?;

    ensure!(kept.fleet.all_wanted().await?.into_keys().collect::<Vec<_>>() == [domain()]);
    let orders = Name::new("orders")?;
    let error = kept.fleet.wanted(&orders).await.err().context("it was read")?.to_string();
    ensure!(error.contains("orders") && error.contains(WANTED), "{error}");

    entries.delete("agent").await?;
    ensure!(kept.fleet.wanted(&domain()).await?.is_none(), "deleted");
    ensure!(kept.activate(Digest::of(&component(0))).await? == 1, "after a deletion");
    Ok(())
}

#[tokio::test]
async fn a_watch_tells_of_changes_and_of_nothing_else() -> Result<()> {
    let kept = Kept::new().await?;
    let digest = kept.store(0).await?;
    let mut watch = kept.fleet.watch();
    told(&mut watch).await?;
    quiet(&mut watch).await?;

    for _ in 0..3 {
        kept.activate(digest).await?;
    }
    // They come one by one or become one, as fast as the server tells of them.
    told(&mut watch).await?;
    let mut times = 1;
    while quiet(&mut watch).await.is_err() {
        times += 1;
        ensure!(times <= 3, "told more often than something changed");
    }
    kept.activate(digest).await?;
    told(&mut watch).await
}

#[tokio::test]
async fn a_watch_outlives_the_server() -> Result<()> {
    let kept = Kept::new().await?;
    let digest = kept.store(0).await?;
    let mut watch = kept.fleet.watch();
    told(&mut watch).await?;

    kept.nats.restart_server().await?;
    kept.activate(digest).await?;
    let until_told = async { while watch.changed().await.is_err() {} };
    tokio::time::timeout(PATIENCE, until_told).await.context("nothing was told")
}

#[tokio::test]
async fn a_deleted_bucket_is_told_and_a_new_one_watched() -> Result<()> {
    let kept = Kept::new().await?;
    let mut watch = kept.fleet.watch();
    told(&mut watch).await?;

    kept.nats.jetstream().delete_key_value(WANTED).await?;
    let gone = FleetError::Gone { bucket: WANTED };
    let error = told(&mut watch).await.err().context("nobody noticed")?;
    ensure!(error.downcast_ref() == Some(&gone), "{error:#}");
    ensure!(kept.fleet.wanted(&domain()).await == Err(gone));

    Fleet::open(&kept.nats.jetstream(), 1).await?;
    told(&mut watch).await?;
    ensure!(kept.activate(kept.store(0).await?).await? == 1);
    told(&mut watch).await
}

#[tokio::test]
async fn without_nats_it_is_said_that_nats_is_away() -> Result<()> {
    let kept = Kept::new().await?;
    kept.nats.server()?.kill()?;
    let error = kept.fleet.wanted(&domain()).await.err().context("an answer from nobody")?;
    ensure!(matches!(&error, FleetError::Unavailable(why) if why.contains("NATS")), "{error}");
    Ok(())
}
