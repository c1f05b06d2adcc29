//! Where operators' requests come in: what can be told or done at once, and what the one task that loads
//! is to do. Knows nothing of the wire.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::loader::Ask;
use super::status::Status;
use crate::bus::control::{LogLevel, Operated, Order};
use crate::logging::{Changed, Logging};

/// Where operators' requests come in.
pub(super) struct Desk {
    pub(super) status: Status,
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) logging: Logging,
}

impl Operated for Desk {
    fn list(&self) -> Value {
        self.status.document()
    }

    fn log_level(&self, LogLevel { host, filter, reset }: LogLevel) -> Option<Value> {
        let own = self.status.identity();
        if host.is_some_and(|host| host != own.id && host != own.name) {
            return None;
        }
        let changed = match (&filter, reset) {
            (Some(_), true) => Err("a filter and a reset do not go together".to_owned()),
            (Some(filter), false) => self.logging.change(Some(filter)),
            (None, true) => self.logging.change(None),
            (None, false) => Ok(Changed { before: self.logging.current(), after: self.logging.current() }),
        };
        Some(match changed {
            Ok(Changed { before, after }) => {
                if filter.is_some() || reset {
                    tracing::warn!(%before, %after, "what is logged was changed by an operator");
                }
                let configured = &*self.logging.configured();
                json!({"host": own.id, "name": own.name, "status": "ok", "before": &*before, "after": &*after, "configured": configured})
            }
            Err(why) => json!({"host": own.id, "name": own.name, "status": "error", "message": why}),
        })
    }

    fn obey(&self, order: Order) -> BoxFuture<'static, Value> {
        let (asks, host) = (self.asks.clone(), self.status.identity().id.clone());
        async move {
            let (answer, answered) = oneshot::channel();
            let refused = |message: &str| json!({"host": host, "status": "error", "message": message});
            match asks.try_send(Ask { order, answer }) {
                Ok(()) => answered.await.unwrap_or_else(|_| refused("the host is stopping")),
                Err(_) => refused("the host has as many orders as it can hold: come again a little later"),
            }
        }
        .boxed()
    }
}
