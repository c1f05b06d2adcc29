//! A domain's snapshots in a key-value bucket, written by compare-and-set. One too large for
//! a message lies in chunks beside its key, `<id>.<name>.<n>`.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{Config, Entry, Operation, Store, UpdateErrorKind};
use async_nats::jetstream::stream::StorageType;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use serde_json::Value;
use tokio::runtime::Handle;

use super::on_runtime::OnRuntime;
use super::oversize::{self, Packed, Stored};
use super::stream;
use crate::domain::Digest;
use crate::name::{AggregateId, Name, snapshot_bucket_of};
use crate::nats::{is_connected, unless_refused};
use crate::snapshot::{Damaged, Snapshot};
use crate::store::{CodeRecord, Found, Saved, SnapshotStore, Unavailable};

/// How often a snapshot is written anew after another host was faster.
const ATTEMPTS_MAX: usize = 4;
/// How long one read or write may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// What the key-value protocol adds to a message, in bytes.
const OVERHEAD_BYTES: usize = 1_024;

/// The snapshots of one domain.
pub struct JetStreamSnapshots {
    inner: Arc<Inner>,
    runtime: Handle,
}

struct Inner {
    client: Client,
    store: Store,
}

impl JetStreamSnapshots {
    /// Finds the domain's bucket, or makes it. Must be called on the runtime that drives the client.
    ///
    /// # Errors
    /// [`BucketError`] where it cannot be used, or not now.
    pub async fn open(client: Client, context: &Context, domain: &Name, replicas: usize) -> Result<Self, BucketError> {
        let bucket = snapshot_bucket_of(domain);
        let opened = unless_refused(&bucket, Self::find_or_make(client, context, domain, replicas)).await;
        opened.unwrap_or_else(|refusal| Err(BucketError::Unfit(format!("bucket {bucket}: {refusal}"))))
    }

    async fn find_or_make(
        client: Client,
        context: &Context,
        domain: &Name,
        replicas: usize,
    ) -> Result<Self, BucketError> {
        let bucket = snapshot_bucket_of(domain);
        let store = match context.get_key_value(&bucket).await {
            Ok(store) => {
                audit(&store).await?;
                store
            }
            Err(_) => {
                let config = Config {
                    bucket: bucket.clone(),
                    description: format!("snapshots of the domain {domain}"),
                    history: 1,
                    storage: StorageType::File,
                    num_replicas: replicas,
                    ..Config::default()
                };
                let made = context.create_key_value(config).await;
                made.map_err(|error| BucketError::Silent(format!("bucket {bucket} cannot be made: {error}")))?
            }
        };
        Ok(Self { inner: Arc::new(Inner { client, store }), runtime: Handle::current() })
    }

    /// Finds the domain's bucket, and makes nothing where there is none. Must be called on the
    /// runtime that drives the client.
    ///
    /// # Errors
    /// [`BucketError`] where it cannot be used, or not now.
    pub async fn find(client: Client, context: &Context, domain: &Name) -> Result<Option<Self>, BucketError> {
        let bucket = snapshot_bucket_of(domain);
        // The client's own look does not tell a bucket that is missing from one out of reach.
        let stands = stream::find(context, &format!("KV_{bucket}")).await;
        if stands.map_err(|error| BucketError::Silent(error.to_string()))?.is_none() {
            return Ok(None);
        }
        let store = context.get_key_value(&bucket).await;
        let store = store.map_err(|error| BucketError::Silent(format!("bucket {bucket} cannot be read: {error}")))?;
        audit(&store).await?;
        Ok(Some(Self { inner: Arc::new(Inner { client, store }), runtime: Handle::current() }))
    }

    fn on_runtime<T, F>(&self, work: F) -> BoxFuture<'static, Result<T, Unavailable>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Unavailable>> + Send + 'static,
    {
        if !is_connected(&self.inner.client) {
            return std::future::ready(Err(Unavailable("NATS is not connected".into()))).boxed();
        }
        let in_time = async move {
            let late = || Err(Unavailable("the snapshot bucket does not answer in time".into()));
            tokio::time::timeout(ANSWER_MAX, work).await.unwrap_or_else(|_| late())
        };
        OnRuntime::new(self.runtime.clone(), in_time).boxed()
    }
}

