//! `stream origins`: which homes the events of a gathered stream come from, and which aggregates have
//! more than one. Knows events by their headers alone.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use clap::Args;
use serde::Serialize;

use crate::cli::client::Client;
use crate::cli::event_reader::{EventReader, Selection, StreamEvent};
use crate::cli::output::{ASIDE, BAD, GOOD, NAME, OutputFlags};
use crate::cli::{CliError, Exit};
use crate::config::{Connection, Service};
use crate::name::{Name, Subjects, gathered_stream_of, header};
use crate::serve;

/// Aggregates that are told apart: their ids are kept in memory, some hundred bytes each.
const AGGREGATES_MAX: usize = 10_000_000;
/// Origins that are told apart: far more than a domain ever has homes.
const ORIGINS_MAX: usize = 1_000;
/// Aggregates of more than one origin that are listed; all are counted.
const LISTED_MAX: usize = 1_000;

/// `stream origins`
#[derive(Debug, Args)]
pub(in crate::cli) struct OriginsArguments {
    /// The domain whose events it holds
    #[arg(default_value = "agent")]
    domain: String,
    /// The stream that gathers them [default: the domain's stream with _ALL behind it]
    #[arg(long = "stream-name", value_name = "NAME")]
    // The service's own setting has the id that this would have.
    #[arg(id = "stream")]
    name: Option<String>,
    #[command(flatten)]
    output: OutputFlags,
}

pub(in crate::cli) async fn run(
    asked: OriginsArguments,
    connection: &Connection,
    service: &Service,
) -> Result<Exit, CliError> {
    let domain = Name::new(&asked.domain).map_err(CliError::failed)?;
    let stream = asked.name.unwrap_or_else(|| gathered_stream_of(&serve::stream_settings(&domain, service).name));
    let client = Client::connect(connection).await?;
    let selection = Selection { stream: stream.clone(), subjects: Subjects::new(&domain).events(), headers_only: true };
    let mut reader = EventReader::open(&client.jetstream, selection).await?;
    let mut ledger = Ledger::default();
    while let Some(event) = reader.next_known().await? {
        ledger.note(&event)?;
    }
    let found = ledger.close(stream);
    let output = asked.output.open();
    if output.is_json() {
        // Serialising it cannot fail: every map key is a string.
        output.document(&serde_json::to_vec(&found).unwrap_or_default())
    } else {
        output.text(&in_words(&found))
    }?;
    Ok(if found.split == 0 { Exit::Ok } else { Exit::Conflict })
}

/// What has been read so far.
#[derive(Default)]
struct Ledger {
    events: u64,
    /// Every origin, with its number of events.
    origins: Vec<(String, u64)>,
    aggregates: HashMap<Box<str>, Vec<Span>>,
}

/// The events of one aggregate from one origin.
struct Span {
    origin: usize,
    events: u64,
    first_version: u64,
    last_version: u64,
}

impl Ledger {
    fn note(&mut self, event: &StreamEvent) -> Result<(), CliError> {
        let text = |name| event.headers.get(name).map_or("", |value| value.as_str());
        let id = Subjects::event_aggregate(&event.subject).unwrap_or_default();
        let version = text(header::CE_SEQUENCE).parse().unwrap_or_default();
        self.add(id, text(header::CE_SOURCE), version)
    }

    fn add(&mut self, id: &str, origin: &str, version: u64) -> Result<(), CliError> {
        let full = |what: &str, max: usize| CliError::Failed(format!("the stream has more than {max} {what}"));
        self.events += 1;
        let at = match self.origins.iter().position(|(known, _)| known == origin) {
            Some(at) => at,
            None if self.origins.len() >= ORIGINS_MAX => return Err(full("origins", ORIGINS_MAX)),
            None => {
                self.origins.push((origin.to_owned(), 0));
                self.origins.len() - 1
            }
        };
        self.origins[at].1 += 1;
        if !self.aggregates.contains_key(id) && self.aggregates.len() >= AGGREGATES_MAX {
            return Err(full("aggregates", AGGREGATES_MAX));
        }
        let spans = self.aggregates.entry(id.into()).or_default();
        match spans.iter_mut().find(|span| span.origin == at) {
            Some(span) => {
                span.events += 1;
                span.first_version = span.first_version.min(version);
                span.last_version = span.last_version.max(version);
            }
            None => spans.push(Span { origin: at, events: 1, first_version: version, last_version: version }),
        }
        Ok(())
    }

