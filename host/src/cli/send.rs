//! `send`: a command, and the reply to it.

use clap::Args;
use uuid::Uuid;

use super::accepted::Accepted;
use super::client::{Client, Patience, Question, aggregate_id, headers, name};
use super::output::{OutputForm, remark};
use super::payload::Payload;
use super::reply::Reply;
use super::{CliError, Exit};
use crate::config::Connection;
use crate::message::Failure;
use crate::name::{Subjects, header};

/// `send`
#[derive(Debug, Args)]
#[command(override_usage = "agent-service send [OPTIONS] <DOMAIN> <VERB> <TEXT|@FILE|->")]
pub(super) struct Send {
    /// The domain, like agent
    domain: String,
    /// What to do, like activate
    verb: String,
    #[command(flatten)]
    payload: Payload,
    /// The aggregate's id; the payload may then leave it out
    #[arg(long)]
    id: Option<String>,
    /// The command's id: the same again has the effect of once [default: a new UUID]
    #[arg(long, value_name = "ID")]
    msg_id: Option<String>,
    /// Execute only if the aggregate is at this version; 0 for one without events
    #[arg(long, value_name = "N")]
    expected_version: Option<u64>,
    /// Ties together the messages of one undertaking
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// Who sends it
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Publish it into the durable lane: accepted also while no host runs, executed once one does
    #[arg(long, conflicts_with = "reply_timeout")]
    durable: bool,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    form: OutputForm,
}

pub(super) async fn run(send: Send, connection: &Connection) -> Result<Exit, CliError> {
    let output = send.form.open();
    let command_id = send.msg_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
    let mut question = match question(&send, &command_id) {
        Ok(question) => question,
        Err(failure) => return Reply::from(failure).print(output, Reply::accepted_in_words),
    };
    question.payload = send.payload.read()?;
    if send.durable {
        let headers = match headers(&question.headers) {
            Ok(headers) => headers,
            Err(failure) => return Reply::from(failure).print(output, Reply::accepted_in_words),
        };
        let client = Client::connect(connection).await?;
        return Accepted::publish(&client, question.subject, headers, question.payload).await?.print(output);
    }
    let reply = Client::connect(connection).await?.ask(question).await?;
    let exit = reply.print(output, Reply::accepted_in_words)?;
    // Nobody can send it again under an id that nobody was told.
    let told = String::from_utf8_lossy(reply.bytes()).contains(&command_id);
    if reply.is_retryable() && send.msg_id.is_none() && !told {
        remark(&format!("to send the same command again: --msg-id {command_id}"));
    }
    Ok(exit)
}

/// The command's question, still without its payload.
fn question(send: &Send, command_id: &str) -> Result<Question, Failure> {
    let domain = name(&send.domain)?;
    let verb = name(&send.verb)?;
    let id = send.id.as_deref().map(aggregate_id).transpose()?;
    let optional = [
        (header::EXPECTED_VERSION, send.expected_version.map(|version| version.to_string())),
        (header::CORRELATION_ID, send.correlation_id.clone()),
        (header::ACTOR, send.actor.clone()),
    ];
    let mut headers = vec![(header::MESSAGE_ID, command_id.to_owned())];
    headers.extend(optional.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))));
    Ok(Question {
        subject: if send.durable {
            Subjects::new(&domain).inbox_command(id.as_ref(), &verb)
        } else {
            Subjects::new(&domain).command(id.as_ref(), &verb)
        },
        domain,
        headers,
        payload: bytes::Bytes::new(),
        patience: send.patience,
        remedy: format!("whether it was done is not known, send it again with --msg-id {command_id}"),
    })
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches};

    use super::*;

    fn asked(args: &[&str]) -> Result<Question, Failure> {
        let command = Send::augment_args(clap::Command::new("send"));
        let matches = command.try_get_matches_from(["send"].iter().chain(args)).expect("arguments");
        question(&Send::from_arg_matches(&matches).expect("a command"), "c1")
    }

    #[test]
    fn ids_and_expectations_travel_in_subject_and_headers() {
        let plain = asked(&["agent", "deploy", "{}"]).expect("a question");
        assert_eq!(plain.subject, "agent.commands.deploy");
        assert_eq!(plain.headers, [("Nats-Msg-Id", "c1".to_owned())]);
        let durable = asked(&["agent", "deploy", "{}", "--id", "a1", "--durable"]).expect("a question");
        assert_eq!(durable.subject, "agent.inbox.a1.deploy");
        let args = ["agent", "deploy", "{}", "--id", "a1", "--expected-version", "0", "--actor", "alice"];
        let full = asked(&args).expect("a question");
        assert_eq!(full.subject, "agent.commands.a1.deploy");
        assert_eq!(full.headers[1..], [("Agent-Expected-Version", "0".into()), ("Agent-Actor", "alice".to_owned())]);
    }

    #[test]
    fn names_that_would_break_out_of_the_subject_are_invalid() {
        for args in
            [["a.b", "deploy", "{}", "--id=x"], ["agent", ">", "{}", "--id=x"], ["agent", "deploy", "{}", "--id=x.*"]]
        {
            assert!(asked(&args).is_err(), "{args:?}");
        }
    }
}
