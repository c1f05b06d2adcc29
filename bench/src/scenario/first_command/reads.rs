//! What is read of one agent, counted from outside: requests to JetStream's API that name it. It
//! must not know who reads.

use anyhow::Result;
use async_nats::{Client, Subscriber};
use futures::{FutureExt as _, StreamExt as _};

use crate::ground::connect;

/// Looks at requests from its making on.
pub(super) struct Reads {
    client: Client,
    requests: Subscriber,
}

impl Reads {
    pub(super) async fn watch(url: &str) -> Result<Self> {
        let client = connect(url).await?;
        let requests = client.subscribe("$JS.API.>").await?;
        client.flush().await?;
        Ok(Self { client, requests })
    }

    /// How many named this agent.
    pub(super) async fn about(&mut self, id: &str) -> Result<usize> {
        // The answer to this comes after everything that the server has passed on before.
        self.client.flush().await?;
        let mut count = 0;
        while let Some(Some(request)) = self.requests.next().now_or_never() {
            let payload = String::from_utf8_lossy(&request.payload);
            count += usize::from(request.subject.contains(id) || payload.contains(id));
        }
        Ok(count)
    }
}
