//! What an operator asks of a host about its plugins, over NATS, and what the host tells. It must
//! not know how a host does any of it, and takes it that one host answers.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use async_nats::{Request, Subscriber};
use futures::StreamExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::eventually::{PATIENCE, eventually};
use crate::nats::Nats;

/// The digest by which hosts name a component.
pub fn digest(component: &Path) -> Result<String> {
    Ok(hex::encode(Sha256::digest(std::fs::read(component)?)))
}

impl Nats {
    /// What the host tells of its plugins.
    pub async fn plugins(&self) -> Result<Value> {
        self.operate("list", &json!({})).await
    }

    /// Has the host do something: `activate`, `rollback`.
    pub async fn operate(&self, what: &str, request: &Value) -> Result<Value> {
        let request = Request::new().payload(request.to_string().into()).timeout(Some(PATIENCE));
        let answer = self.client().send_request(format!("agent-service.control.{what}"), request).await?;
        Ok(serde_json::from_slice(&answer.payload)?)
    }

    /// What is live of a domain; null where it is not served.
    pub async fn live(&self, domain: &str) -> Result<Value> {
        Ok(self.domain_status(domain).await?["live"].clone())
    }

    /// What the host tells of a domain; null where it is not served.
    pub async fn domain_status(&self, domain: &str) -> Result<Value> {
        let list = self.plugins().await?;
        let domains = list["domains"].as_array().context("no domains")?;
        Ok(domains.iter().find(|one| one["domain"] == domain).cloned().unwrap_or_default())
    }

    /// Waits until this version of a domain is live, and returns what the host tells of it.
    pub async fn goes_live(&self, domain: &str, version: &str) -> Result<Value> {
        eventually(&format!("{domain} {version} is live"), async || {
            let list = self.plugins().await?;
            let domains = list["domains"].as_array().context("no domains")?;
            let live = domains.iter().find(|one| one["domain"] == domain && one["live"]["version"] == version);
            live.map(|status| status["live"].clone()).with_context(|| format!("the host tells {list}"))
        })
        .await
    }

    /// Waits until the list names a refusal of a version, or of any code where it is empty, from
    /// this file, and returns it.
    pub async fn is_refused(&self, file: &str, version: &str) -> Result<Value> {
        eventually(&format!("{file} {version} is refused"), async || {
            let list = self.plugins().await?;
            let refused = list["refused"].as_array().context("no refusals")?;
            let found = refused.iter().find(|one| {
                one["origin"].as_str().is_some_and(|origin| origin.ends_with(file))
                    && (version.is_empty() || one["version"] == version)
            });
            found.cloned().with_context(|| format!("the host tells {list}"))
        })
        .await
    }

    /// What hosts tell from now on under `agent-service.events.` and this.
    pub async fn plugin_events(&self, subject: &str) -> Result<PluginEvents> {
        let events = self.client().subscribe(format!("agent-service.events.{subject}")).await?;
        self.client().flush().await?;
        Ok(PluginEvents(events))
    }

    /// The counters of a domain, by the service API.
    pub async fn counters(&self, domain: &str) -> Result<Value> {
        let answer = self.client().request("$SRV.STATS.agent-service", "".into()).await?;
        let stats: Value = serde_json::from_slice(&answer.payload)?;
        let endpoints = stats["endpoints"].as_array().context("no endpoints")?;
        let found = endpoints.iter().find(|one| one["name"] == format!("{domain}-commands"));
        Ok(found.with_context(|| format!("no endpoint of {domain}: {stats}"))?["data"].clone())
    }
}

/// What hosts tell as it happens.
pub struct PluginEvents(Subscriber);

impl PluginEvents {
    /// The next one.
    pub async fn next(&mut self) -> Result<Value> {
        let message = tokio::time::timeout(PATIENCE, self.0.next()).await.context("no further event")?;
        let message = message.context("the connection has ended")?;
        let event: Value = serde_json::from_slice(&message.payload)?;
        ensure!(event["host"].is_string() && event["what"].is_string(), "{event}");
        Ok(event)
    }
}
