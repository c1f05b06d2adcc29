//! `verify`: whole logs and their snapshots, held against the live code. Reads only.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use futures::TryStreamExt;
use serde_json::json;
use tokio::runtime::Handle;

use super::backup::logs_in;
use super::client::Client;
use super::output::{ASIDE, BAD, GOOD, NAME, OutputFlags, harmless};
use super::plugin::check::{Live, Log, find, live, load_file, unavailable};
use super::progress::ProgressLine;
use super::{CliError, Exit};
use crate::activation::Activation;
use crate::config::{Connection, Service};
use crate::domain::Generation;
use crate::name::Name;
use crate::registry::{Loaded, Registry};
use crate::store::jetstream::standing_streams;
use crate::store::{EventStore, Page};
use crate::verify::{Progress, Report, Verification};

/// Positions at the end of a log among which the live code is looked for.
const NEWEST_POSITIONS: u64 = 2_000;
/// Events read at once.
const PAGE_EVENTS: usize = 200;

/// `verify`
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Only this domain; can be given several times [default: every domain]
    #[arg(long = "domain", value_name = "DOMAIN")]
    domains: Vec<String>,
    /// The code of a domain, a .wasm file; can be given several times [default: the code that is
    /// live, looked for in PLUGIN_DIR and PLUGIN_CACHE_DIR]
    #[arg(long = "plugin", value_name = "FILE")]
    plugins: Vec<PathBuf>,
    /// Aggregates in memory at once; more take further walks through the log [default:
    /// PLUGIN_GATE_AGGREGATES]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    aggregates: Option<u32>,
    /// Say how far it is also where standard error is no terminal
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    output: OutputFlags,
}

/// A domain that was verified.
struct Verified {
    stream: String,
    report: Report,
}

pub(super) async fn run(asked: Verify, connection: &Connection, service: &Service) -> Result<Exit, CliError> {
    let domains: Result<Vec<Name>, _> = asked.domains.iter().map(|domain| Name::new(domain)).collect();
    let domains = domains.map_err(CliError::failed)?;
    let registry = Registry::of(service).map_err(CliError::failed)?;
    let mut given = Vec::new();
    for path in &asked.plugins {
        given.push(load(&registry, path).await?);
    }
    let client = Client::connect(connection).await?;
    client.check_server(connection).await?;
    let logs = logs_in(&standing_streams(&client.jetstream).await?, &domains)?;
    if logs.is_empty() {
        let why = "there is nothing to verify: no stream here holds a domain's events. Is this the right account and JetStream domain?";
        return Err(CliError::Invalid(why.into()));
    }
    let mut verified = Vec::new();
    for (stream, domain) in logs {
        let Some(log) = Log::find(&client, &domain, &stream, connection).await? else {
            return Err(CliError::Unavailable(format!("the stream {stream} has gone meanwhile")));
        };
        let Some(code) = code(&client, &log, &registry, service, &given).await? else { continue };
        verified.push(Verified { stream, report: asked.verify(log, code, service).await? });
    }
    let output = asked.output.open();
    if output.is_json() { output.document(&document(&verified)) } else { output.text(&in_words(&verified)) }?;
    // What is wrong is the answer, so it is no trouble of the tool.
    Ok(if verified.iter().all(|verified| verified.report.is_clean()) { Exit::Ok } else { Exit::Unsound })
}

impl Verify {
    async fn verify(&self, log: Log, code: Arc<Activation>, service: &Service) -> Result<Report, CliError> {
        let aggregates_max = self.aggregates.unwrap_or(service.plugin_gate_aggregates) as usize;
        let (runtime, verbose) = (Handle::current(), self.verbose);
        // On a thread of its own: plugins may not run where a runtime does.
        let verifying = tokio::task::spawn_blocking(move || {
            let line = ProgressLine::start(verbose);
            let domain = log.domain;
            let verification = Verification {
                code,
                events: Arc::new(log.events),
                snapshots: log.snapshots,
                aggregates_max,
                runtime,
                progress: &|progress| line.show(|| how_far(&domain, progress)),
            };
            verification.run()
        });
        let report = verifying.await.map_err(|error| CliError::Failed(format!("it ended in a panic: {error}")))?;
        report.map_err(|error| CliError::Unavailable(format!("what is recorded cannot be read: {error}")))
    }
}

