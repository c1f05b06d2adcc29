//! What it takes to read one agent's events without any host, in the two ways that JetStream has. It
//! must not know what they are read for.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::consumer::pull::OrderedConfig;
use futures::StreamExt as _;
use serde_json::json;

use crate::contender::Contender;
use crate::ground::Ground;

/// Messages of one batched get.
const BATCH: usize = 1_000;

fn filter(id: &str) -> String {
    format!("{}.events.{id}.*", Contender::Service.domain())
}

/// By an ordered consumer.
pub(super) async fn by_consumer(ground: &Ground, id: &str) -> Result<Duration> {
    let begun = Instant::now();
    let stream = ground.context.get_stream_no_info(Contender::Service.stream()).await?;
    let config = OrderedConfig { filter_subject: filter(id), ..OrderedConfig::default() };
    let consumer = stream.create_consumer(config).await?;
    let mut missing = consumer.cached_info().num_pending;
    ensure!(missing > 0, "the agent has no events");
    let mut messages = consumer.messages().await?;
    while missing > 0 {
        messages.next().await.context("the consumer has ended")??;
        missing -= 1;
    }
    Ok(begun.elapsed())
}

/// By batched direct gets, each from where the one before has ended.
pub(super) async fn by_gets(ground: &Ground, id: &str) -> Result<Duration> {
    let begun = Instant::now();
    let subject = format!("$JS.API.DIRECT.GET.{}", Contender::Service.stream());
    let mut from = 1;
    loop {
        let inbox = ground.client.new_inbox();
        let mut answers = ground.client.subscribe(inbox.clone()).await?;
        let asked = json!({"seq": from, "batch": BATCH, "next_by_subj": filter(id)});
        ground.client.publish_with_reply(subject.clone(), inbox, asked.to_string().into()).await?;
        let mut read = 0;
        loop {
            let answer = answers.next().await.context("the connection has ended")?;
            let sequence = answer.headers.as_ref().and_then(|headers| headers.get("Nats-Sequence"));
            match (answer.status, sequence) {
                (None, Some(sequence)) => from = sequence.as_str().parse::<u64>()? + 1,
                // The end of the batch, or of what there is.
                _ => break,
            }
            read += 1;
        }
        ensure!(from > 1, "the agent has no events");
        if read < BATCH {
            return Ok(begun.elapsed());
        }
    }
}
