//! The pages that the host answers over HTTP: whether it lives, whether it is ready, what it counts.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;

use super::health::Health;
use super::scrape;
use crate::http::{Page, Pages};
use crate::metrics::text;

const JSON: &str = "application/json";

/// The pages of this process.
pub(super) struct HostPages(pub(super) Arc<Health>);

impl Pages for HostPages {
    fn page(&self, path: &str) -> Option<BoxFuture<'static, Page>> {
        let health = Arc::clone(&self.0);
        Some(match path {
            "/livez" => async move { live(&health) }.boxed(),
            "/readyz" => async move { ready(&health) }.boxed(),
            "/metrics" => {
                async move { Page { ok: true, content_type: text::CONTENT_TYPE, text: scrape::page(&health).await } }
                    .boxed()
            }
            _ => return None,
        })
    }
}

/// That this runs shows that the main thread turns; its shards show it for themselves.
fn live(health: &Health) -> Page {
    let silent = health.silent().map(|silent| silent.to_string());
    let text = json!({"live": silent.is_none(), "why": silent});
    Page { ok: silent.is_none(), content_type: JSON, text: format!("{text}\n") }
}

fn ready(health: &Health) -> Page {
    let readiness = health.readiness();
    // Serialising these types cannot fail. Made a value first, they would lose their order.
    let text = serde_json::to_string(&readiness).unwrap_or_default();
    Page { ok: readiness.ready, content_type: JSON, text: format!("{text}\n") }
}
