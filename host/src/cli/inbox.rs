//! `inbox`: what the durable lane of a domain has given up on: listed, shown, tried again, dropped.
//! Knows how it is parked, not how it is executed.

use std::fmt::Write;

use async_nats::HeaderMap;
use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::accepted::Accepted;
use super::client::{Client, aggregate_id, name};
use super::output::{ASIDE, BAD, GOOD, HEADING, NAME, Output, OutputFlags, harmless};
use super::reply::Reply;
use super::{CliError, Exit};
use crate::config::Connection;
use crate::inbox::dead::{Dead, DeadError, Parked};
use crate::message::{Code, Failure};
use crate::name::{AggregateId, Name, Subjects, dead_stream_of, header};

/// `inbox`
#[derive(Debug, Subcommand)]
pub(super) enum InboxCommand {
    /// List commands that were given up on, and those that wait behind them
    List(List),
    /// Show one of them with its headers and its payload
    Show(One),
    /// Have a host try again, in order, what is parked of an aggregate
    ///
    /// What succeeds, or is refused, is parked no more. It ends with the first that fails again.
    Retry(Retry),
    /// Drop one of them for good; those behind it can then be tried again
    Skip(One),
}

/// `inbox list`
#[derive(Debug, Args)]
pub(super) struct List {
    /// The domain, like agent
    domain: String,
    /// Only those of this aggregate
    id: Option<String>,
    #[command(flatten)]
    output: OutputFlags,
}

/// `inbox retry`
#[derive(Debug, Args)]
pub(super) struct Retry {
    /// The domain, like agent
    domain: String,
    /// The aggregate
    id: String,
    #[command(flatten)]
    output: OutputFlags,
}

/// `inbox show` and `inbox skip`
#[derive(Debug, Args)]
pub(super) struct One {
    /// The domain, like agent
    domain: String,
    /// Which one: its sequence, as `inbox list` shows it
    sequence: u64,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) async fn run(command: InboxCommand, connection: &Connection) -> Result<Exit, CliError> {
    let (output, domain, id) = match &command {
        InboxCommand::List(list) => (list.output.open(), &list.domain, list.id.as_deref()),
        InboxCommand::Retry(retry) => (retry.output.open(), &retry.domain, Some(retry.id.as_str())),
        InboxCommand::Show(one) | InboxCommand::Skip(one) => (one.output.open(), &one.domain, None),
    };
    let checked = name(domain).and_then(|domain| Ok((domain, id.map(aggregate_id).transpose()?)));
    let (domain, id) = match checked {
        Ok(checked) => checked,
        Err(failure) => return refused(failure, output),
    };
    let client = Client::connect(connection).await?;
    let dead = Dead::new(&client.jetstream, &domain);
    if !dead.stands().await.map_err(unavailable)? {
        let stream = dead_stream_of(&domain);
        return missing(
            format!("there is no stream {stream}: a host makes it when it first serves the domain"),
            output,
        );
    }
    match (command, id) {
        (InboxCommand::Retry(_), Some(id)) => retry(&client, &dead, &domain, &id, output).await,
        (InboxCommand::Show(one), _) => show(&dead, one.sequence, output).await,
        (InboxCommand::Skip(one), _) => skip(&dead, one.sequence, output).await,
        (InboxCommand::List(_) | InboxCommand::Retry(_), id) => list(&dead, id.as_ref(), output).await,
    }
}

async fn list(dead: &Dead, id: Option<&AggregateId>, output: Output) -> Result<Exit, CliError> {
    let mut from = 1;
    while let Some(parked) = dead.next(id, from).await.map_err(unavailable)? {
        from = parked.sequence + 1;
        if output.is_json() {
            output.document(summary(&parked).to_string().as_bytes())?;
        } else {
            output.text(&in_words(&parked))?;
        }
    }
    Ok(Exit::Ok)
}

async fn show(dead: &Dead, sequence: u64, output: Output) -> Result<Exit, CliError> {
    let Some(parked) = dead.at(sequence).await.map_err(unavailable)? else { return nothing_at(sequence, output) };
    let payload = serde_json::from_slice(&parked.payload)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&parked.payload).into_owned()));
    if output.is_json() {
        let mut document = summary(&parked);
        document["headers"] = headers(&parked.headers);
        document["payload"] = payload;
        output.document(document.to_string().as_bytes())?;
        return Ok(Exit::Ok);
    }
    let mut text = in_words(&parked);
    let mut lines: Vec<String> = Vec::new();
    for (name, values) in parked.headers.iter() {
        lines.extend(values.iter().map(|value| format!("{name}: {}", harmless(value.as_str()))));
    }
    lines.sort_unstable();
    for line in lines {
        let _ = write!(text, "\n    {ASIDE}{line}{ASIDE:#}");
    }
    let payload = serde_json::to_string_pretty(&payload).unwrap_or_default();
    let _ = write!(text, "\n{}", harmless(&payload));
    output.text(&text)?;
    Ok(Exit::Ok)
}