/// The code that is to understand a log; `None` where there is nothing to understand.
async fn code(
    client: &Client,
    log: &Log,
    registry: &Registry,
    service: &Service,
    given: &[Loaded],
) -> Result<Option<Arc<Activation>>, CliError> {
    let plugin = match given.iter().find(|loaded| loaded.plugin.description().domain == log.domain) {
        Some(loaded) => loaded.plugin.clone(),
        None => {
            let live = match live(client, log).await? {
                Some(live) => Some(live),
                None => newest_readable(log).await?,
            };
            match live {
                Some(Live { digest, said_by }) => {
                    let found = find(registry, service, digest).await?;
                    found.ok_or_else(|| missing(&log.domain, &digest.to_string(), &said_by))?.0.plugin
                }
                // Snapshots without a log would be contradictions.
                None if log.events.extent().await.map_err(unavailable)?.last_sequence == 0
                    && log.snapshots.ids(1).await.map_err(unavailable)?.is_empty() =>
                {
                    return Ok(None);
                }
                None => return Err(missing(&log.domain, "?", "nobody, neither a host nor any of the newest events")),
            }
        }
    };
    let reads = log.snapshots.code_record(plugin.digest()).await.map_err(unavailable)?.reads;
    Ok(Some(Arc::new(Activation::new(Arc::new(plugin), 0, reads))))
}

/// What the newest event says that says anything: the last one may be forged.
async fn newest_readable(log: &Log) -> Result<Option<Live>, CliError> {
    let last = log.events.extent().await.map_err(unavailable)?.last_sequence;
    let from = last.saturating_sub(NEWEST_POSITIONS - 1).max(1);
    let pages: Vec<Page> = log.events.scan(from, last, PAGE_EVENTS).try_collect().await.map_err(unavailable)?;
    let events = pages.iter().flat_map(|page| &page.events).rev();
    let digest = events.filter_map(|(_, event)| event.origin.as_ref().ok()?.author.digest()).next();
    Ok(digest.map(|digest| Live { digest, said_by: "one of the newest events".into() }))
}

fn missing(domain: &Name, digest: &str, said_by: &str) -> CliError {
    CliError::Failed(format!(
        "the code of the domain {domain} that is live (sha256:{}, says {said_by}) is neither in PLUGIN_DIR nor in PLUGIN_CACHE_DIR: --plugin FILE names it",
        digest.chars().take(12).collect::<String>()
    ))
}

async fn load(registry: &Registry, path: &Path) -> Result<Loaded, CliError> {
    let loaded = load_file(registry, path).await?;
    loaded.map_err(|error| CliError::Failed(format!("--plugin {}: {error}", path.display())))
}

fn how_far(domain: &Name, progress: Progress) -> String {
    let Progress { sequence, last_sequence, walks_left } = progress;
    let percent = sequence.saturating_sub(1).saturating_mul(100) / last_sequence.max(1);
    let left = if walks_left == 0 { String::new() } else { format!(", {walks_left} more walks") };
    format!("{domain} {percent:>3} %  position {sequence} of {last_sequence}{left}")
}

fn document(verified: &[Verified]) -> Vec<u8> {
    let domains: Vec<_> = verified
        .iter()
        .map(|Verified { stream, report }| {
            let mut domain = json!(report);
            domain["stream"] = json!(stream);
            domain
        })
        .collect();
    let clean = verified.iter().all(|verified| verified.report.is_clean());
    json!({"clean": clean, "domains": domains}).to_string().into_bytes()
}

fn in_words(verified: &[Verified]) -> String {
    let mut text = String::new();
    for Verified { stream, report } in verified {
        let (aggregates, events, snapshots) = (report.aggregates, report.events, report.snapshots);
        text += &format!(
            "{NAME}{}{NAME:#}  {aggregates} aggregates, {events} events, {snapshots} snapshots held against them  {ASIDE}{stream}{ASIDE:#}\n",
            report.domain
        );
        for (kind, count) in &report.found {
            text += &format!("    {BAD}{count}{BAD:#}  {}\n", kind.in_words());
        }
        for finding in &report.findings {
            let place = if finding.sequence > 0 { format!(", at {}", finding.sequence) } else { String::new() };
            // Reasons are the plugin's own words, and strangers write events.
            text += &format!(
                "      {} version {}{place}: {}\n",
                finding.aggregate,
                finding.version,
                harmless(&finding.why)
            );
        }
        let told = report.findings.len() as u64;
        let all: u64 = report.found.values().sum();
        if all > told {
            text += &format!("      {ASIDE}and {} more{ASIDE:#}\n", all - told);
        }
        for skipped in &report.not_verified {
            text += &format!("    {ASIDE}not verified: {skipped}{ASIDE:#}\n");
        }
    }
    if verified.iter().all(|verified| verified.report.is_clean()) {
        text + &format!("{GOOD}ok{GOOD:#}  nothing is wrong")
    } else {
        text + &format!("{BAD}unsound{BAD:#}  what to do about each is in docs/verify.md")
    }
}