impl SnapshotStore for JetStreamSnapshots {
    fn load(&self, id: &AggregateId) -> BoxFuture<'static, Result<Found, Unavailable>> {
        let (inner, id) = (Arc::clone(&self.inner), id.clone());
        self.on_runtime(async move { inner.load(&id).await })
    }

    fn ids(&self, limit: usize) -> BoxFuture<'static, Result<Vec<AggregateId>, Unavailable>> {
        let inner = Arc::clone(&self.inner);
        self.on_runtime(async move { inner.ids(limit).await })
    }

    fn code_record(&self, code: Digest) -> BoxFuture<'static, Result<CodeRecord, Unavailable>> {
        let inner = Arc::clone(&self.inner);
        self.on_runtime(async move {
            let entry = inner.entry(&code_key(code)).await?;
            let record = entry.map(|entry| serde_json::from_slice(&entry.value));
            // What cannot be read is as good as not noted: the events are replayed then.
            Ok(record.and_then(Result::ok).unwrap_or_default())
        })
    }

    fn note_code(&self, code: Digest, record: CodeRecord) -> BoxFuture<'static, Result<(), Unavailable>> {
        let inner = Arc::clone(&self.inner);
        self.on_runtime(async move {
            // Serialising it cannot fail: its keys are strings.
            let text = serde_json::to_vec(&record).unwrap_or_default();
            let put = inner.store.put(code_key(code), text.into()).await;
            put.map(drop).map_err(|error| Unavailable(format!("the snapshot bucket cannot be written: {error}")))
        })
    }

    fn save(
        &self,
        id: &AggregateId,
        snapshot: Snapshot,
        revision: u64,
    ) -> BoxFuture<'static, Result<Saved, Unavailable>> {
        let (inner, id) = (Arc::clone(&self.inner), id.clone());
        self.on_runtime(async move { inner.save(&id, &snapshot, revision).await })
    }
}

impl Inner {
    async fn load(&self, id: &AggregateId) -> Result<Found, Unavailable> {
        let Some(Entry { value, revision, .. }) = self.entry(id.as_str()).await? else { return Ok(Found::Nothing) };
        let encoded = match oversize::unpack(&value) {
            Some(Stored::Value(encoded)) => Some(encoded),
            Some(Stored::Chunks { count, name }) => self.load_chunks(id, count, &name).await?,
            None => None,
        };
        let decoded = encoded.ok_or(Damaged::Truncated).and_then(|encoded| Snapshot::decode(&encoded));
        Ok(match decoded {
            Ok(snapshot) => Found::Snapshot { snapshot: Box::new(snapshot), revision },
            Err(damage) => Found::Damaged { damage, revision },
        })
    }

    /// The keys that are ids: chunks and what else lies beside the snapshots have other names.
    async fn ids(&self, limit: usize) -> Result<Vec<AggregateId>, Unavailable> {
        let lost = |error: String| Unavailable(format!("the snapshot bucket cannot be read: {error}"));
        let keys = self.store.keys().await.map_err(|error| lost(error.to_string()))?;
        let ids = keys.try_filter_map(|key| std::future::ready(Ok(AggregateId::new(&key).ok()))).take(limit);
        ids.try_collect().await.map_err(|error| lost(error.to_string()))
    }

    async fn load_chunks(&self, id: &AggregateId, count: u32, name: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        let mut packed = Vec::new();
        for n in 0..count {
            match self.entry(&chunk_key(id, name, n)).await? {
                Some(entry) if packed.len() + entry.value.len() <= oversize::VALUE_BYTES_MAX => {
                    packed.extend_from_slice(&entry.value)
                }
                _ => return Ok(None),
            }
        }
        Ok(oversize::decompress(&packed))
    }

    async fn entry(&self, key: &str) -> Result<Option<Entry>, Unavailable> {
        let entry = self
            .store
            .entry(key)
            .await
            .map_err(|error| Unavailable(format!("the snapshot bucket cannot be read: {error}")))?;
        Ok(entry.filter(|entry| entry.operation == Operation::Put))
    }

