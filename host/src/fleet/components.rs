//! Components under the hex SHA-256 of their bytes, in an object store. What the store says of
//! their size or digest is never trusted. Knows nothing of what is in them.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::object_store::{Config, InfoErrorKind, ObjectInfo, ObjectMetadata, ObjectStore};
use async_nats::jetstream::stream::{RawMessageErrorKind, StorageType};
use futures::{StreamExt, TryStreamExt};
use tokio::time::{sleep, timeout};

use super::FleetError;
use super::bucket::{Bucket, audit};
use crate::domain::Digest;

/// How long a component may take to be written or read: 32 MiB over a line of 1 Mbit/s.
const TRANSFER_MAX: Duration = Duration::from_secs(300);
/// Largest piece in bytes, as other clients of object stores cut them.
const PIECE_BYTES_MAX: usize = 128 << 10;
/// What the protocol adds to a message, in bytes.
const OVERHEAD_BYTES: usize = 1_024;
/// Most components that are listed; far more than a fleet needs at the same time.
const LISTED_MAX: usize = 4_096;
/// How long listing them may take: somebody waits.
const LISTING_MAX: Duration = Duration::from_secs(15);
/// How often a component is looked for on a bucket with replicas, and how long is waited between:
/// the replica that answers may be a moment behind the others.
const LOOKS_MAX: usize = 4;
const REPLICA_DELAY: Duration = Duration::from_millis(250);

/// The components.
#[derive(Clone)]
pub(super) struct Components {
    bucket: Bucket,
    store: ObjectStore,
    replicas: usize,
}

impl Components {
    /// Finds the bucket, or makes it.
    pub(super) async fn open(bucket: Bucket, replicas: usize) -> Result<Self, FleetError> {
        if let Some(found) = Self::find(bucket.clone()).await? {
            return Ok(found);
        }
        let config = Config {
            bucket: bucket.name.to_owned(),
            description: Some("plugins of a fleet of hosts, by the SHA-256 of their bytes".to_owned()),
            storage: StorageType::File,
            num_replicas: replicas,
            ..Config::default()
        };
        let error = match bucket.context.create_object_store(config).await {
            Ok(store) => return Ok(Self { bucket, store, replicas }),
            Err(error) => error,
        };
        // Another host may have made it a moment ago, with settings of its own.
        let refused = FleetError::Refused(format!("the bucket {} cannot be made: {error}", bucket.name));
        Self::find(bucket).await?.ok_or(refused)
    }

    /// Finds the bucket.
    pub(super) async fn find(bucket: Bucket) -> Result<Option<Self>, FleetError> {
        let Some(info) = bucket.info().await? else { return Ok(None) };
        audit(&bucket, &info)?;
        match bucket.context.get_object_store(bucket.name).await {
            Ok(store) => Ok(Some(Self { bucket, store, replicas: info.config.num_replicas })),
            Err(error) => Err(bucket.explain("opening the", error).await),
        }
    }

    /// Keeps a component, unless it is kept whole already.
    pub(super) async fn store(&self, component: &[u8], bytes_max: usize) -> Result<Digest, FleetError> {
        let (digest, size) = (Digest::of(component), component.len());
        if size > bytes_max {
            return Err(FleetError::TooLarge { size, max: bytes_max });
        }
        match self.read_once(digest, bytes_max).await {
            Ok(Some(_)) => return Ok(digest),
            // What is not this component is replaced by it.
            Ok(None) | Err(FleetError::Damaged { .. } | FleetError::TooLarge { .. }) => {}
            Err(error) => return Err(error),
        }
        let message_bytes_max = self.bucket.context.client().max_payload();
        let piece_bytes = message_bytes_max.saturating_sub(OVERHEAD_BYTES).clamp(OVERHEAD_BYTES, PIECE_BYTES_MAX);
        let about =
            ObjectMetadata { name: digest.to_string(), chunk_size: Some(piece_bytes), ..ObjectMetadata::default() };
        let mut left = component;
        match timeout(TRANSFER_MAX, self.store.put(about, &mut left)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(self.bucket.explain("writing the", error).await),
            Err(_) => return Err(self.too_slow("written", TRANSFER_MAX)),
        }
        // Pieces are published without the name of a JetStream domain: another domain's bucket
        // could have taken them.
        match self.read(digest, bytes_max).await? {
            Some(_) => Ok(digest),
            None => Err(FleetError::Unavailable(format!(
                "the component was written, but is not in the bucket {}: does a bucket of that name stand in another JetStream domain?",
                self.bucket.name
            ))),
        }
    }

