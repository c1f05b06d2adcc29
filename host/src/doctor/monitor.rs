//! `sync_interval`, `server_store`: what only the server's monitoring port tells.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::facts::{Kept, Reached, Site, bytes, limit, number};
use super::finding::Seen;
use super::limits::{Fill, fill};
use crate::http::client;

const PATIENCE: Duration = Duration::from_secs(5);
const UNKNOWN: &str = "the server tells it at its monitoring port alone: --monitor http://HOST:8222";
/// From so many replicas on one server's power failure loses nothing that the others have.
const REPLICAS_SAFE: u64 = 3;

pub(super) fn sync_interval<'a>(site: &'a Site<'a>, _: &'a Reached, kept: &'a Kept) -> BoxFuture<'a, Vec<Seen>> {
    async move {
        let Some(monitor) = &site.scope.monitor else { return vec![Seen::skipped(UNKNOWN)] };
        let told = match page(monitor, "/varz").await {
            Ok(page) => page,
            Err(why) => return vec![unreachable(why)],
        };
        let least = kept.domains.iter().filter_map(|stood| stood.events.info());
        let least = least.map(|info| number(info, "/config/num_replicas")).min();
        vec![judge(&told["jetstream"]["config"], least.unwrap_or_else(|| u64::from(site.service.stream_replicas)))]
    }
    .boxed()
}

fn judge(config: &Value, replicas: u64) -> Seen {
    if config["sync_always"] == true {
        return Seen::ok("always: what is acknowledged is on the disk");
    }
    let Some(interval) = limit(config, "/sync_interval").map(Duration::from_nanos) else {
        return Seen::skipped("this server tells no sync_interval");
    };
    let shown = humantime::format_duration(interval);
    if replicas >= REPLICAS_SAFE {
        return Seen::ok(format!("{shown}, with {replicas} replicas: the loss of one server loses nothing"));
    }
    Seen::warning(
        format!("{shown}: a power failure loses what was acknowledged since the last sync"),
        "set `sync_interval: always` in the server's jetstream block, or keep three replicas",
    )
}

pub(super) fn server_store<'a>(site: &'a Site<'a>) -> BoxFuture<'a, Vec<Seen>> {
    async move {
        let Some(monitor) = &site.scope.monitor else { return vec![Seen::skipped(UNKNOWN)] };
        let told = match page(monitor, "/jsz").await {
            Ok(page) => page,
            Err(why) => return vec![unreachable(why)],
        };
        let (used, max) = (number(&told, "/storage"), limit(&told, "/config/max_storage"));
        let text = format!("{} of {} are used", bytes(used), max.map_or_else(|| "no limit".to_owned(), bytes));
        const REMEDY: &str =
            "raise max_file_store and see to the disk: a full one stops every write until the server is restarted";
        vec![match fill(used, max) {
            Fill::Roomy => Seen::ok(text),
            Fill::Tight => Seen::warning(text, REMEDY),
            Fill::Full => Seen::failure(text, REMEDY),
        }]
    }
    .boxed()
}

async fn page(monitor: &str, path: &str) -> Result<Value, String> {
    let url = format!("{}{path}", monitor.trim_end_matches('/'));
    let answer = client::get(&url, PATIENCE).await?;
    match (answer.status, serde_json::from_slice(&answer.body)) {
        (200, Ok(page)) => Ok(page),
        (status, _) => Err(format!("{url} answers {status} and no JSON")),
    }
}

fn unreachable(why: String) -> Seen {
    Seen::warning(why, "name the monitoring port of the server, `http: 127.0.0.1:8222` in its configuration")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;
    use serde_json::json;

    #[test]
    fn one_server_that_syncs_now_and_then_can_lose_what_it_acknowledged() {
        let now_and_then = json!({"sync_interval": 120_000_000_000_u64});
        assert_eq!(judge(&now_and_then, 1).grade, Grade::Warning);
        assert_eq!(judge(&now_and_then, 3).grade, Grade::Ok);
        assert_eq!(judge(&json!({"sync_interval": 120_000_000_000_u64, "sync_always": true}), 1).grade, Grade::Ok);
        assert_eq!(judge(&json!({}), 1).grade, Grade::Skipped);
    }
}
