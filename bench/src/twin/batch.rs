//! The agent rules, and for each command an atomic batch of its own: what several events cost where
//! nobody shares. It must not know state: every command is an agent's first.

use agent_guest::live::Aggregate;
use anyhow::Result;
use async_nats::Client;
use tokio::sync::Semaphore;

use super::append::Appender;
use super::native::decide;
use super::{Answer, Answers, Request, accepted};
use crate::contender::Contender;

/// Batches open at once: JetStream takes 50 for a stream, and a host is not to use more than these.
const OPEN_MAX: usize = 16;

pub(super) struct Batches {
    appender: Appender,
    open: Semaphore,
}

impl Batches {
    pub(super) fn new(client: &Client, contender: Contender) -> Self {
        Self { appender: Appender::new(client, contender), open: Semaphore::new(OPEN_MAX) }
    }
}

impl Answers for Batches {
    async fn answer(&self, request: &Request<'_>) -> Result<Answer> {
        let facts = decide(&Aggregate::new(request.id), request, 0)?;
        let _open = self.open.acquire().await?;
        let sequence = self.appender.append_batch(request, &facts).await?;
        Ok(accepted(request.id, &facts, facts.len() as u64, sequence))
    }
}
