//! What state follows from events, by the domains' documents and not by their code, and what the
//! service shows. It must not look at commands.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::logged::Logged;
use crate::eventually::eventually;
use crate::message::Message;
use crate::nats::Nats;

/// Times that each state is asked for: hosts share the queries, and each is to be asked.
const QUERIES: usize = 4;

/// A state that was served, cut down to what [`fold`] makes.
#[derive(Clone, Debug)]
pub struct Served {
    /// Its domain.
    pub domain: &'static str,
    /// The aggregate.
    pub aggregate: String,
    /// The version it was served as.
    pub version: u64,
    /// What was shown.
    pub state: Value,
}

/// The state after some events: an agent's status and settings, a counter's count.
pub fn fold(domain: &str, events: &[&Logged]) -> Value {
    match domain {
        "counter" => json!({"count": events.iter().fold(0, |count, event| counted(count, event))}),
        _ => agent(events),
    }
}

fn counted(count: u64, event: &Logged) -> u64 {
    match event.name.as_str() {
        "was_reset" => 0,
        _ => count.saturating_add(event.data["by"].as_u64().unwrap_or_default()),
    }
}

fn agent(events: &[&Logged]) -> Value {
    let (mut status, mut settings) = (Value::Null, Map::new());
    for event in events {
        match event.name.as_str() {
            "deployed" => status = json!("Deployed"),
            "activated" => status = json!("Active"),
            "suspended" => status = json!("Suspended"),
            "configuration_changed" => {
                let changes = event.data["new_values"].as_object().cloned().unwrap_or_default();
                settings.extend(changes);
            }
            _ => {}
        }
    }
    json!({"status": status, "settings": settings})
}

/// Every aggregate of the log as the hosts show it. One that they do not show is left with the reason in
/// the place of its state.
pub async fn served(nats: &Nats, log: &[Logged]) -> Vec<Served> {
    let aggregates: BTreeSet<(&'static str, &str)> =
        log.iter().map(|event| (event.domain, &*event.aggregate)).collect();
    let mut all = Vec::new();
    for (domain, aggregate) in aggregates {
        for _ in 0..QUERIES {
            let shown = shown(nats, domain, aggregate).await;
            let silent = shown.is_err();
            let (version, state) = shown.unwrap_or_else(|error| (0, json!(format!("{error:#}"))));
            all.push(Served { domain, aggregate: aggregate.to_owned(), version, state });
            if silent {
                // Nothing is to be had that would be worth so long a wait once more.
                return all;
            }
        }
    }
    all
}

async fn shown(nats: &Nats, domain: &str, aggregate: &str) -> Result<(u64, Value)> {
    let query = Message::to(format!("{domain}.queries.state"), json!({"id": aggregate}).to_string());
    let reply = eventually("a state is served", async || nats.ask(query.clone()).await?.ok()).await?;
    let shown = reply.state();
    let state = match domain {
        "counter" => json!({"count": shown["count"]}),
        _ => json!({"status": shown["status"], "settings": shown["configuration"]["settings"]}),
    };
    Ok((reply.version()?, state))
}
