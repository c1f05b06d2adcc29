//! `restore`: streams and buckets out of a backup, into a server that has none of them. Everything
//! is checked before anything is written, and what cannot be finished is taken back.

mod hosts;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::backup::{back_up, kind_of, mebibytes, plan_of};
use super::client::Client;
use super::output::{ASIDE, GOOD, NAME, OutputFlags, remark};
use super::progress::ProgressLine;
use super::{CliError, Exit};
use crate::backup::{BackupError, Folder, Meta, Seal, folders_in};
use crate::config::Connection;
use crate::store::jetstream::{StandingStream, TransferError, delete_stream, restore_stream, standing_streams};

/// `restore`
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// A backup, or the folder of one stream in it
    directory: PathBuf,
    /// Replace streams that stand; they are first backed up into this directory
    ///
    /// Without it, a stream that stands is never touched: nothing is restored then. No host may be
    /// running.
    #[arg(long, value_name = "DIRECTORY")]
    replace: Option<PathBuf>,
    /// Replicas of each stream, where the server has fewer or more than the one before
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: Option<u8>,
    /// Say how far it is also where standard error is no terminal
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    output: OutputFlags,
}

/// A stream of a backup that was found whole.
struct Whole {
    folder: Folder,
    stream: String,
    meta: Meta,
}

/// A stream that was restored, and its state.
struct Restored {
    stream: String,
    expected: Meta,
    state: Value,
}

pub(super) async fn run(asked: Restore, connection: &Connection) -> Result<Exit, CliError> {
    let mut wholes = check(&asked.directory, asked.verbose).await?;
    if let Some(replicas) = asked.replicas {
        wholes.iter_mut().for_each(|whole| whole.meta.config["num_replicas"] = replicas.into());
    }
    let client = Client::connect(connection).await?;
    client.check_server(connection).await?;
    make_room(&client, &wholes, &asked).await?;
    let restored = restore_all(&client, &wholes, asked.verbose).await?;
    let output = asked.output.open();
    if output.is_json() { output.document(&document(&restored)) } else { output.text(&in_words(&restored)) }?;
    Ok(Exit::Ok)
}

/// Reads the whole backup. In the order in which it is to be restored, events last: a host that is
/// started too early finds no log to serve from.
async fn check(directory: &Path, verbose: bool) -> Result<Vec<Whole>, CliError> {
    let directory = directory.to_path_buf();
    let checking = tokio::task::spawn_blocking(move || {
        let line = ProgressLine::start(verbose);
        let folders = folders_in(&directory)?;
        let count = folders.len();
        let (mut wholes, mut seals) = (Vec::new(), Vec::new());
        for (folder, number) in folders.into_iter().zip(1..) {
            line.show(|| format!("checking folder {number} of {count}, {}", mebibytes(folder.bytes())));
            let (meta, seal) = folder.check()?;
            let stream = meta.stream().unwrap_or_default().to_owned();
            seals.extend(seal);
            wholes.push(Whole { folder, stream, meta });
        }
        complete(&directory, &wholes, &seals)?;
        wholes.sort_by_key(|whole| kind_of(&whole.stream, &whole.meta.config));
        Ok::<_, BackupError>(wholes)
    });
    let checked = checking.await.map_err(|error| CliError::Failed(format!("the check ended in a panic: {error}")))?;
    Ok(checked?)
}

/// Whether all is there that was backed up together. A single folder may be restored alone.
fn complete(directory: &Path, wholes: &[Whole], seals: &[Seal]) -> Result<(), BackupError> {
    let damaged = |why: String| BackupError::Damaged { file: directory.display().to_string(), why };
    let twice = wholes.iter().enumerate().find(|(at, whole)| wholes[..*at].iter().any(|w| w.stream == whole.stream));
    if let Some((_, Whole { stream, .. })) = twice {
        return Err(damaged(format!("two folders hold the stream {stream}")));
    }
    if directory.join("backup.json").exists() {
        return Ok(());
    }
    let expected = seals.iter().flat_map(|seal| &seal.streams);
    match expected.into_iter().find(|name| !wholes.iter().any(|whole| whole.stream == **name)) {
        None => Ok(()),
        Some(missing) => {
            Err(damaged(format!("the stream {missing} was backed up with the others, and its folder is missing")))
        }
    }
}

