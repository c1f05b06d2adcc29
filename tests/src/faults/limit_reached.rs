//! JetStream may store no more: another stream of the same server fills what it may use, and is deleted
//! later. It must not touch the streams of the service, nor fill a disk.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::dice::Dice;
use super::ground::FILE_BYTES_MAX;
use super::site::Site;

const STREAM: &str = "FILLER";
/// Of one message: below the server's limit of 1 MiB.
const CHUNK_BYTES: usize = 512 << 10;

pub(super) async fn strike(site: &mut Site, dice: &mut Dice) -> Result<()> {
    let nats = site.nats();
    nats.create_stream(&json!({"name": STREAM, "subjects": ["filler"], "storage": "file", "discard": "new"})).await?;
    let jetstream = nats.jetstream();
    let chunk = bytes::Bytes::from(vec![0; CHUNK_BYTES]);
    let mut refused = false;
    for _ in 0..=FILE_BYTES_MAX / CHUNK_BYTES {
        let sent = jetstream.publish("filler", chunk.clone()).await.context("the filler cannot be sent")?;
        if sent.await.is_err() {
            refused = true;
            break;
        }
    }
    ensure!(refused, "JetStream took more than it may");
    dice.dwell(500..=2_500).await;
    site.nats().delete_stream(STREAM).await
}
