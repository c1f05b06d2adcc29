//! `plugin list`: what every host serves, what it has refused and what it denies.

mod table;

use clap::Args;
use serde_json::{Value, json};

use super::control;
use super::hosts::Host;
use super::rollout::nobody;
use crate::cli::client::Client;
use crate::cli::output::OutputFlags;
use crate::cli::{CliError, Exit};
use crate::config::Connection;
use crate::name::control as subject;

/// `plugin list`
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) async fn run(asked: List, connection: &Connection) -> Result<Exit, CliError> {
    let client = Client::connect(connection).await?;
    let mut documents = control::gather(&client, subject::LIST, &json!({})).await?;
    documents.sort_by_key(|host| (text(host, "name"), text(host, "host")));
    let output = asked.output.open();
    if output.is_json() {
        // As they came: programs may know more of them than this version does.
        output.document(Value::from(documents.clone()).to_string().as_bytes())?;
    } else if !documents.is_empty() {
        let hosts: Vec<Host> = documents.iter().filter_map(Host::read).collect();
        output.text(&table::in_words(&hosts))?;
    }
    if documents.is_empty() { Err(nobody()) } else { Ok(Exit::Ok) }
}

fn text(document: &Value, key: &str) -> String {
    document[key].as_str().unwrap_or_default().to_owned()
}
