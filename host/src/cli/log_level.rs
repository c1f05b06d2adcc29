//! `log-level`: shows or changes what running hosts log, all of them or one.

use clap::Args;
use serde_json::{Value, json};

use super::client::Client;
use super::exit::{CliError, Exit};
use super::output::{OutputFlags, harmless};
use super::plugin::control;
use crate::config::{Connection, log_filter};
use crate::name::control as subject;

/// `log-level`
#[derive(Debug, Args)]
pub(super) struct LogLevel {
    /// trace, debug, info, warn or error, or a filter per module: info,plugin=debug
    #[arg(value_name = "FILTER", value_parser = log_filter)]
    filter: Option<String>,
    /// Go back to what the hosts' settings say
    #[arg(long, conflicts_with = "filter")]
    reset: bool,
    /// The one host that is meant, by its id or its machine's name; else all are
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) async fn run(asked: LogLevel, connection: &Connection) -> Result<Exit, CliError> {
    let client = Client::connect(connection).await?;
    let request = json!({"host": asked.host, "filter": asked.filter, "reset": asked.reset});
    let mut answers = control::gather(&client, subject::LOG_LEVEL, &request).await?;
    answers.sort_by_key(|answer| (text(answer, "name").to_owned(), text(answer, "host").to_owned()));
    if answers.is_empty() {
        let who = asked.host.map_or_else(|| "no host".to_owned(), |host| format!("no host `{host}`"));
        let why = "is agent-service running there, and may this user ask on agent-service.control.>?";
        return Err(CliError::Unavailable(format!("{who} answers: {why}")));
    }
    let output = asked.output.open();
    if output.is_json() {
        output.document(Value::from(answers.clone()).to_string().as_bytes())?;
    } else {
        output.text(&answers.iter().map(in_words).collect::<Vec<_>>().join("\n"))?;
    }
    let all_well = answers.iter().all(|answer| answer["status"] == "ok");
    Ok(if all_well { Exit::Ok } else { Exit::Invalid })
}

fn in_words(answer: &Value) -> String {
    let host = format!("{} ({})", text(answer, "name"), text(answer, "host"));
    let (before, after, configured) = (text(answer, "before"), text(answer, "after"), text(answer, "configured"));
    let words = match text(answer, "status") {
        "ok" if before == after && after == configured => format!("{host}: {after}, as its settings say"),
        "ok" if before == after => format!("{host}: {after}; its settings say {configured}"),
        "ok" => format!("{host}: {after}, was {before}; its settings say {configured}"),
        _ => format!("{host}: {}", text(answer, "message")),
    };
    harmless(&words)
}

fn text<'a>(answer: &'a Value, key: &str) -> &'a str {
    answer[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reads_well() {
        let answer = |before, after, configured| {
            let name = json!({"host": "01", "name": "edge", "status": "ok"});
            let mut answer = name;
            answer["before"] = json!(before);
            answer["after"] = json!(after);
            answer["configured"] = json!(configured);
            in_words(&answer)
        };
        assert_eq!(answer("info", "info", "info"), "edge (01): info, as its settings say");
        assert_eq!(answer("debug", "debug", "info"), "edge (01): debug; its settings say info");
        assert_eq!(answer("info", "debug", "info"), "edge (01): debug, was info; its settings say info");
        let refused = json!({"host": "01", "name": "edge", "status": "error", "message": "no \u{1b}level"});
        assert_eq!(in_words(&refused), "edge (01): no \u{fffd}level");
    }
}
