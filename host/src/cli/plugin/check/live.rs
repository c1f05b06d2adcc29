//! Which code of a domain is live: what its hosts say, else what the newest event says of the code
//! that decided it. Does not know where that code is.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::StatusCode;
use futures::StreamExt;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::{Log, unavailable};
use crate::cli::CliError;
use crate::cli::client::Client;
use crate::domain::Digest;
use crate::name::{Name, control};

/// How long hosts have for an answer; one that is well takes some milliseconds.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// How long others are waited for after each answer.
const NEXT_ANSWER_MAX: Duration = Duration::from_millis(200);
/// Answers that are looked at: more hosts than any fleet has.
const ANSWERS_MAX: usize = 1_000;

/// Code that is live, and who says so.
pub(in crate::cli) struct Live {
    pub(in crate::cli) digest: Digest,
    pub(in crate::cli) said_by: String,
}

/// What a host tells of its plugins, as far as it matters here.
#[derive(Deserialize)]
struct Told {
    domains: Vec<ToldDomain>,
}

#[derive(Deserialize)]
struct ToldDomain {
    domain: String,
    live: ToldCode,
}

#[derive(Deserialize, Clone, Copy)]
struct ToldCode {
    digest: Digest,
    activation: u64,
}

/// The code that is live; `None` where nobody says.
pub(in crate::cli) async fn live(client: &Client, log: &Log) -> Result<Option<Live>, CliError> {
    if let Some(live) = of_hosts(client, &log.domain).await? {
        return Ok(Some(live));
    }
    let newest = log.events.newest_author().await.map_err(unavailable)?;
    let digest = newest.and_then(|newest| newest.digest());
    Ok(digest.map(|digest| Live { digest, said_by: "the newest event (no host serves the domain)".into() }))
}

async fn of_hosts(client: &Client, domain: &Name) -> Result<Option<Live>, CliError> {
    let lost = |error: &dyn std::fmt::Display| CliError::Unavailable(format!("NATS: {error}"));
    let nats = client.nats();
    let inbox = nats.new_inbox();
    let mut answers = nats.subscribe(inbox.clone()).await.map_err(|error| lost(&error))?;
    nats.publish_with_reply(control::LIST, inbox, "".into()).await.map_err(|error| lost(&error))?;
    let latest = Instant::now() + ANSWER_MAX;
    let (mut until, mut told) = (latest, Vec::new());
    while told.len() < ANSWERS_MAX
        && let Ok(Some(answer)) = timeout_at(until, answers.next()).await
        && answer.status != Some(StatusCode::NO_RESPONDERS)
    {
        told.extend(code_in(&answer.payload, domain));
        until = latest.min(Instant::now() + NEXT_ANSWER_MAX);
    }
    Ok(most_recent(&told))
}

/// The live code of the domain in a host's answer; `None` where it does not serve it, or is of a
/// version that tells it in another way.
fn code_in(answer: &[u8], domain: &Name) -> Option<ToldCode> {
    let told: Told = serde_json::from_slice(answer).ok()?;
    told.domains.iter().find(|told| told.domain == domain.as_str()).map(|told| told.live)
}

/// While a swap spreads, hosts differ: the code that went live last is where all of them go.
fn most_recent(told: &[ToldCode]) -> Option<Live> {
    let newest = told.iter().max_by_key(|code| code.activation)?;
    let mut hosts: BTreeMap<Digest, usize> = BTreeMap::new();
    for code in told {
        *hosts.entry(code.digest).or_default() += 1;
    }
    let said_by = match (told.len(), hosts[&newest.digest]) {
        (1, _) => "its host".to_owned(),
        (all, same) if all == same => format!("its {all} hosts"),
        (all, same) => format!("{same} of its {all} hosts, the others have older code"),
    };
    Some(Live { digest: newest.digest, said_by })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(code: &str, activation: u64) -> ToldCode {
        ToldCode { digest: Digest::of(code.as_bytes()), activation }
    }

    #[test]
    fn the_highest_activation_counts_where_hosts_differ() {
        assert!(most_recent(&[]).is_none());
        let alone = most_recent(&[told("a", 1)]).expect("one");
        assert_eq!((alone.digest, alone.said_by.as_str()), (Digest::of(b"a"), "its host"));
        let alike = most_recent(&[told("a", 1), told("a", 1)]).expect("one");
        assert_eq!(alike.said_by, "its 2 hosts");
        let swapping = most_recent(&[told("a", 1), told("b", 2), told("a", 1)]).expect("one");
        assert_eq!(swapping.digest, Digest::of(b"b"));
        assert_eq!(swapping.said_by, "1 of its 3 hosts, the others have older code");
    }

    #[test]
    fn an_answer_is_read_by_domain() {
        let digest = Digest::of(b"a");
        let domain = Name::new("counter").expect("a name");
        let answer = json!({"domains": [{"domain": "agent", "live": {"digest": Digest::of(b"b"), "activation": 1}},
            {"domain": "counter", "live": {"digest": digest, "activation": 7, "version": "1"}}]});
        let code = code_in(answer.to_string().as_bytes(), &domain).expect("code");
        assert_eq!((code.digest, code.activation), (digest, 7));
        assert!(code_in(b"{}", &domain).is_none());
        assert!(code_in(br#"{"domains": []}"#, &domain).is_none());
    }
}
