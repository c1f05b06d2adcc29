//! `plugin check`: the gate as a dry run, for a developer's terminal and for CI. Reads what hosts
//! recorded and changes nothing of it.

mod live;
mod partner;
mod verdict;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures::TryStreamExt;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

pub(in crate::cli) use self::live::{Live, live};
use self::partner::Partner;
pub(in crate::cli) use self::partner::find;
use self::verdict::Checked;
use super::file;
use crate::cli::client::Client;
use crate::cli::output::OutputFlags;
use crate::cli::progress::ProgressLine;
use crate::cli::stream::StreamName;
use crate::cli::{CliError, Exit};
use crate::config::{Connection, Service, positive_duration};
use crate::domain::{Digest, Generation};
use crate::gate::{Budget, Gate, Progress, Report};
use crate::name::{AggregateId, Name};
use crate::plugin::LoadError;
use crate::registry::{FileError, Loaded, Registry};
use crate::store::jetstream::{EventStream, Home, JetStreamEvents, JetStreamSnapshots, OpenBatches, StreamError};
use crate::store::memory::MemorySnapshots;
use crate::store::{EventStore, Page, SnapshotStore, Unavailable};

/// Positions at the end of the stream whose aggregates count as those that were used last.
const RECENT_POSITIONS: usize = 2_000;

/// `plugin check`
#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    /// The plugin, a .wasm file
    file: PathBuf,
    /// Hold it against this file [default: the code that is live, looked for in PLUGIN_DIR and
    /// PLUGIN_CACHE_DIR]
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Take differences for wanted
    #[arg(long)]
    accept_drift: bool,
    /// Longest time to compare [default: PLUGIN_GATE_TIME]
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    time: Option<Duration>,
    /// Most aggregates to compare [default: PLUGIN_GATE_AGGREGATES]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    aggregates: Option<u32>,
    #[command(flatten)]
    stream: StreamName,
    /// Say how far it is also where standard error is no terminal
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) async fn run(asked: Check, connection: &Connection, service: &Service) -> Result<Exit, CliError> {
    let registry = Registry::of(service).map_err(CliError::failed)?;
    let candidate = load(&registry, &asked.file).await?;
    let given = match &asked.against {
        Some(path) => Some(Partner::given(&registry, path, &candidate).await?),
        None => None,
    };
    let domain = candidate.plugin.description().domain.clone();
    let client = Client::connect(connection).await?;
    let Some(log) = Log::find(&client, &domain, &asked.stream.of(&domain, service), connection).await? else {
        return Checked::nothing_recorded(&asked.file).print(asked.output.open());
    };
    let partner = match given {
        Some(partner) => partner,
        None => Partner::live(&client, &log, &registry, service, &candidate).await?,
    };
    let record = log.snapshots.code_record(candidate.plugin.digest()).await.map_err(unavailable)?;
    let trial = Trial {
        reads: record.reads.clone(),
        budget: Budget {
            time: asked.time.unwrap_or(service.plugin_gate_time),
            aggregates: asked.aggregates.unwrap_or(service.plugin_gate_aggregates) as usize,
        },
        recent: log.recent().await.map_err(unavailable)?,
        verbose: asked.verbose,
    };
    let report = trial.run(&candidate, &partner, &log).await?;
    Checked::new(&asked.file, report, &partner, record.denied, asked.accept_drift).print(asked.output.open())
}

/// What a domain's hosts have recorded.
pub(in crate::cli) struct Log {
    pub(in crate::cli) domain: Name,
    pub(in crate::cli) events: JetStreamEvents,
    pub(in crate::cli) snapshots: Arc<dyn SnapshotStore>,
}

impl Log {
    /// Finds stream and bucket; `None` where there is no stream. Makes neither.
    pub(in crate::cli) async fn find(
        client: &Client,
        domain: &Name,
        stream: &str,
        connection: &Connection,
    ) -> Result<Option<Self>, CliError> {
        let server = client.check_server(connection).await?;
        let found = EventStream::find(&client.jetstream, domain, stream).await.map_err(|error| match error {
            StreamError::BrokenPromise { .. } => CliError::failed(error),
            StreamError::Lost { .. } | StreamError::Refused(..) | StreamError::Silent(..) => {
                CliError::Unavailable(error.to_string())
            }
        })?;
        let Some(stream) = found else { return Ok(None) };
        let bucket = JetStreamSnapshots::find(client.nats().clone(), &client.jetstream, domain).await;
        let snapshots: Arc<dyn SnapshotStore> =
            match bucket.map_err(|error| CliError::Unavailable(error.to_string()))? {
                Some(bucket) => Arc::new(bucket),
                // Nothing was saved yet, or the hosts keep snapshots to themselves.
                None => Arc::new(MemorySnapshots::default()),
            };
        let home = Home {
            domain: domain.clone(),
            stream,
            js_domain: server.domain,
            // Nothing is appended, so nothing is acknowledged or misplaced.
            ack_timeout: Duration::ZERO,
            misplaced: watch::Sender::new(None),
            lost: Arc::new(Notify::new()),
            open_batches: OpenBatches::default(),
        };
        let events = JetStreamEvents::new(client.nats().clone(), client.jetstream.clone(), home);
        Ok(Some(Self { domain: domain.clone(), events, snapshots }))
    }

