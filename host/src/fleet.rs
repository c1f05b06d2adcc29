//! Where a fleet of hosts keeps its plugins in NATS: components by their digest, and which of
//! them each domain is to run. Knows neither what is in a component nor how it goes live.

mod bucket;
mod components;
mod entries;
mod error;
mod wanted;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use self::bucket::Bucket;
use self::components::Components;
use self::entries::Entries;
pub use self::error::FleetError;
pub use self::wanted::{Denied, Wanted};
pub use self::watch::FleetWatch;
use crate::clock::Clock;
use crate::domain::Digest;
use crate::name::{FLEET_PLUGINS_BUCKET, FLEET_WANTED_BUCKET, Name};
use crate::nats::JetStream;

/// The plugins of a fleet.
#[derive(Clone)]
pub struct Fleet {
    components: Components,
    entries: Entries,
}

impl Fleet {
    /// Finds the two buckets and makes what is missing; what stands is adopted as it is.
    ///
    /// # Errors
    /// [`FleetError`] where a bucket can be neither found nor made, or would lose what is put into it.
    pub async fn open(context: &JetStream, replicas: usize) -> Result<Self, FleetError> {
        let components = Components::open(Bucket::of_components(context, FLEET_PLUGINS_BUCKET), replicas).await?;
        let entries = Entries::open(Bucket::of_entries(context, FLEET_WANTED_BUCKET), replicas).await?;
        Ok(Self { components, entries })
    }

    /// The same without making anything; `None` where neither bucket stands.
    ///
    /// # Errors
    /// [`FleetError`], also where one of the two is missing.
    pub async fn find(context: &JetStream) -> Result<Option<Self>, FleetError> {
        let components = Components::find(Bucket::of_components(context, FLEET_PLUGINS_BUCKET)).await?;
        let entries = Entries::find(Bucket::of_entries(context, FLEET_WANTED_BUCKET)).await?;
        match (components, entries) {
            (Some(components), Some(entries)) => Ok(Some(Self { components, entries })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(FleetError::Gone { bucket: FLEET_PLUGINS_BUCKET }),
            (Some(_), None) => Err(FleetError::Gone { bucket: FLEET_WANTED_BUCKET }),
        }
    }

    /// Keeps a component of at most so many bytes. One that is kept already is left as it is, a
    /// damaged one is replaced.
    ///
    /// # Errors
    /// [`FleetError`]; what is said to be kept was read back whole.
    pub async fn store(&self, component: &[u8], bytes_max: usize) -> Result<Digest, FleetError> {
        self.components.store(component, bytes_max).await
    }

    /// A component of at most so many bytes, checked against its digest; `None` where it is not kept.
    ///
    /// # Errors
    /// [`FleetError::Damaged`] where its bytes are others, [`FleetError::TooLarge`], or the bucket
    /// cannot be read.
    pub async fn component(&self, digest: Digest, bytes_max: usize) -> Result<Option<Vec<u8>>, FleetError> {
        self.components.read(digest, bytes_max).await
    }

    /// The digests of what is kept, the first so many where there are very many.
    ///
    /// # Errors
    /// [`FleetError`] where the bucket cannot be read.
    pub async fn kept(&self) -> Result<BTreeSet<Digest>, FleetError> {
        self.components.kept().await
    }

    /// What the fleet is to run for a domain, as the bucket's leader has it.
    ///
    /// # Errors
    /// [`FleetError`], also where the entry is none of ours.
    pub async fn wanted(&self, domain: &Name) -> Result<Option<Wanted>, FleetError> {
        Ok(self.entries.read(domain).await?.wanted)
    }

    /// The same for every domain. An entry that cannot be read is logged and left out: it says
    /// nothing of the other domains.
    ///
    /// # Errors
    /// [`FleetError`] where the bucket cannot be read.
    pub async fn all_wanted(&self) -> Result<BTreeMap<Name, Wanted>, FleetError> {
        self.entries.read_all().await
    }

    /// Whether somebody has deleted what was wanted for a domain; a bucket that lacks it because it
    /// was made anew says nothing.
    ///
    /// # Errors
    /// [`FleetError`], also where the entry is none of ours.
    pub async fn is_withdrawn(&self, domain: &Name) -> Result<bool, FleetError> {
        Ok(self.entries.read(domain).await?.is_deleted())
    }

    /// Has the fleet run a component that is kept, under a number above the standing one and above
    /// `at_least`. It is no longer denied then.
    ///
    /// # Errors
    /// [`FleetError`]; [`FleetError::NotStored`] where the component is not kept.
    pub async fn activate(
        &self,
        domain: &Name,
        digest: Digest,
        accept_drift: bool,
        at_least: u64,
        by: &str,
        clock: &Clock,
    ) -> Result<Wanted, FleetError> {
        if !self.components.is_kept(digest).await? {
            return Err(FleetError::NotStored { digest });
        }
        let change = |standing: Option<Wanted>| {
            Ok(Wanted::activated(standing, digest, accept_drift, at_least).signed(by, clock.now()))
        };
        self.entries.change(domain, change).await
    }

    /// Has the fleet run what it ran before, under a number above the standing one and above
    /// `at_least`. `from` names the activation that must still stand; `deny` says why its component may not go live by itself again.
    ///
    /// # Errors
    /// [`FleetError::Overtaken`] where another activation stands, [`FleetError::NothingBefore`]
    /// where there is nothing to go back to, or the bucket cannot be used.
    pub async fn roll_back(
        &self,
        domain: &Name,
        from: Option<u64>,
        at_least: u64,
        deny: Option<String>,
        by: &str,
        clock: &Clock,
    ) -> Result<Wanted, FleetError> {
        let change = |standing: Option<Wanted>| {
            let nothing = || FleetError::NothingBefore { domain: domain.clone() };
            let standing = standing.ok_or_else(nothing)?;
            if let Some(from) = from.filter(|from| *from != standing.activation) {
                return Err(FleetError::Overtaken { domain: domain.clone(), from, standing: standing.activation });
            }
            let back = standing.rolled_back(deny.as_deref(), at_least).ok_or_else(nothing)?;
            Ok(back.signed(by, clock.now()))
        };
        self.entries.change(domain, change).await
    }

    /// Tells of changes of what is wanted.
    pub fn watch(&self) -> FleetWatch {
        self.entries.watch()
    }
}
