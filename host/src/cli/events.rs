//! `events`: what happened, of a domain or of one aggregate, up to now or as it happens.

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Patience, Question, aggregate_id, name};
use super::event_line::{EventLine, HistoryEvent};
use super::event_reader::{EventReader, Selection};
use super::origins::Origins;
use super::output::{Output, OutputFlags};
use super::reply::Reply;
use super::stream::StreamName;
use super::{CliError, Exit};
use crate::config::{Connection, Service};
use crate::name::{AggregateId, Name, Subjects};

/// Most events in one page of history: what a host gives at most.
const PAGE_EVENTS_MAX: usize = 1_000;

/// `events`
#[derive(Debug, Args)]
pub(super) struct Events {
    /// The domain, like agent
    domain: String,
    /// Only the events of this aggregate
    id: Option<String>,
    /// Go on with what happens from now on, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    stream: StreamName,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    output: OutputFlags,
}

/// A page of an aggregate's history.
#[derive(Deserialize)]
struct Page {
    events: Vec<HistoryEvent>,
    next: Option<u64>,
}

pub(super) async fn run(events: Events, connection: &Connection, service: &Service) -> Result<Exit, CliError> {
    tokio::select! {
        listed = list(&events, connection, service) => listed,
        interrupted = tokio::signal::ctrl_c() => match interrupted {
            Ok(()) => Ok(Exit::Ok),
            Err(error) => Err(CliError::Failed(format!("signals cannot be received: {error}"))),
        },
    }
}

async fn list(events: &Events, connection: &Connection, service: &Service) -> Result<Exit, CliError> {
    let output = events.output.open();
    let checked =
        name(&events.domain).and_then(|domain| Ok((domain, events.id.as_deref().map(aggregate_id).transpose()?)));
    let (domain, id) = match checked {
        Ok(checked) => checked,
        Err(failure) => return refused(failure.into(), output),
    };
    let client = Client::connect(connection).await?;
    let subjects = Subjects::new(&domain);
    let selection = Selection {
        stream: events.stream.of(&domain, service),
        subjects: id.as_ref().map_or_else(|| subjects.events(), |id| subjects.events_of(id)),
        headers_only: id.is_some() && !events.follow,
    };
    match id {
        Some(id) if !events.follow => history(&client, &domain, &id, selection, events.patience, output).await,
        id => stream(&client, &domain, selection, events.follow, output, id.is_none()).await,
    }
}

/// The stream's events.
async fn stream(
    client: &Client,
    domain: &Name,
    selection: Selection,
    follow: bool,
    output: Output,
    with_id: bool,
) -> Result<Exit, CliError> {
    let mut reader = EventReader::open(&client.jetstream, selection).await?;
    while let Some(event) = reader.next_known().await? {
        EventLine::of_stream(domain, &event).print(output, with_id)?;
    }
    if !follow {
        return Ok(Exit::Ok);
    }
    loop {
        let event = reader.next().await?;
        EventLine::of_stream(domain, &event).print(output, with_id)?;
    }
}

/// An aggregate's events as a host vouches for them, page by page, with what the stream says
/// of their origin.
async fn history(
    client: &Client,
    domain: &Name,
    id: &AggregateId,
    selection: Selection,
    patience: Patience,
    output: Output,
) -> Result<Exit, CliError> {
    let mut origins = Origins::new(&client.jetstream, selection);
    let mut after = 0;
    loop {
        let reply = client.ask(page(domain, id, after, patience)).await?;
        if reply.exit() != Exit::Ok {
            return refused(reply, output);
        }
        let page: Page = serde_json::from_slice(reply.bytes())
            .map_err(|error| CliError::Failed(format!("the answer is no page of a history: {error}")))?;
        for event in page.events {
            let origin = origins.of(event.sequence).await;
            EventLine::of_history(domain, id.as_str(), event, origin).print(output, false)?;
        }
        match page.next {
            None => return Ok(Exit::Ok),
            Some(next) if next > after => after = next,
            Some(next) => {
                return Err(CliError::Failed(format!("the history goes back from version {after} to {next}")));
            }
        }
    }
}

fn page(domain: &Name, id: &AggregateId, after: u64, patience: Patience) -> Question {
    Question {
        domain: domain.clone(),
        subject: Subjects::new(domain).query(id, "history"),
        headers: Vec::new(),
        payload: json!({"after": after, "limit": PAGE_EVENTS_MAX}).to_string().into(),
        patience,
        remedy: "ask again, or wait longer with --reply-timeout".into(),
    }
}

fn refused(reply: Reply, output: Output) -> Result<Exit, CliError> {
    // Only refusals come here, and they say themselves in words.
    reply.print(output, |_| String::new())
}
