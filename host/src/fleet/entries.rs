//! What is wanted, one key-value entry per domain, read from the bucket's leader and changed by
//! compare-and-set. Knows nothing of components.

use std::collections::BTreeMap;

use async_nats::jetstream::kv::{Config, Store, UpdateErrorKind};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, StorageType};
use futures::TryStreamExt;

use super::bucket::{Bucket, audit};
use super::{FleetError, FleetWatch, Wanted};
use crate::name::{Name, printable};

/// How often a change is made anew after somebody else was faster; of several that try at once
/// one succeeds each time.
const ATTEMPTS_MAX: usize = 32;
/// Entries that are kept of a domain, for people who ask what was.
const HISTORY: i64 = 8;
/// Largest entry in bytes; twice what the service writes at most.
const ENTRY_BYTES_MAX: usize = 64 << 10;
/// Most domains that are looked at; far more than hosts serve.
const DOMAINS_MAX: usize = 1_024;
/// Headers on what is no value but the mark of a deletion.
const DELETION_HEADERS: [&str; 2] = ["KV-Operation", "Nats-Marker-Reason"];

/// The entries.
#[derive(Clone)]
pub(super) struct Entries {
    bucket: Bucket,
    store: Store,
}

/// What stands for a domain.
pub(super) struct Entry {
    /// What is wanted; `None` where nothing ever was, or the entry was deleted.
    pub(super) wanted: Option<Wanted>,
    /// The revision that a change must name.
    revision: u64,
}

impl Entry {
    /// Whether it was there and was deleted.
    pub(super) fn is_deleted(&self) -> bool {
        self.wanted.is_none() && self.revision > 0
    }
}

impl Entries {
    /// Finds the bucket, or makes it.
    pub(super) async fn open(bucket: Bucket, replicas: usize) -> Result<Self, FleetError> {
        if let Some(found) = Self::find(bucket.clone()).await? {
            return Ok(found);
        }
        let config = Config {
            bucket: bucket.name.to_owned(),
            description: "what a fleet of hosts is to run, by domain".to_owned(),
            history: HISTORY,
            storage: StorageType::File,
            num_replicas: replicas,
            ..Config::default()
        };
        let error = match bucket.context.create_key_value(config).await {
            Ok(store) => return Ok(Self { bucket, store }),
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
        match bucket.context.get_key_value(bucket.name).await {
            Ok(store) => Ok(Some(Self { bucket, store })),
            Err(error) => Err(bucket.explain("opening the", error).await),
        }
    }

    /// What stands for a domain. Asked of the leader: a replica may be behind what was told already.
    pub(super) async fn read(&self, domain: &Name) -> Result<Entry, FleetError> {
        self.bucket.check_connection()?;
        let subject = format!("{}{domain}", self.store.prefix);
        let message = match self.store.stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => message,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                return Ok(Entry { wanted: None, revision: 0 });
            }
            Err(error) => return Err(self.bucket.explain("reading the", error).await),
        };
        let revision = message.sequence;
        if DELETION_HEADERS.iter().any(|name| message.headers.get(*name).is_some_and(|value| value.as_str() != "PUT")) {
            return Ok(Entry { wanted: None, revision });
        }
        let unreadable = |why: String| FleetError::Unreadable { domain: domain.clone(), bucket: self.bucket.name, why };
        if message.payload.len() > ENTRY_BYTES_MAX {
            return Err(unreadable(format!("it has more than {ENTRY_BYTES_MAX} bytes")));
        }
        let wanted = serde_json::from_slice(&message.payload).map_err(|error| unreadable(error.to_string()))?;
        Ok(Entry { wanted: Some(wanted), revision })
    }

    /// What stands for every domain.
    pub(super) async fn read_all(&self) -> Result<BTreeMap<Name, Wanted>, FleetError> {
        let mut all = BTreeMap::new();
        for domain in self.domains().await? {
            match self.read(&domain).await {
                Ok(Entry { wanted: Some(wanted), .. }) => drop(all.insert(domain, wanted)),
                Ok(Entry { wanted: None, .. }) => {}
                Err(error @ FleetError::Unreadable { .. }) => tracing::error!(%error, "an entry is left out"),
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// The domains that have an entry, as the leader has them.
    async fn domains(&self) -> Result<Vec<Name>, FleetError> {
        self.bucket.check_connection()?;
        let filter = format!("{}>", self.store.prefix);
        let subjects = match self.store.stream.info_with_subjects(filter).await {
            Ok(subjects) => subjects.map_ok(|(subject, _)| subject).try_collect::<Vec<String>>().await,
            Err(error) => Err(error),
        };
        let subjects = match subjects {
            Ok(subjects) => subjects,
            Err(error) => return Err(self.bucket.explain("reading the", error).await),
        };
        if subjects.len() > DOMAINS_MAX {
            tracing::error!(found = subjects.len(), max = DOMAINS_MAX, "not all entries of the fleet are looked at");
        }
        let mut domains = Vec::new();
        for subject in subjects.iter().take(DOMAINS_MAX) {
            let key = subject.strip_prefix(&self.store.prefix).unwrap_or(subject);
            match Name::new(key) {
                Ok(domain) => domains.push(domain),
                Err(_) => tracing::warn!(key = printable(key), "a key of the fleet is no domain and is left out"),
            }
        }
        Ok(domains)
    }

    /// Changes what stands, anew where somebody else was faster.
    pub(super) async fn change(
        &self,
        domain: &Name,
        change: impl Fn(Option<Wanted>) -> Result<Wanted, FleetError>,
    ) -> Result<Wanted, FleetError> {
        for _ in 0..ATTEMPTS_MAX {
            let Entry { wanted, revision } = self.read(domain).await?;
            let next = change(wanted)?;
            // Serialising it cannot fail: it is made of texts and numbers.
            let text = serde_json::to_vec(&next).unwrap_or_default();
            match self.store.update(domain.as_str(), text.into(), revision).await {
                Ok(_) => return Ok(next),
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {}
                Err(error) => return Err(self.bucket.explain("writing the", error).await),
            }
        }
        Err(FleetError::Contended { domain: domain.clone() })
    }

    /// Tells of changes.
    pub(super) fn watch(&self) -> FleetWatch {
        FleetWatch::new(self.bucket.clone())
    }
}
