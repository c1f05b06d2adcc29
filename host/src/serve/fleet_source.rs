//! What the fleet wants, and going by it: every domain it names runs the code it names, under the
//! number it gives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::admission::{Candidate, Refused};
use super::background::in_background;
use super::loader::Loader;
use super::status::{Origin, Refusal};
use crate::domain::Digest;
use crate::fleet::{Fleet, FleetError, Wanted};
use crate::name::Name;
use crate::registry::Loaded;

/// How soon what could not be read or had is looked for again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

impl Loader {
    /// Brings everything that is served to what the fleet wants. What it cannot bring there stays
    /// as it is, and the list says why.
    pub(super) async fn go_by_fleet(&mut self) {
        let Some(fleet) = self.fleet.clone() else { return };
        self.again_at = None;
        match fleet.all_wanted().await {
            Ok(wanted) => {
                if self.unreadable.take().is_some() {
                    tracing::info!("what the fleet wants can be read again");
                }
                self.retire_withdrawn(&fleet, &wanted).await;
                for (domain, wanted) in wanted {
                    self.go_by_wanted(&fleet, domain, wanted).await;
                }
            }
            Err(error) => self.cannot_read_fleet(&error),
        }
        if self.unreadable.is_some() || !self.put_off.is_empty() {
            self.again_at = Some(Instant::now() + AGAIN_AFTER);
        }
    }

    /// Says so, once for each reason.
    pub(super) fn cannot_read_fleet(&mut self, error: &FleetError) {
        let why = error.to_string();
        if self.unreadable.as_ref() != Some(&why) {
            tracing::warn!(error = why, "what the fleet wants cannot be read: what is live stays");
            self.unreadable = Some(why);
        }
    }

    /// Serves no more what was taken back. An entry that cannot be read, or is missing since the
    /// bucket was made anew, is nobody's wish.
    async fn retire_withdrawn(&mut self, fleet: &Fleet, wanted: &BTreeMap<Name, Wanted>) {
        let missing: Vec<Name> = self.served.keys().filter(|domain| !wanted.contains_key(*domain)).cloned().collect();
        for domain in missing {
            if fleet.is_withdrawn(&domain).await == Ok(true) {
                self.wanted.remove(&domain);
                self.put_off.remove(&domain);
                self.retire(&domain, &Origin::Fleet).await;
            }
        }
    }

    async fn go_by_wanted(&mut self, fleet: &Fleet, domain: Name, wanted: Wanted) {
        let is_new = self.wanted.get(&domain) != Some(&wanted);
        if !self.put_off.remove(&domain) && !is_new {
            return;
        }
        if is_new {
            self.wanted.insert(domain.clone(), wanted.clone());
            self.tell_status(&domain);
        }
        let gone = self.go_to(fleet, &domain, &wanted).await;
        let Err(refused) = gone else { return };
        self.refuse_wanted(&domain, refused).await;
        if !self.served.contains_key(&domain)
            && let Err(refused) = self.go_on_with_kept(&domain).await
        {
            self.refuse_wanted(&domain, refused).await;
        }
        if let Some(served) = self.served.get(&domain) {
            // Requests that meet what newer code wrote need not wait for it.
            served.domain.cannot_follow(wanted.activation);
        }
    }

    async fn refuse_wanted(&mut self, domain: &Name, refused: Refused) {
        match refused {
            Refused::Code(refusal) => self.refuse(*refusal).await,
            Refused::Serve(error) => {
                self.refuse(Refusal::for_now(Origin::Fleet, domain, error.to_string())).await;
            }
        }
    }

    /// Goes to what is wanted of one domain.
    async fn go_to(&mut self, fleet: &Fleet, domain: &Name, wanted: &Wanted) -> Result<(), Refused> {
        let standing = self.served.get(domain);
        if let Some(live) = standing.map(|served| &served.live).filter(|live| live.number() >= wanted.activation) {
            return match live.digest() == wanted.digest {
                true => Ok(()),
                false => Err(behind_live(domain, wanted, live.number())),
            };
        }
        let at_hand = standing.and_then(|served| {
            let known = [Some(&served.live.generation), served.previous.as_ref()];
            known.into_iter().flatten().find(|generation| generation.digest() == wanted.digest).map(Arc::clone)
        });
        let candidate = match at_hand {
            Some(generation) => Candidate::known(generation, Origin::Fleet),
            None => Candidate::of(self.loaded(fleet, domain, wanted.digest).await?, Origin::Fleet),
        };
        if candidate.domain() != domain {
            let why = format!("the fleet wants it for the domain {domain}, but it brings {}", candidate.domain());
            return Err(candidate.refused(why, None));
        }
        if wanted.rollback && standing.is_some_and(|served| served.live.digest() != wanted.digest) {
            let deny = wanted.denied.iter().any(|denied| standing.is_some_and(|s| s.live.digest() == denied.digest));
            let why = deny.then(|| wanted.why.clone());
            self.go_back(domain, candidate.generation, wanted.activation, why).await;
            return Ok(());
        }
        let candidate = Candidate {
            accept_drift: wanted.accept_drift,
            told: true,
            number: Some(wanted.activation),
            way_back: wanted.rollback,
            ..candidate
        };
        self.admit(candidate).await.map(drop)
    }

    /// The component of this digest, loaded: what this host has kept needs no store.
    async fn loaded(&self, fleet: &Fleet, domain: &Name, digest: Digest) -> Result<Loaded, Refused> {
        match self.load_kept(digest).await {
            Some(kept) => Ok(kept),
            None => self.fetch(fleet, digest).await.map_err(|error| error.of(domain)),
        }
    }

    /// A component out of the fleet's store, loaded.
    pub(super) async fn fetch(&self, fleet: &Fleet, digest: Digest) -> Result<Loaded, NotFetched> {
        let max = self.around.registry.engine.limits().file_bytes_max;
        let component = fleet.component(digest, max).await?.ok_or(FleetError::NotStored { digest })?;
        let registry = self.around.registry.clone();
        let loading = in_background(move || registry.load(component));
        match loading.await {
            Ok(Ok(loaded)) => Ok(loaded),
            Ok(Err(error)) => Err(NotFetched::Refused(format!("component {digest}: {error}"))),
            Err(error) => {
                Err(NotFetched::Refused(format!("component {digest}: loading it did not come to its end: {error}")))
            }
        }
    }
}

/// Why a component of the fleet's store is no loaded code.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotFetched {
    /// The store does not give it: for now, nothing is known against it.
    #[error(transparent)]
    Store(#[from] FleetError),
    /// It cannot be served.
    #[error("{0}")]
    Refused(String),
}

impl NotFetched {
    /// The refusal of the code that a domain is to run.
    fn of(self, domain: &Name) -> Refused {
        let refusal = match self {
            Self::Store(error) => Refusal::for_now(Origin::Fleet, domain, error.to_string()),
            Self::Refused(why) => Refusal { domain: Some(domain.clone()), ..Refusal::of_file(Origin::Fleet, why) },
        };
        Refused::Code(Box::new(refusal))
    }
}

/// Events only ever bear growing numbers.
fn behind_live(domain: &Name, wanted: &Wanted, live: u64) -> Refused {
    let why = format!(
        "the fleet wants component {} as activation {}, but activation {live} is live here: activate it once more, which gives it a higher number",
        wanted.digest, wanted.activation
    );
    Refused::Code(Box::new(Refusal { domain: Some(domain.clone()), ..Refusal::of_file(Origin::Fleet, why) }))
}
