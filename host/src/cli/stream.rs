//! `stream upgrade`: the one command that changes a stream, and only when asked; and what is asked
//! about streams beside it.

pub(super) mod origins;

use std::fmt::Write;

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::Client;
use super::output::{ASIDE, GOOD, NAME, OutputFlags};
use super::{CliError, Exit};
use crate::config::{Connection, Layout, Service};
use crate::name::{Name, Subjects};
use crate::serve;
use crate::store::jetstream::{StreamLayout, Upgrade, upgrade as upgrade_stream};

/// `stream`
#[derive(Debug, Subcommand)]
pub(super) enum StreamCommand {
    /// Give a stream that stands what the service needs today
    ///
    /// Allows atomic batches and direct reads. Subjects are changed only where a layout is set.
    Upgrade(UpgradeArguments),
    /// Show which homes the events of a gathered stream come from
    ///
    /// For the stream of a hub that sources those of its sites. An aggregate with events of several
    /// homes at once has a split history: it is listed, and the exit code is 5.
    Origins(origins::OriginsArguments),
}

/// `stream upgrade`
#[derive(Debug, Args)]
pub(super) struct UpgradeArguments {
    /// The domain whose stream it is
    #[arg(default_value = "agent")]
    domain: String,
    #[command(flatten)]
    stream: StreamName,
    /// The subjects it is to have [default: STREAM_LAYOUT where that is set, else those it has]
    #[arg(long, value_name = "LAYOUT", value_enum, visible_alias = "stream-layout")]
    pub(super) layout: Option<Layout>,
    #[command(flatten)]
    output: OutputFlags,
}

/// Which stream a domain has, where a subcommand needs to know.
#[derive(Debug, Args)]
pub(super) struct StreamName {
    /// The domain's stream [default: STREAM_NAME for the agent domain, else <DOMAIN>_EVENTS]
    #[arg(long = "stream-name", value_name = "NAME")]
    // The service's own setting has the id that this would have.
    #[arg(id = "stream")]
    name: Option<String>,
}

impl StreamName {
    /// The stream of `domain`.
    pub(super) fn of(&self, domain: &Name, service: &Service) -> String {
        self.name.clone().unwrap_or_else(|| serve::stream_settings(domain, service).name)
    }
}

pub(super) async fn upgrade(
    asked: UpgradeArguments,
    connection: &Connection,
    service: &Service,
) -> Result<Exit, CliError> {
    let domain = Name::new(&asked.domain).map_err(CliError::failed)?;
    let stream = asked.stream.of(&domain, service);
    let client = Client::connect(connection).await?;
    client.check_server(connection).await?;
    let layout = match asked.layout {
        Some(Layout::Split) => StreamLayout::Split,
        Some(Layout::Combined) => StreamLayout::Combined,
        None => layout_of(&client, &domain, &stream).await,
    };
    let upgrade = upgrade_stream(&client.jetstream, &domain, &stream, layout).await.map_err(CliError::failed)?;
    let output = asked.output.open();
    if output.is_json() { output.document(&document(&upgrade)) } else { output.text(&in_words(&upgrade)) }?;
    Ok(Exit::Ok)
}

/// The layout that a stream has. One that cannot be looked at is left to the upgrade to refuse.
async fn layout_of(client: &Client, domain: &Name, stream: &str) -> StreamLayout {
    let commands = Subjects::new(domain).commands();
    match client.jetstream.get_stream(stream).await {
        Ok(stream) if stream.cached_info().config.subjects.contains(&commands) => StreamLayout::Combined,
        _ => StreamLayout::Split,
    }
}

fn document(upgrade: &Upgrade) -> Vec<u8> {
    let changes: Vec<_> = upgrade
        .changes
        .iter()
        .map(|(setting, before, after)| json!({"setting": setting, "before": before, "after": after}))
        .collect();
    json!({"stream": upgrade.stream, "changes": changes}).to_string().into_bytes()
}

fn in_words(upgrade: &Upgrade) -> String {
    let stream = &upgrade.stream;
    if upgrade.changes.is_empty() {
        return format!("{GOOD}ok{GOOD:#}  stream {stream} has all it needs, nothing was changed");
    }
    let mut text = format!("{GOOD}ok{GOOD:#}  stream {stream} was upgraded");
    for (setting, before, after) in &upgrade.changes {
        let _ = write!(text, "\n    {NAME}{setting}{NAME:#}  {ASIDE}{before}{ASIDE:#} → {after}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_tells_what_it_changed() {
        let changes = vec![("allow_atomic".to_owned(), json!(false), json!(true))];
        let upgrade = Upgrade { stream: "AGENT_EVENTS".into(), changes };
        insta::assert_snapshot!(anstream::adapter::strip_str(&in_words(&upgrade)), @r"
        ok  stream AGENT_EVENTS was upgraded
            allow_atomic  false → true
        ");
        insta::assert_snapshot!(
            String::from_utf8_lossy(&document(&upgrade)),
            @r#"{"changes":[{"after":true,"before":false,"setting":"allow_atomic"}],"stream":"AGENT_EVENTS"}"#
        );
    }
}
