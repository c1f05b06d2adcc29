//! `http`: whether the host on this machine is ready, or else whether it could have its address.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::net::TcpListener;

use super::facts::Site;
use super::finding::Seen;
use crate::http::client;

/// How long a host on this machine may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn own_host<'a>(site: &'a Site<'a>) -> BoxFuture<'a, Vec<Seen>> {
    look(&site.service.http_addr).boxed()
}

async fn look(address: &str) -> Vec<Seen> {
    let Some(url) = client::own_url(address, "/readyz") else {
        return vec![Seen::skipped("HTTP_ADDR is empty: a host here answers no questions")];
    };
    if address.ends_with(":0") {
        return vec![Seen::skipped("HTTP_ADDR has port 0: the system chooses one, which the host's log names")];
    }
    // Who answers has it. Else it must be free.
    match client::get(&url, PATIENCE).await {
        Ok(answer) => {
            match serde_json::from_slice::<Value>(&answer.body).ok().filter(|page| page["parts"].is_array()) {
                Some(page) => parts(&page),
                None => vec![taken(address, "by a program that is no agent-service")],
            }
        }
        Err(_) => match TcpListener::bind(address).await {
            Ok(_) => vec![Seen::skipped(format!("no host answers at {address}; the address is free"))],
            Err(error) => vec![taken(address, &format!("or cannot be had: {error}"))],
        },
    }
}

fn taken(address: &str, how: &str) -> Seen {
    Seen::failure(format!("{address} is taken, {how}"), "set HTTP_ADDR to another, or to nothing")
}

fn parts(page: &Value) -> Vec<Seen> {
    let word = |part: &Value, name: &str| part[name].as_str().map(str::to_owned);
    let failing = page["parts"].as_array().into_iter().flatten().filter(|part| part["ok"] == false);
    let mut seen: Vec<Seen> = failing
        .map(|part| {
            let domain = word(part, "domain").map(|domain| format!(" of {domain}")).unwrap_or_default();
            let what = format!("{}{domain}", word(part, "part").unwrap_or_default());
            let why = word(part, "why").unwrap_or_default();
            Seen::failure(format!("the host on this machine is not ready: {why}"), "see docs/operate.md, Watch")
                .about(what)
        })
        .collect();
    if seen.is_empty() {
        seen.push(Seen::ok("the host on this machine is ready"));
    }
    seen
}
