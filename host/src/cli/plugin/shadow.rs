//! `plugin shadow`: has the hosts decide a share of the live commands with a candidate as well,
//! and tells where the two part.

mod comparison;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use self::comparison::Comparison;
use super::candidate::{self, Candidate};
use super::hosts::{self, Host};
use super::rollout::{self, Activation, Ground};
use super::spans::{Wait, shadow_time, share};
use super::{control, push};
use crate::cli::client::Client;
use crate::cli::output::{OutputFlags, remark};
use crate::cli::{CliError, Exit};
use crate::config::{Connection, Service};
use crate::fleet::Fleet;
use crate::name::control as subject;

/// How much longer than asked a comparison may take: hosts compile the candidate first, and
/// finish what is under way.
const GRACE: Duration = Duration::from_secs(30);
/// From one look at the hosts to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// `plugin shadow`
#[derive(Debug, Args)]
pub(in crate::cli) struct Shadow {
    /// The candidate, a .wasm file
    file: PathBuf,
    /// How many of the commands it decides as well, in percent
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    share: f64,
    /// For how long: seconds, or a time like 5m
    #[arg(long = "for", value_name = "TIME", value_parser = shadow_time)]
    time: Duration,
    /// Activate it where at least one command was compared and none differed, on hosts that take
    /// their plugins from NATS
    #[arg(long)]
    activate_if_same: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) async fn run(asked: Shadow, connection: &Connection, service: &Service) -> Result<Exit, CliError> {
    let candidate = candidate::read(&asked.file, service)?;
    let client = Client::connect(connection).await?;
    let ground = Ground::survey(&client).await?;
    if ground.hosts.is_empty() {
        return Err(rollout::nobody());
    }
    let fleet = push::store(&client, &candidate, service).await?;
    let comparison = compare(&client, &asked, &candidate, &ground.hosts).await?;
    let rollout = match asked.activate_if_same {
        true if comparison.proves() => activate(&client, &fleet, &candidate, asked.wait.limit).await?,
        _ => None,
    };

    let output = asked.output.open();
    if output.is_json() {
        let mut document = comparison.document();
        document["activated"] = rollout.as_ref().map_or(Value::Null, rollout::Rollout::document);
        output.document(document.to_string().as_bytes())?;
    } else {
        let activated = rollout.as_ref().map(rollout::Rollout::in_words).unwrap_or_default();
        output.text(&format!("{}{activated}", comparison.in_words()))?;
    }
    match (comparison.exit(), rollout) {
        (Exit::Ok, Some(rollout)) => Ok(rollout.exit()),
        // What was asked for did not come about.
        (Exit::Ok, None) if asked.activate_if_same => Ok(Exit::Failed),
        (exit, _) => Ok(exit),
    }
}

/// Starts the comparison on every host and follows it to its end.
async fn compare(
    client: &Client,
    asked: &Shadow,
    candidate: &Candidate,
    hosts: &[Host],
) -> Result<Comparison, CliError> {
    let ids: BTreeSet<String> = hosts.iter().map(|host| host.host.clone()).collect();
    let for_ms = u64::try_from(asked.time.as_millis()).unwrap_or(u64::MAX);
    let request = json!({"digest": candidate.digest.to_string(), "share": asked.share, "for_ms": for_ms});
    let answers = control::gather_from(client, subject::SHADOW, &request, &ids).await?;
    let mut comparison = Comparison::begun(candidate.domain.clone(), candidate.digest, hosts, &answers);

    let end = Instant::now() + asked.time + GRACE;
    if comparison.is_running() {
        remark(&format!("comparing for {}", humantime::format_duration(asked.time)));
    }
    while comparison.is_running() && Instant::now() < end {
        sleep(LOOK_EVERY).await;
        for host in hosts::ask_again(client, &comparison.running()).await? {
            comparison.note(&host);
        }
    }
    Ok(comparison)
}

async fn activate(
    client: &Client,
    fleet: &Fleet,
    candidate: &Candidate,
    wait: Duration,
) -> Result<Option<rollout::Rollout>, CliError> {
    // Anew: numbers may have grown while it was compared.
    let ground = Ground::survey(client).await?;
    for host in ground.with_directory() {
        remark(&format!("{} takes its plugins from a directory: put the file there to activate it", host.label()));
    }
    if !ground.hosts.iter().any(Host::takes_from_nats) {
        return Ok(None);
    }
    let activation = Activation { domain: &candidate.domain, digest: candidate.digest, accept_drift: false };
    rollout::activate_in_fleet(client, fleet, &ground, &activation, wait).await.map(Some)
}
