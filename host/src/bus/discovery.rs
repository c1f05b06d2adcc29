//! The NATS service API (ADR-32): answers `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS`, so that
//! `nats micro ls` finds the host.
//!
//! The client library's own service cannot drain its endpoints and cannot send an error with
//! a body, so only its protocol is spoken here.

use std::sync::Arc;

use async_nats::Client;
use futures::StreamExt;
use futures::stream::select_all;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::BusError;
use super::endpoint::Endpoint;
use crate::clock::Timestamp;
use crate::domain::Description;
use crate::message::Code;
use crate::metrics::Metrics;
use crate::name::{SERVICE, abuses_reply};

/// A host as the service API shows it.
pub struct Service {
    /// This process, unlike any other.
    pub id: String,
    /// Since when it serves.
    pub started: Timestamp,
    /// The domains it serves, as they come and go.
    pub domains: watch::Receiver<Arc<[ServedDomain]>>,
}

/// A domain as the service API shows it.
pub struct ServedDomain {
    /// What its plugin says.
    pub description: Description,
    /// `<name>/<version>;sha256=<hex>` of the plugin.
    pub plugin: Arc<str>,
    /// Commands and queries.
    pub endpoints: [Arc<Endpoint>; 2],
    /// Its counters.
    pub metrics: Arc<Metrics>,
}

impl Service {
    /// Answers from now on, until the task is aborted.
    ///
    /// # Errors
    /// Where the client is closed.
    pub async fn announce(self, client: Client) -> Result<JoinHandle<()>, BusError> {
        let mut subscriptions = Vec::new();
        for verb in ["PING", "INFO", "STATS"] {
            for subject in
                [format!("$SRV.{verb}"), format!("$SRV.{verb}.{SERVICE}"), format!("$SRV.{verb}.{SERVICE}.{}", self.id)]
            {
                subscriptions.push(client.subscribe(subject).await?.map(move |message| (verb, message)).boxed());
            }
        }
        client.flush().await.ok();
        Ok(tokio::spawn(async move {
            let mut requests = select_all(subscriptions);
            while let Some((verb, message)) = requests.next().await {
                let Some(reply) = message.reply else { continue };
                if abuses_reply(&reply, self.domains.borrow().iter().map(|domain| &domain.description.domain)) {
                    tracing::warn!(
                        reply = reply.as_str(),
                        "service API request dropped: its reply would be more than a reply"
                    );
                    continue;
                }
                let answer = self.answer(verb).to_string();
                if let Err(error) = client.publish(reply, answer.into()).await {
                    tracing::debug!(%error, "service API answer was not sent");
                }
            }
        }))
    }

    fn answer(&self, verb: &str) -> Value {
        let kind = format!("io.nats.micro.v1.{}_response", verb.to_ascii_lowercase());
        let domains = Arc::clone(&self.domains.borrow());
        let plugins: serde_json::Map<String, Value> =
            domains.iter().map(|d| (format!("plugin.{}", d.description.domain), json!(&*d.plugin))).collect();
        let mut answer = json!({
            "type": kind, "name": SERVICE, "id": self.id, "version": env!("CARGO_PKG_VERSION"), "metadata": plugins,
        });
        match verb {
            "INFO" => {
                answer["description"] = json!("event-sourced domain logic as WebAssembly components");
                answer["endpoints"] =
                    domains.iter().flat_map(|domain| domain.endpoints.iter().map(|e| info(e))).collect();
            }
            "STATS" => {
                answer["started"] = json!(self.started);
                answer["endpoints"] = domains
                    .iter()
                    .flat_map(|domain| domain.endpoints.iter().map(|e| stats(e, &domain.metrics)))
                    .collect();
            }
            _ => {}
        }
        answer
    }
}

fn info(endpoint: &Endpoint) -> Value {
    json!({
        "name": endpoint.name, "subject": endpoint.subject, "queue_group": endpoint.queue_group, "metadata": {},
    })
}

fn stats(endpoint: &Endpoint, metrics: &Metrics) -> Value {
    let reading = endpoint.read();
    let nanos = u64::try_from(reading.total.as_nanos()).unwrap_or(u64::MAX);
    let failures: serde_json::Map<String, Value> =
        Code::ALL.iter().map(|code| (code.as_str().to_owned(), json!(metrics.failed(*code)))).collect();
    json!({
        "name": endpoint.name,
        "subject": endpoint.subject,
        "queue_group": endpoint.queue_group,
        "num_requests": reading.requests,
        "num_errors": reading.errors,
        "last_error": reading.last_error,
        "processing_time": nanos,
        "average_processing_time": nanos.checked_div(reading.requests).unwrap_or_default(),
        // The whole domain's, commands and queries together.
        "data": {
            "ok": metrics.ok(),
            "failures": failures,
            "abused_replies": metrics.abused_replies.get(),
            "conflicts": metrics.conflicts.get(),
            "replays": metrics.replays.get(),
            "snapshots": metrics.snapshots.get(),
            "contradictions": metrics.contradictions.get(),
            "trials": metrics.trials.get(),
            "trials_failed": metrics.trials_failed.get(),
            "parked": metrics.parked.get(),
            "expiring_saved": metrics.expiring_saved.get(),
            "expiring_uncovered": metrics.expiring_uncovered.get(),
            "expiring_first": Some(metrics.expiring_first_ms.get()).filter(|ms| *ms > 0).map(Timestamp),
            "expired_uncovered": metrics.expired_uncovered.get(),
            "expiry_checks_failed": metrics.expiry_checks_failed.get(),
            "inbox_parked": metrics.inbox_parked.get(),
            "swaps": metrics.swaps.get(),
            "plugins_refused": metrics.plugins_refused.get(),
            "roll_backs": metrics.roll_backs.get(),
        },
    })
}