/// Asks through the inbox itself, so that it has its place among the aggregate's commands.
async fn retry(
    client: &Client,
    dead: &Dead,
    domain: &Name,
    id: &AggregateId,
    output: Output,
) -> Result<Exit, CliError> {
    let Some(first) = dead.next(Some(id), 1).await.map_err(unavailable)? else {
        return missing(format!("nothing is parked of {id}"), output);
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::RETRY, first.sequence.to_string());
    let subject = Subjects::new(domain).inbox_command(Some(id), &first.verb);
    Accepted::publish(client, subject, headers, Bytes::from_static(b"{}")).await?.print(output)
}

async fn skip(dead: &Dead, sequence: u64, output: Output) -> Result<Exit, CliError> {
    let Some(parked) = dead.at(sequence).await.map_err(unavailable)? else { return nothing_at(sequence, output) };
    if !dead.remove(sequence).await.map_err(unavailable)? {
        return nothing_at(sequence, output);
    }
    if output.is_json() {
        let mut document = summary(&parked);
        document["status"] = json!("skipped");
        output.document(document.to_string().as_bytes())?;
    } else {
        output.text(&format!("{GOOD}skipped{GOOD:#}  {}", in_words(&parked)))?;
    }
    Ok(Exit::Ok)
}

fn summary(parked: &Parked) -> Value {
    json!({
        "sequence": parked.sequence,
        "id": parked.id,
        "verb": parked.verb,
        "command_id": parked.command_id,
        "code": parked.code,
        "reason": parked.reason,
        "tries": parked.tries,
        "time": parked.time,
    })
}

fn in_words(parked: &Parked) -> String {
    let Parked { sequence, id, verb, command_id, code, reason, tries, .. } = parked;
    let (command_id, reason) = (harmless(command_id), harmless(reason));
    let mut text = format!("{HEADING}{sequence}{HEADING:#}  {id}  {NAME}{verb}{NAME:#}  {ASIDE}{command_id}{ASIDE:#}");
    let _ = match code {
        Some(code) => write!(text, "\n    {BAD}{}{BAD:#} after {tries} tries  {reason}", harmless(code)),
        None => write!(text, "\n    {reason}"),
    };
    text
}

fn headers(headers: &HeaderMap) -> Value {
    let values = |values: &[async_nats::HeaderValue]| values.iter().map(|value| Value::from(value.as_str())).collect();
    headers.iter().map(|(name, found)| (name.to_string(), Value::Array(values(found)))).collect()
}

fn nothing_at(sequence: u64, output: Output) -> Result<Exit, CliError> {
    missing(format!("nothing is parked at sequence {sequence}: `agent-service inbox list` shows what is"), output)
}

fn missing(why: String, output: Output) -> Result<Exit, CliError> {
    refused(Failure::new(Code::NotFound, why), output)
}

fn refused(failure: Failure, output: Output) -> Result<Exit, CliError> {
    // Only refusals come here, and they say themselves in words.
    Reply::from(failure).print(output, |_| String::new())
}

#[expect(clippy::needless_pass_by_value, reason = "it ends here")]
fn unavailable(error: DeadError) -> CliError {
    CliError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn parked(code: Option<&str>, tries: u64, reason: &str) -> Parked {
        Parked {
            sequence: 12,
            id: AggregateId::new("a1").expect("an id"),
            verb: Name::new("deploy").expect("a name"),
            command_id: "c1".into(),
            code: code.map(str::to_owned),
            reason: reason.into(),
            tries,
            inbox_sequence: 7,
            time: Timestamp(0),
            headers: HeaderMap::new(),
            payload: Bytes::new(),
        }
    }

    fn plain(parked: &Parked) -> String {
        anstream::adapter::strip_str(&in_words(parked)).to_string()
    }

    #[test]
    fn a_parked_command_says_why_it_is_there() {
        insta::assert_snapshot!(plain(&parked(Some("plugin_failed"), 5, "it trapped\u{1b}[2J")), @r"
        12  a1  deploy  c1
            plugin_failed after 5 tries  it trapped�[2J
        ");
        insta::assert_snapshot!(plain(&parked(None, 0, "waits behind the parked command c0")), @r"
        12  a1  deploy  c1
            waits behind the parked command c0
        ");
    }

    #[test]
    fn programs_get_it_as_a_document() {
        insta::assert_snapshot!(
            summary(&parked(Some("plugin_failed"), 5, "it trapped")),
            @r#"{"code":"plugin_failed","command_id":"c1","id":"a1","reason":"it trapped","sequence":12,"time":"1970-01-01T00:00:00.000Z","tries":5,"verb":"deploy"}"#
        );
    }
}
