//! The health check of a container that has no curl: asks the host on this machine whether it is
//! ready, or what else a URL stands for. It knows nothing of NATS.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::exit::{CliError, Exit};
use super::output;
use crate::config::{Service, positive_duration};
use crate::http::client;

/// Characters of an answer that is no JSON of ours which are shown.
const SHOWN_MAX: usize = 200;

/// `health`
#[derive(Debug, Args)]
pub(super) struct Health {
    /// What to ask instead of /readyz at HTTP_ADDR, for example http://127.0.0.1:8080/livez
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// How long to wait for an answer
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = positive_duration)]
    time: Duration,
}

/// Exits with 0 where the answer is 200; says why where it is not.
pub(super) async fn run(health: Health, service: &Service) -> Result<Exit, CliError> {
    let url = match health.url {
        Some(url) => url,
        None => client::own_url(&service.http_addr, "/readyz").ok_or_else(|| {
            CliError::Failed("HTTP_ADDR is empty, so there is nothing to ask: set it, or --url".into())
        })?,
    };
    let answer = client::get(&url, health.time).await.map_err(CliError::Failed)?;
    match answer.status {
        200 => {
            output::raw(b"ok\n")?;
            Ok(Exit::Ok)
        }
        status => Err(CliError::Failed(format!("{url} answers {status}: {}", reasons(&answer.body)))),
    }
}

/// The parts that are not well, or the answer's beginning where it tells of none.
fn reasons(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    let failing = document["parts"].as_array().into_iter().flatten().filter(|part| part["ok"] == false);
    let told: Vec<String> = failing
        .map(|part| {
            let word = |name: &str| part[name].as_str().unwrap_or_default().to_owned();
            let domain = part["domain"].as_str().map(|domain| format!(" of {domain}")).unwrap_or_default();
            format!("{}{domain}: {}", word("part"), word("why"))
        })
        .collect();
    match (told.is_empty(), document["why"].as_str()) {
        (false, _) => told.join("; "),
        (true, Some(why)) => why.to_owned(),
        (true, None) => text.trim().chars().take(SHOWN_MAX).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_are_the_failing_parts() {
        let body = br#"{"ready":false,"parts":[{"part":"nats","ok":true},
            {"part":"stream","domain":"agent","ok":false,"why":"gone"}]}"#;
        assert_eq!(reasons(body), "stream of agent: gone");
        assert_eq!(reasons(br#"{"live":false,"why":"stuck"}"#), "stuck");
        assert_eq!(reasons(b"no page\n"), "no page");
    }
}
