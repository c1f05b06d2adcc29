//! What the fleet wants, and going by it: every domain it names runs the code it names, under the
//! number it gives.

use std::sync::Arc;

use super::admission::{Candidate, Refused};
use super::loader::Loader;
use super::status::{Origin, Refusal};
use crate::domain::Digest;
use crate::fleet::{Fleet, Wanted};
use crate::name::Name;
use crate::registry::Loaded;

impl Loader {
    /// Brings everything that is served to what the fleet wants. What it cannot bring there stays
    /// as it is, and the list says why.
    pub(super) async fn go_by_fleet(&mut self) {
        let Some(fleet) = self.fleet.clone() else { return };
        let wanted = match fleet.all_wanted().await {
            Ok(wanted) => wanted,
            Err(error) => {
                tracing::warn!(%error, "what the fleet wants cannot be read: what is live stays");
                return;
            }
        };
        let unwanted: Vec<Name> = self.served.keys().filter(|domain| !wanted.contains_key(*domain)).cloned().collect();
        for domain in unwanted {
            self.wanted.remove(&domain);
            self.retire(&domain, &Origin::Fleet).await;
        }
        for (domain, wanted) in wanted {
            let is_new = self.wanted.get(&domain).is_none_or(|known| known.activation != wanted.activation);
            self.wanted.insert(domain.clone(), wanted.clone());
            if !is_new {
                continue;
            }
            self.tell_status(&domain);
            if let Err(refused) = self.go_to(&fleet, &domain, &wanted).await {
                let refusal = match refused {
                    Refused::Code(refusal) => *refusal,
                    Refused::Serve(error) => {
                        // Nothing is wrong with the code, so it is tried again at the next occasion.
                        self.wanted.remove(&domain);
                        Refusal { domain: Some(domain.clone()), ..Refusal::of_file(Origin::Fleet, error.to_string()) }
                    }
                };
                self.refuse(refusal).await;
            }
        }
    }

    /// Goes to what is wanted of one domain.
    async fn go_to(&mut self, fleet: &Fleet, domain: &Name, wanted: &Wanted) -> Result<(), Refused> {
        let standing = self.served.get(domain);
        if standing.is_some_and(|served| served.live.number() >= wanted.activation) {
            return Ok(());
        }
        let at_hand = standing.and_then(|served| {
            let known = [Some(&served.live.generation), served.previous.as_ref()];
            known.into_iter().flatten().find(|generation| generation.digest() == wanted.digest).map(Arc::clone)
        });
        let candidate = match at_hand {
            Some(generation) => Candidate::known(generation, Origin::Fleet),
            None => Candidate::of(self.fetch(fleet, domain, wanted.digest).await?, Origin::Fleet),
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

    /// A component out of the fleet's store, loaded.
    pub(super) async fn fetch(&self, fleet: &Fleet, domain: &Name, digest: Digest) -> Result<Loaded, Refused> {
        let refused = |why: String| {
            let refusal = Refusal { domain: Some(domain.clone()), ..Refusal::of_file(Origin::Fleet, why) };
            Refused::Code(Box::new(refusal))
        };
        let max = self.around.registry.engine.limits().file_bytes_max;
        let component = fleet.component(digest, max).await.map_err(|error| refused(error.to_string()))?;
        let component = component
            .ok_or_else(|| refused(format!("the fleet's store has no component {digest}: push it once more")))?;
        let registry = self.around.registry.clone();
        let loading = tokio::task::spawn_blocking(move || registry.load(component));
        match loading.await {
            Ok(Ok(loaded)) => Ok(loaded),
            Ok(Err(error)) => Err(refused(format!("component {digest}: {error}"))),
            Err(error) => Err(refused(format!("component {digest}: loading it ended in a panic: {error}"))),
        }
    }
}
