//! `backup`: streams and buckets into a directory, each as it is at one moment, in the form of
//! `nats stream backup`. Reads only.

mod plan;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use self::plan::Kind;
pub(super) use self::plan::{Planned, kind_of, logs_in, of_names as plan_of};
use super::client::Client;
use super::output::{ASIDE, GOOD, NAME, OutputFlags, remark};
use super::progress::ProgressLine;
use super::{CliError, Exit};
use crate::backup::{BackupError, Contents, Folder, Meta, Seal, Unfinished};
use crate::clock::Clock;
use crate::config::Connection;
use crate::name::Name;
use crate::store::jetstream::{TransferError, fetch_stream, standing_streams};

/// How often a bucket is copied where entries were replaced while it was read. Events and parked
/// messages are never replaced.
const ATTEMPTS_MAX: usize = 3;

/// `backup`
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// Where to; the directory must be empty, or not be there yet
    directory: PathBuf,
    /// Only this domain; can be given several times [default: every domain, and the fleet's plugins]
    #[arg(long = "domain", value_name = "DOMAIN")]
    domains: Vec<String>,
    /// Say how far it is also where standard error is no terminal
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    output: OutputFlags,
}

/// A stream that was backed up.
pub(super) struct Done {
    pub(super) stream: String,
    kind: Kind,
    pub(super) meta: Meta,
    messages: u64,
    bytes: u64,
}

pub(super) async fn run(asked: Backup, connection: &Connection) -> Result<Exit, CliError> {
    let domains: Result<Vec<Name>, _> = asked.domains.iter().map(|domain| Name::new(domain)).collect();
    let domains = domains.map_err(CliError::failed)?;
    let client = Client::connect(connection).await?;
    client.check_server(connection).await?;
    let planned = plan::of(&standing_streams(&client.jetstream).await?, &domains)?;
    let done = back_up(&client, &planned, &asked.directory, asked.verbose).await?;
    let output = asked.output.open();
    if output.is_json() { output.document(&document(&asked.directory, &done)) } else { output.text(&in_words(&done)) }?;
    Ok(Exit::Ok)
}

/// Backs the streams up, one after the other, all or none.
pub(super) async fn back_up(
    client: &Client,
    planned: &[Planned],
    directory: &Path,
    verbose: bool,
) -> Result<Vec<Done>, CliError> {
    let unfinished = Unfinished::begin(directory)?;
    let names: Vec<String> = planned.iter().map(|planned| planned.stream.clone()).collect();
    let made = Clock::System.now().to_rfc3339();
    let mut done = Vec::new();
    for planned in planned {
        let line = ProgressLine::start(verbose);
        let folder = unfinished.folder(&planned.stream)?;
        let seal = Seal::new(&planned.stream, made.clone(), &names);
        done.push(copy(client, planned, &folder, &seal, &line).await?);
    }
    unfinished.finish()?;
    Ok(done)
}

/// One stream, copied and read back whole.
async fn copy(
    client: &Client,
    planned: &Planned,
    folder: &Folder,
    seal: &Seal,
    line: &ProgressLine,
) -> Result<Done, CliError> {
    let stream = planned.stream.as_str();
    let mut attempt = 1;
    loop {
        let mut archive = folder.create_archive()?;
        let progress = |bytes| line.show(|| format!("{stream}: {} received", mebibytes(bytes)));
        let fetched = fetch_stream(client.nats(), &client.jetstream, stream, &mut archive, &progress).await;
        let (config, state) = fetched?;
        archive
            .sync_all()
            .map_err(|error| CliError::Failed(format!("{stream}: its file cannot be written: {error}")))?;
        let meta = Meta { config, state };
        folder.write_meta(&meta)?;
        let contents = sealed(folder, seal).await?;
        let expected = meta.number("messages");
        let messages = contents.messages.unwrap_or(expected);
        if messages == expected || planned.kind == Kind::Events || attempt == ATTEMPTS_MAX {
            if messages < expected {
                let left = expected - messages;
                remark(&format!(
                    "{stream}: {left} entries left the stream while it was read and are not in the backup"
                ));
            }
            return Ok(Done { stream: stream.to_owned(), kind: planned.kind, meta, messages, bytes: folder.bytes() });
        }
        attempt += 1;
    }
}

/// On a thread of its own: reading a long backup back takes as long as writing it.
async fn sealed(folder: &Folder, seal: &Seal) -> Result<Contents, CliError> {
    let (folder, seal) = (folder.clone(), seal.clone());
    let sealing = tokio::task::spawn_blocking(move || folder.seal(seal));
    let sealed =
        sealing.await.map_err(|error| CliError::Failed(format!("reading it back ended in a panic: {error}")))?;
    // It has just come: what is wrong with it is no fault of a file that somebody handed in.
    sealed.map_err(|error| CliError::Failed(format!("what JetStream gave does not read back: {error}")))
}

fn document(directory: &Path, done: &[Done]) -> Vec<u8> {
    let streams: Vec<_> = done
        .iter()
        .map(|done| {
            let (first, last) = (done.meta.number("first_seq"), done.meta.number("last_seq"));
            json!({"stream": done.stream, "holds": done.kind.in_words(), "messages": done.messages,
                "first_sequence": first, "last_sequence": last, "bytes": done.bytes})
        })
        .collect();
    json!({"directory": directory.display().to_string(), "streams": streams}).to_string().into_bytes()
}

fn in_words(done: &[Done]) -> String {
    let mut text = format!("{GOOD}ok{GOOD:#}  {} streams are backed up", done.len());
    for Done { stream, kind, meta, messages, bytes } in done {
        let last = meta.number("last_seq");
        text += &format!(
            "\n    {NAME}{stream}{NAME:#}  {}: {messages} messages up to sequence {last}  {ASIDE}{}{ASIDE:#}",
            kind.in_words(),
            mebibytes(*bytes)
        );
    }
    text
}

/// Bytes for people.
pub(super) fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::File { .. } => Self::failed(error),
            BackupError::Damaged { .. } | BackupError::Mounted(_) => Self::Invalid(error.to_string()),
            BackupError::Occupied(_) => Self::Conflict(error.to_string()),
        }
    }
}

impl From<TransferError> for CliError {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Unavailable { .. } => Self::Unavailable(error.to_string()),
            TransferError::Refused { .. } | TransferError::NotMade { .. } | TransferError::File { .. } => {
                Self::failed(error)
            }
        }
    }
}