    fn close(self, stream: String) -> Found {
        let Self { events, origins, aggregates } = self;
        let mut found = Found { stream, events, aggregates: aggregates.len(), ..Found::default() };
        let mut several: Vec<_> = aggregates.into_iter().filter(|(_, spans)| spans.len() > 1).collect();
        several.sort_by(|one, other| one.0.cmp(&other.0));
        for (id, mut spans) in several {
            spans.sort_by_key(|span| span.first_version);
            let split = spans.windows(2).any(|pair| pair[1].first_version <= pair[0].last_version);
            *(if split { &mut found.split } else { &mut found.moved }) += 1;
            if found.listed.len() < LISTED_MAX {
                let of = |span: &Span| OriginOf {
                    origin: origins[span.origin].0.clone(),
                    events: span.events,
                    first_version: span.first_version,
                    last_version: span.last_version,
                };
                found.listed.push(Several { id: id.into(), split, origins: spans.iter().map(of).collect() });
            }
        }
        found.origins = origins.into_iter().collect();
        found
    }
}

/// What there is to tell.
#[derive(Default, Serialize)]
struct Found {
    stream: String,
    events: u64,
    aggregates: usize,
    /// Events by origin.
    origins: BTreeMap<String, u64>,
    /// Aggregates whose versions come from several origins at once.
    split: usize,
    /// Aggregates that went on at another origin where they had ended at one.
    moved: usize,
    /// Both, as far as they are listed.
    listed: Vec<Several>,
}

/// An aggregate of more than one origin.
#[derive(Serialize)]
struct Several {
    id: String,
    split: bool,
    origins: Vec<OriginOf>,
}

#[derive(Serialize)]
struct OriginOf {
    origin: String,
    events: u64,
    first_version: u64,
    last_version: u64,
}

fn in_words(found: &Found) -> String {
    let Found { stream, events, aggregates, split, moved, .. } = found;
    let mut text = if *split == 0 {
        format!("{GOOD}ok{GOOD:#}  stream {stream}: {events} events of {aggregates} aggregates, none has two homes")
    } else {
        format!(
            "{BAD}two homes{BAD:#}  stream {stream}: {split} of {aggregates} aggregates have events of several origins at once: let one site alone take their commands"
        )
    };
    if *moved > 0 {
        let _ = write!(text, ", {moved} went on at another");
    }
    for (origin, events) in &found.origins {
        let _ = write!(text, "\n    {NAME}{}{NAME:#}  {ASIDE}{events} events{ASIDE:#}", shown(origin));
    }
    for several in &found.listed {
        let what = if several.split { "split" } else { "moved" };
        let _ = write!(text, "\n    {what} {NAME}{}{NAME:#}", several.id);
        for OriginOf { origin, events, first_version, last_version } in &several.origins {
            let _ = write!(
                text,
                "\n        {}  {ASIDE}{events} events, versions {first_version} to {last_version}{ASIDE:#}",
                shown(origin)
            );
        }
    }
    text
}

/// An event that no host wrote has none.
fn shown(origin: &str) -> &str {
    if origin.is_empty() { "without origin" } else { origin }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(events: &[(&str, &str, u64)]) -> Found {
        let mut ledger = Ledger::default();
        for (id, origin, version) in events {
            ledger.add(id, origin, *version).expect("room");
        }
        ledger.close("AGENT_EVENTS_ALL".into())
    }

    #[test]
    fn aggregates_of_one_home_each_are_fine() {
        let found = found(&[("one", "/a/S", 1), ("two", "/b/S", 1), ("one", "/a/S", 2)]);
        assert_eq!((found.split, found.moved, found.listed.len()), (0, 0, 0));
        insta::assert_snapshot!(anstream::adapter::strip_str(&in_words(&found)), @r"
        ok  stream AGENT_EVENTS_ALL: 3 events of 2 aggregates, none has two homes
            /a/S  2 events
            /b/S  1 events
        ");
    }

    #[test]
    fn an_aggregate_of_two_homes_is_told_from_one_that_moved() {
        let events = [("split", "/a/S", 1), ("split", "/b/S", 1), ("split", "/b/S", 2), ("moved", "/a/S", 1)];
        let found = found(&[&events[..], &[("moved", "/b/S", 2)]].concat());
        insta::assert_snapshot!(anstream::adapter::strip_str(&in_words(&found)), @r"
        two homes  stream AGENT_EVENTS_ALL: 1 of 2 aggregates have events of several origins at once: let one site alone take their commands, 1 went on at another
            /a/S  2 events
            /b/S  3 events
            moved moved
                /a/S  1 events, versions 1 to 1
                /b/S  1 events, versions 2 to 2
            split split
                /a/S  1 events, versions 1 to 1
                /b/S  2 events, versions 1 to 2
        ");
    }
}
