//! What operators ask of a host: to tell of its plugins, to try one, to go back. Every host
//! answers for itself. Knows the wire, not how any of it is done.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Message};
use futures::StreamExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::BusError;
use crate::domain::Digest;
use crate::name::{Name, abuses_reply, control};

/// Requests in work at once; one more waits.
const IN_WORK_MAX: usize = 16;

/// Longest time for a shadow: it costs as much as the share it sees.
const SHADOW_MS_MAX: u64 = 24 * 3_600 * 1_000;

/// Something that is to be done.
#[derive(Debug)]
pub enum Order {
    /// Let the code of this digest go live, if it passes the gate.
    Activate {
        /// The domain it must bring.
        domain: Name,
        /// Which code.
        digest: Digest,
        /// Whether differences are wanted.
        accept_drift: bool,
    },
    /// Let the code before go live again.
    RollBack {
        /// Whose.
        domain: Name,
    },
    /// Let the code of this digest decide live commands beside the live code.
    Shadow {
        /// Which code.
        digest: Digest,
        /// What share of the commands, from 0 to 1.
        share: f64,
        /// For how long.
        time: Duration,
    },
}

/// Who does what is asked.
pub trait Operated: Send + Sync {
    /// What is served, was refused, and so on.
    fn list(&self) -> Value;

    /// Logs by another filter, if this host is meant, and tells what came of it.
    fn log_level(&self, asked: LogLevel) -> Option<Value>;

    /// Does what is asked and tells what came of it.
    fn obey(&self, order: Order) -> BoxFuture<'static, Value>;
}

/// What is asked about the log: without a filter and without a reset, what the filter is.
#[derive(Debug, Deserialize)]
pub struct LogLevel {
    /// The host that is meant; all where there is none.
    pub host: Option<String>,
    /// The filter to log by from now on.
    pub filter: Option<String>,
    /// Whether to go back to the filter of the settings.
    #[serde(default)]
    pub reset: bool,
}

#[derive(Deserialize)]
struct Activate {
    domain: String,
    digest: Digest,
    #[serde(default)]
    accept_drift: bool,
}

#[derive(Deserialize)]
struct RollBack {
    domain: String,
}

#[derive(Deserialize)]
struct Shadow {
    digest: Digest,
    share: f64,
    for_ms: u64,
}

/// Answers from now on, until the task is aborted.
///
/// `lost` is told where the connection ends for good: nothing else may be listening on it.
///
/// # Errors
/// Where the client is closed.
pub async fn listen(
    client: Client,
    operated: Arc<dyn Operated>,
    served: watch::Receiver<Arc<[Name]>>,
    lost: Arc<Notify>,
) -> Result<JoinHandle<()>, BusError> {
    let requests = client.subscribe(control::ALL).await?;
    client.flush().await.ok();
    let answering = requests.for_each_concurrent(IN_WORK_MAX, move |message| {
        let (client, operated, served) = (client.clone(), Arc::clone(&operated), served.clone());
        async move { answer(&client, &*operated, &served, message).await }
    });
    Ok(tokio::spawn(async move {
        answering.await;
        lost.notify_one();
    }))
}

async fn answer(client: &Client, operated: &dyn Operated, served: &watch::Receiver<Arc<[Name]>>, message: Message) {
    let Some(reply) = message.reply else { return };
    if abuses_reply(&reply, served.borrow().iter()) {
        tracing::warn!(reply = reply.as_str(), "request to the host dropped: its reply would be more than a reply");
        return;
    }
    let failed = |error: String| json!({"status": "error", "message": error});
    let answer = match message.subject.as_str() {
        control::LIST => operated.list(),
        control::LOG_LEVEL => match read(&message.payload).map(|asked| operated.log_level(asked)) {
            Ok(Some(answer)) => answer,
            // Another host is meant.
            Ok(None) => return,
            Err(error) => failed(error),
        },
        subject => match order(subject, &message.payload) {
            Ok(order) => {
                tracing::info!(?order, "asked by an operator");
                operated.obey(order).await
            }
            Err(error) => failed(error),
        },
    };
    if let Err(error) = client.publish(reply, answer.to_string().into()).await {
        tracing::warn!(%error, "an answer to an operator was not sent");
    }
}

fn order(subject: &str, payload: &[u8]) -> Result<Order, String> {
    match subject {
        control::ACTIVATE => {
            let Activate { domain, digest, accept_drift } = read(payload)?;
            Ok(Order::Activate { domain: name(&domain)?, digest, accept_drift })
        }
        control::ROLLBACK => {
            let RollBack { domain } = read(payload)?;
            Ok(Order::RollBack { domain: name(&domain)? })
        }
        control::SHADOW => match read(payload)? {
            Shadow { share, for_ms, .. } if !(0.0..=1.0).contains(&share) || for_ms > SHADOW_MS_MAX => {
                Err(format!("a shadow takes a share from 0 to 1 and at most {SHADOW_MS_MAX} ms"))
            }
            Shadow { digest, share, for_ms } => {
                Ok(Order::Shadow { digest, share, time: Duration::from_millis(for_ms) })
            }
        },
        other => Err(format!("this version of the host knows no `{other}`")),
    }
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    serde_json::from_slice(payload).map_err(|error| format!("the request cannot be read: {error}"))
}

fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| error.to_string())
}