    async fn save(&self, id: &AggregateId, snapshot: &Snapshot, revision: u64) -> Result<Saved, Unavailable> {
        let encoded = snapshot.encode();
        if encoded.len() > oversize::VALUE_BYTES_MAX {
            return Err(Unavailable(format!(
                "the snapshot has {} bytes, at most {} are kept",
                encoded.len(),
                oversize::VALUE_BYTES_MAX
            )));
        }
        let message_bytes_max = self.client.max_payload().saturating_sub(OVERHEAD_BYTES).max(OVERHEAD_BYTES);
        let mut revision = revision;
        for _ in 0..ATTEMPTS_MAX {
            // Chunks are written anew at each attempt: the host that was faster clears old ones away.
            let (message, first_chunk) = match oversize::pack(encoded.clone(), message_bytes_max) {
                Packed::Whole(message) => (message, None),
                Packed::Chunks(chunks) => self.put_chunks(id, chunks).await?,
            };
            match self.store.update(id.as_str(), message, revision).await {
                Ok(revision) => {
                    if let Some(first) = first_chunk {
                        self.clear_chunks_before(id, first).await;
                    }
                    return Ok(Saved::Stored(revision));
                }
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {}
                Err(error) => return Err(Unavailable(format!("the snapshot bucket cannot be written: {error}"))),
            }
            revision = match self.load(id).await? {
                Found::Snapshot { snapshot: standing, .. } if standing.supersedes(snapshot) => {
                    return Ok(Saved::Superseded);
                }
                Found::Snapshot { revision, .. } | Found::Damaged { revision, .. } => revision,
                Found::Nothing => self.deleted_revision(id).await?,
            };
        }
        Err(Unavailable("other hosts keep writing the same snapshot".into()))
    }

    /// The revision of a key that was deleted, 0 where it never was.
    async fn deleted_revision(&self, id: &AggregateId) -> Result<u64, Unavailable> {
        let entry = self.store.entry(id.as_str()).await.map_err(|error| Unavailable(error.to_string()))?;
        Ok(entry.map_or(0, |entry| entry.revision))
    }

    /// Writes chunks; gives the message that says where they are, and the first one's revision.
    async fn put_chunks(&self, id: &AggregateId, chunks: Vec<Bytes>) -> Result<(Bytes, Option<u64>), Unavailable> {
        let name = uuid::Uuid::now_v7().simple().to_string();
        let (count, mut first) = (chunks.len(), None);
        for (chunk, n) in chunks.into_iter().zip(0_u32..) {
            let put = self.store.put(chunk_key(id, &name, n), chunk).await;
            let revision =
                put.map_err(|error| Unavailable(format!("the snapshot bucket cannot be written: {error}")))?;
            first.get_or_insert(revision);
        }
        Ok((oversize::directory(count, &name), first))
    }

    /// Removes the chunks of older snapshots. What a failure leaves is removed by the next one.
    async fn clear_chunks_before(&self, id: &AggregateId, revision: u64) {
        let filter = format!("{}{id}.>", self.store.prefix);
        let stream = &self.store.stream;
        if let Err(error) = stream.purge().sequence(revision).filter(filter).await {
            tracing::debug!(aggregate = %id, %error, "chunks of an older snapshot were not removed");
        }
    }
}

/// Refuses a bucket that loses what is put into it.
async fn audit(store: &Store) -> Result<(), BucketError> {
    let status =
        store.status().await.map_err(|error| BucketError::Silent(format!("bucket {}: {error}", store.name)))?;
    // Serialising it cannot fail: every map key is a string.
    let config = serde_json::to_value(&status.info.config).unwrap_or_default();
    match audit_bucket(&config) {
        Some(why) => Err(BucketError::Unfit(format!("bucket {} cannot hold snapshots: {why}", store.name))),
        None => Ok(()),
    }
}

/// What in the settings of a bucket's stream loses what is put into it, in words.
pub fn audit_bucket(config: &Value) -> Option<&'static str> {
    let limited = |name: &str| config.get(name).and_then(Value::as_i64).is_some_and(|limit| limit > 0);
    let is = |name: &str, value: &str| config.get(name).and_then(Value::as_str) == Some(value);
    let broken = [
        (limited("max_age"), "max_age is set: snapshots would expire"),
        (is("storage", "memory"), "storage is memory: snapshots would not survive the server"),
        (
            limited("max_bytes") && is("discard", "old"),
            "max_bytes is set together with discard old: it would delete snapshots",
        ),
    ];
    broken.iter().find(|(is_broken, _)| *is_broken).map(|(_, why)| *why)
}

/// Why there are no snapshots.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// The bucket would lose them.
    #[error("{0}")]
    Unfit(String),
    /// JetStream does not give it now.
    #[error("{0}")]
    Silent(String),
}

/// Where it is noted what is known of code: no id begins like this.
fn code_key(code: Digest) -> String {
    format!("=code.{code}")
}

fn chunk_key(id: &AggregateId, name: &str, n: u32) -> String {
    format!("{id}.{name}.{n}")
}
