//! The lane's own connection: a message that the client library cannot read ends the connection
//! that brings it, and with this one nothing but the lane. Knows nothing of what goes over it.

use super::streams::InboxError;
use crate::config::Connection;
use crate::name::SERVICE;
use crate::nats::{self, JetStream};

/// A connection, had anew once it has ended for good.
pub(super) struct Line {
    settings: Connection,
    open: Option<JetStream>,
}

impl Line {
    pub(super) fn new(settings: Connection) -> Self {
        Self { settings, open: None }
    }

    /// JetStream over a connection that stands; waits while one that was lost comes back by itself.
    ///
    /// # Errors
    /// [`InboxError`] where none can be had.
    pub(super) async fn open(&mut self, inbox: &str) -> Result<JetStream, InboxError> {
        if let Some(context) = &self.open
            && context.client().flush().await.is_ok()
        {
            return Ok(context.clone());
        }
        let client = nats::connect(&self.settings, SERVICE).await;
        let client = client.map_err(|error| InboxError::new(inbox, error.to_string()))?;
        Ok(self.open.insert(nats::jetstream(client, &self.settings)).clone())
    }
}
