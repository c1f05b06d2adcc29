//! What is read of one agent, counted from outside: requests to JetStream's API that name it. It
//! must not know who reads.

use anyhow::{Result, bail};
use async_nats::client::RequestErrorKind;
use async_nats::{Client, Subscriber};
use futures::{FutureExt as _, StreamExt as _};

use crate::ground::connect;

/// Nobody answers there.
const NOBODY: &str = "bench.nobody";

/// Looks at requests from its making on.
pub(super) struct Reads {
    client: Client,
    requests: Subscriber,
}

impl Reads {
    pub(super) async fn watch(url: &str) -> Result<Self> {
        let client = connect(url).await?;
        let requests = client.subscribe("$JS.API.>").await?;
        there_and_back(&client).await?;
        Ok(Self { client, requests })
    }

    /// How many named this agent, or one event by its sequence.
    pub(super) async fn about(&mut self, id: &str) -> Result<usize> {
        there_and_back(&self.client).await?;
        let mut count = 0;
        while let Some(Some(request)) = self.requests.next().now_or_never() {
            let payload = String::from_utf8_lossy(&request.payload);
            // An event whose sequence is known is asked for by nothing else.
            let by_sequence =
                request.subject.contains(".GET.") && payload.starts_with(r#"{"seq":"#) && !payload.contains(',');
            count += usize::from(request.subject.contains(id) || payload.contains(id) || by_sequence);
        }
        Ok(count)
    }
}

/// The server's word that nobody answers comes after everything that it has passed on before.
async fn there_and_back(client: &Client) -> Result<()> {
    match client.request(NOBODY, "".into()).await {
        Err(error) if error.kind() == RequestErrorKind::NoResponders => Ok(()),
        other => bail!("{NOBODY} should have no responders: {other:?}"),
    }
}
