//! `state`: an aggregate's state, now or at a version.

use clap::Args;
use serde_json::json;

use super::client::{Client, Patience, Question, aggregate_id, name};
use super::output::OutputFlags;
use super::reply::Reply;
use super::{CliError, Exit};
use crate::config::Connection;
use crate::message::Failure;
use crate::name::Subjects;

/// `state`
#[derive(Debug, Args)]
pub(super) struct State {
    /// The domain, like agent
    domain: String,
    /// The aggregate's id
    id: String,
    /// The state at this version instead of the last
    #[arg(long, value_name = "N")]
    at_version: Option<u64>,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) async fn run(state: State, connection: &Connection) -> Result<Exit, CliError> {
    let reply = match question(&state) {
        Ok(question) => Client::connect(connection).await?.ask(question).await?,
        Err(failure) => failure.into(),
    };
    reply.print(state.output.open(), Reply::state_in_words)
}

fn question(state: &State) -> Result<Question, Failure> {
    let domain = name(&state.domain)?;
    let id = aggregate_id(&state.id)?;
    let payload = match state.at_version {
        Some(version) => json!({"at_version": version}),
        None => json!({}),
    };
    Ok(Question {
        subject: Subjects::new(&domain).query(&id, "state"),
        domain,
        headers: Vec::new(),
        payload: payload.to_string().into(),
        patience: state.patience,
        remedy: "ask again, or wait longer with --reply-timeout".into(),
    })
}