/// Sees that none of the streams stands, or backs up and deletes those that do where that was asked for.
async fn make_room(client: &Client, wholes: &[Whole], asked: &Restore) -> Result<(), CliError> {
    let standing: Vec<StandingStream> = standing_streams(&client.jetstream).await?;
    let in_the_way: Vec<String> = standing
        .iter()
        .map(|stream| stream.name.clone())
        .filter(|name| wholes.iter().any(|whole| whole.stream == *name))
        .collect();
    if in_the_way.is_empty() {
        // One that runs makes the streams that it lacks, and fills them.
        return hosts::ensure_none_runs(client).await;
    }
    let names = in_the_way.join(", ");
    let Some(replaced) = &asked.replace else {
        return Err(CliError::Conflict(format!(
            "nothing was restored: {names} stand already, and a backup is never mixed into what stands. --replace DIRECTORY backs them up into that directory, deletes them and restores"
        )));
    };
    hosts::ensure_none_runs(client).await?;
    let saved = back_up(client, &plan_of(&standing, &in_the_way), replaced, asked.verbose).await?;
    hosts::ensure_none_runs(client).await?;
    let now = standing_streams(&client.jetstream).await?;
    for saved in &saved {
        let last =
            now.iter().find(|stream| stream.name == saved.stream).and_then(|stream| stream.state.get("last_seq"));
        if last.and_then(Value::as_u64) != Some(saved.meta.number("last_seq")) {
            return Err(CliError::Conflict(format!(
                "nothing was restored: {} was written to while it was backed up into {}. Stop what publishes to it",
                saved.stream,
                replaced.display()
            )));
        }
    }
    remark(&format!("{names}: backed up into {} before they are replaced", replaced.display()));
    for name in &in_the_way {
        delete_stream(&client.jetstream, name).await?;
    }
    Ok(())
}

/// Restores one after the other; where one fails, those before it are taken back.
async fn restore_all(client: &Client, wholes: &[Whole], verbose: bool) -> Result<Vec<Restored>, CliError> {
    let mut restored = Vec::new();
    for (at, whole) in wholes.iter().enumerate() {
        match restore(client, whole, verbose).await {
            Ok(done) => restored.push(done),
            Err(Broken { made, error }) => {
                return Err(take_back(client, &wholes[..at + usize::from(made)], error).await);
            }
        }
    }
    Ok(restored)
}

/// A stream that was not restored.
struct Broken {
    /// Whether what stands under its name may be of our making.
    made: bool,
    error: CliError,
}

impl From<CliError> for Broken {
    fn from(error: CliError) -> Self {
        Self { made: true, error }
    }
}

impl From<TransferError> for Broken {
    fn from(error: TransferError) -> Self {
        Self { made: !matches!(error, TransferError::NotMade { .. }), error: error.into() }
    }
}

async fn restore(client: &Client, whole: &Whole, verbose: bool) -> Result<Restored, Broken> {
    let line = ProgressLine::start(verbose);
    let (stream, total) = (whole.stream.as_str(), whole.folder.bytes());
    let progress = |bytes| line.show(|| format!("{stream}: {} of {} sent", mebibytes(bytes), mebibytes(total)));
    let mut archive = whole.folder.open_archive().map_err(|error| Broken { made: false, error: error.into() })?;
    let described = (&whole.meta.config, &whole.meta.state);
    let state = restore_stream(client.nats(), &client.jetstream, stream, described, &mut archive, &progress).await?;
    let restored = Restored { stream: stream.to_owned(), expected: whole.meta.clone(), state };
    // Messages whose time was up are gone at once; the sequences say that they were there.
    if restored.number("last_seq") < whole.meta.number("last_seq") {
        return Err(Broken::from(CliError::Failed(format!(
            "stream {stream}: it ends at sequence {} and not at {}",
            restored.number("last_seq"),
            whole.meta.number("last_seq")
        ))));
    }
    Ok(restored)
}

/// Deletes what this run has made, so that a half of a backup is never taken for the whole.
async fn take_back(client: &Client, begun: &[Whole], error: CliError) -> CliError {
    for whole in begun {
        if let Err(left) = delete_stream(&client.jetstream, &whole.stream).await {
            return CliError::Failed(format!(
                "{error}. What was restored before could not be taken back either ({left}): delete {} before you try again",
                begun.iter().map(|whole| whole.stream.as_str()).collect::<Vec<_>>().join(", ")
            ));
        }
    }
    CliError::Failed(format!("nothing was restored: {error}"))
}

impl Restored {
    fn number(&self, name: &str) -> u64 {
        self.state.get(name).and_then(Value::as_u64).unwrap_or_default()
    }

    /// Messages of the backup that are not in the stream: their time was up.
    fn aged(&self) -> u64 {
        self.expected.number("messages").saturating_sub(self.number("messages"))
    }
}

fn document(restored: &[Restored]) -> Vec<u8> {
    let streams: Vec<_> = restored
        .iter()
        .map(|restored| {
            json!({"stream": restored.stream, "messages": restored.number("messages"), "aged": restored.aged(),
                "first_sequence": restored.number("first_seq"), "last_sequence": restored.number("last_seq")})
        })
        .collect();
    json!({"streams": streams}).to_string().into_bytes()
}

fn in_words(restored: &[Restored]) -> String {
    let mut text = format!("{GOOD}ok{GOOD:#}  {} streams are restored", restored.len());
    for stream in restored {
        let (name, messages, last) = (&stream.stream, stream.number("messages"), stream.number("last_seq"));
        let aged = match stream.aged() {
            0 => String::new(),
            aged => format!("  {ASIDE}{aged} of the backup are older than the stream keeps{ASIDE:#}"),
        };
        text += &format!("\n    {NAME}{name}{NAME:#}  {messages} messages up to sequence {last}{aged}");
    }
    text
}