    /// The aggregates of the newest events, the latest first: in a log that is too long for the
    /// time, they matter most.
    async fn recent(&self) -> Result<Vec<AggregateId>, Unavailable> {
        let last = self.events.extent().await?.last_sequence;
        let from = last.saturating_sub(RECENT_POSITIONS as u64 - 1).max(1);
        let mut recent: Vec<AggregateId> = Vec::new();
        if from <= last {
            let pages: Vec<Page> = self.events.scan(from, last, RECENT_POSITIONS).try_collect().await?;
            for (id, _) in pages.into_iter().flat_map(|page| page.events).rev() {
                if !recent.contains(&id) {
                    recent.push(id);
                }
            }
        }
        Ok(recent)
    }
}

/// How the gate is to go about it.
struct Trial {
    reads: BTreeSet<Digest>,
    budget: Budget,
    recent: Vec<AggregateId>,
    verbose: bool,
}

impl Trial {
    async fn run(self, candidate: &Loaded, partner: &Partner, log: &Log) -> Result<Report, CliError> {
        let generation = Arc::new(candidate.plugin.clone());
        let live = partner.activation.clone();
        let (events, snapshots) = (Arc::new(log.events.clone()), Arc::clone(&log.snapshots));
        let runtime = Handle::current();
        let run = tokio::task::spawn_blocking(move || {
            let line = ProgressLine::start(self.verbose);
            Gate {
                candidate: generation,
                candidate_reads: self.reads,
                live,
                events,
                snapshots,
                recent: self.recent,
                budget: self.budget,
                runtime,
                progress: &|progress| line.show(|| in_words(progress)),
            }
            .run()
        });
        let report = run.await.map_err(|error| CliError::Failed(format!("the gate ended in a panic: {error}")))?;
        report.map_err(|error| CliError::Unavailable(format!("what is recorded cannot be read: {error}")))
    }
}

/// Loads a plugin as a host does. On a thread of its own: plugins may not run where a runtime does.
async fn load(registry: &Registry, path: &Path) -> Result<Loaded, CliError> {
    load_file(registry, path).await?.map_err(|error| match error {
        FileError::Refused(error @ (LoadError::Engine(_) | LoadError::CompileTimeout(_))) => {
            CliError::Failed(format!("{} cannot be looked into: {error}", path.display()))
        }
        FileError::Unreadable(_) => CliError::Failed(format!("{}: {error}", path.display())),
        FileError::Untrusted(error) => CliError::Invalid(format!("{} would be refused: {error}", path.display())),
        FileError::Refused(error) => file::refused(path, error),
    })
}

pub(in crate::cli) async fn load_file(registry: &Registry, path: &Path) -> Result<Result<Loaded, FileError>, CliError> {
    let (registry, path) = (registry.clone(), path.to_path_buf());
    let loading = tokio::task::spawn_blocking(move || registry.load_file(&path));
    loading.await.map_err(|error| CliError::Failed(format!("loading a plugin ended in a panic: {error}")))
}

fn in_words(progress: Progress) -> String {
    let Progress { sequence, last_sequence, aggregates } = progress;
    let percent = sequence.saturating_sub(1).saturating_mul(100) / last_sequence.max(1);
    format!("{percent:>3} %  position {sequence} of {last_sequence}, {aggregates} aggregates")
}

pub(in crate::cli) fn unavailable(error: Unavailable) -> CliError {
    CliError::Unavailable(error.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_how_much_is_done() {
        let at = |sequence| in_words(Progress { sequence, last_sequence: 4_000, aggregates: 12 });
        assert_eq!(at(1), "  0 %  position 1 of 4000, 12 aggregates");
        assert_eq!(at(3_001), " 75 %  position 3001 of 4000, 12 aggregates");
    }
}