    /// Whether something is kept under a digest.
    pub(super) async fn is_kept(&self, digest: Digest) -> Result<bool, FleetError> {
        for look in 1.. {
            match self.store.info(digest.to_string()).await {
                Ok(info) if !info.deleted => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == InfoErrorKind::NotFound => {}
                Err(error) => return Err(self.bucket.explain("reading the", error).await),
            }
            if !self.may_be_late(look).await {
                break;
            }
        }
        Ok(false)
    }

    /// What is kept, by name alone.
    pub(super) async fn kept(&self) -> Result<BTreeSet<Digest>, FleetError> {
        self.bucket.check_connection()?;
        let list = async {
            let found = match self.store.list().await {
                Ok(objects) => {
                    objects.take(LISTED_MAX).map_err(|error| error.to_string()).try_collect::<Vec<_>>().await
                }
                Err(error) => Err(error.to_string()),
            };
            match found {
                Ok(objects) => Ok(objects.iter().filter_map(|object| object.name.parse().ok()).collect()),
                Err(error) => Err(self.bucket.explain("listing the", error).await),
            }
        };
        timeout(LISTING_MAX, list).await.unwrap_or_else(|_| Err(self.too_slow("listed", LISTING_MAX)))
    }

    /// A component, checked; `None` where it is not kept.
    pub(super) async fn read(&self, digest: Digest, bytes_max: usize) -> Result<Option<Vec<u8>>, FleetError> {
        for look in 1.. {
            match self.read_once(digest, bytes_max).await {
                Ok(None) | Err(FleetError::Damaged { .. }) if self.may_be_late(look).await => {}
                done => return done,
            }
        }
        Ok(None)
    }

    /// Whether another look may find more; waits before that.
    async fn may_be_late(&self, look: usize) -> bool {
        let again = self.replicas > 1 && look < LOOKS_MAX;
        if again {
            sleep(REPLICA_DELAY).await;
        }
        again
    }

    async fn read_once(&self, digest: Digest, bytes_max: usize) -> Result<Option<Vec<u8>>, FleetError> {
        self.bucket.check_connection()?;
        let read = async {
            let object = match self.store.info(digest.to_string()).await {
                Ok(object) if object.deleted => return Ok(None),
                Ok(object) => object,
                Err(error) if error.kind() == InfoErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(self.bucket.explain("reading the", error).await),
            };
            let bytes = self.collect(digest, &object, bytes_max).await?;
            let found = Digest::of(&bytes);
            if found != digest {
                return Err(FleetError::Damaged { digest, why: format!("its bytes have sha256:{found}") });
            }
            Ok(Some(bytes))
        };
        timeout(TRANSFER_MAX, read).await.unwrap_or_else(|_| Err(self.too_slow("read", TRANSFER_MAX)))
    }

    /// Piece after piece, from the bucket's leader. Not through a consumer: who may make one can have what is
    /// in the bucket delivered to any subject, a command's too, and whoever brings plugins must not.
    async fn collect(&self, digest: Digest, object: &ObjectInfo, bytes_max: usize) -> Result<Vec<u8>, FleetError> {
        let stream = match self.bucket.context.get_stream_no_info(&self.bucket.stream).await {
            Ok(stream) => stream,
            Err(error) => return Err(self.bucket.explain("reading the", error).await),
        };
        let subject = format!("$O.{}.C.{}", self.bucket.name, object.nuid);
        let (mut bytes, mut next) = (Vec::new(), 1);
        for _ in 0..object.chunks {
            let piece = match stream.raw_message_builder().sequence(next).next_by_subject(&subject).send().await {
                Ok(piece) => piece,
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {
                    return Err(FleetError::Damaged { digest, why: format!("it ends after {} bytes", bytes.len()) });
                }
                Err(error) => return Err(self.bucket.explain("reading the", error).await),
            };
            next = piece.sequence + 1;
            bytes.extend_from_slice(&piece.payload);
            if bytes.len() > bytes_max {
                return Err(FleetError::TooLarge { size: bytes.len(), max: bytes_max });
            }
        }
        Ok(bytes)
    }

    fn too_slow(&self, done: &str, limit: Duration) -> FleetError {
        let (bucket, limit) = (self.bucket.name, humantime::format_duration(limit));
        FleetError::Unavailable(format!("the bucket {bucket} was not {done} within {limit}: try again"))
    }
}
