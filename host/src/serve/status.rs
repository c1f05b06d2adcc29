//! What a host tells of its plugins: what is live, what was before, what was refused and why.
//! Kept by the one task that loads, read by whoever asks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::activation::Activation;
use crate::clock::{Clock, Timestamp};
use crate::domain::Digest;
use crate::gate::{Code, Report, Shadow};
use crate::name::Name;

/// Refusals that are remembered; the oldest are forgotten first.
const REFUSALS_MAX: usize = 64;

/// Where code comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// A file of the plugin directory.
    File(PathBuf),
    /// What was kept of code that was live before a restart.
    Kept,
    /// The fleet's store.
    Fleet,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Kept => f.write_str("kept"),
            Self::Fleet => f.write_str("fleet"),
        }
    }
}

/// A host, told apart from others.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// This process, unlike any other.
    pub(super) id: String,
    /// The machine's name.
    pub(super) name: String,
    /// `dir` or `nats`.
    pub(super) source: &'static str,
}

/// What is told of a host's plugins. A clone tells the same.
#[derive(Clone)]
pub(super) struct Status {
    identity: Identity,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    domains: BTreeMap<Name, DomainStatus>,
    refused: Vec<Refusal>,
    denied: BTreeMap<(Name, Digest), String>,
}

/// A domain that is served.
#[derive(Clone)]
pub(super) struct DomainStatus {
    pub(super) live: Arc<Activation>,
    pub(super) since: Timestamp,
    pub(super) origin: Origin,
    pub(super) report: Option<Arc<Report>>,
    pub(super) previous: Option<Code>,
    pub(super) wanted: Option<(Digest, u64)>,
    pub(super) shadow: Option<Shadow>,
}

/// Code that did not go live.
#[derive(Clone)]
pub(super) struct Refusal {
    pub(super) origin: Origin,
    pub(super) domain: Option<Name>,
    pub(super) code: Option<Code>,
    pub(super) why: String,
    pub(super) report: Option<Arc<Report>>,
    /// Whether it may be taken as it is another time: what is wrong lies elsewhere.
    pub(super) again: bool,
    pub(super) at: Timestamp,
}

impl Status {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, told: Arc::default() }
    }

    /// Who this is.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Tells of a domain; what was refused from the same place is settled by that.
    pub(super) fn serves(&self, domain: &Name, status: DomainStatus) {
        let mut told = self.lock();
        told.refused
            .retain(|refusal| refusal.origin != status.origin || refusal.domain.as_ref().is_some_and(|d| d != domain));
        told.domains.insert(domain.clone(), status);
    }

    /// Tells of a shadow, which settles nothing.
    pub(super) fn shadowed(&self, domain: &Name, shadow: Shadow) {
        if let Some(status) = self.lock().domains.get_mut(domain) {
            status.shadow = Some(shadow);
        }
    }

    /// Tells that a domain is served no more.
    pub(super) fn retired(&self, domain: &Name) {
        self.lock().domains.remove(domain);
    }

    /// Tells of a refusal, in the place of an older one of the same place and domain.
    pub(super) fn refused(&self, refusal: Refusal) {
        let mut told = self.lock();
        told.refused.retain(|known| known.origin != refusal.origin || known.domain != refusal.domain);
        if told.refused.len() >= REFUSALS_MAX {
            told.refused.remove(0);
        }
        told.refused.push(refusal);
    }

    /// Whether the same was refused for the same reason, and nothing has happened since.
    pub(super) fn tells_of(&self, refusal: &Refusal) -> bool {
        let same = |known: &Refusal| {
            known.origin == refusal.origin && known.domain == refusal.domain && known.why == refusal.why
        };
        self.lock().refused.iter().any(same)
    }

    /// What was refused from a place that is gone matters no more.
    pub(super) fn forget(&self, origin: &Origin) {
        self.lock().refused.retain(|refusal| refusal.origin != *origin);
    }

    /// Tells that code is not tried again until somebody says so; `None` takes that back.
    pub(super) fn denied(&self, domain: &Name, digest: Digest, why: Option<String>) {
        let key = (domain.clone(), digest);
        let mut told = self.lock();
        match why {
            Some(why) => told.denied.insert(key, why),
            None => told.denied.remove(&key),
        };
    }

    /// Everything, as `plugin list` gets it.
    pub(super) fn document(&self) -> Value {
        let told = self.lock();
        json!({
            "host": self.identity.id,
            "name": self.identity.name,
            "source": self.identity.source,
            "version": env!("CARGO_PKG_VERSION"),
            "domains": told.domains.iter().map(|(name, status)| status.document(name)).collect::<Vec<_>>(),
            "refused": told.refused.iter().map(Refusal::document).collect::<Vec<_>>(),
            "denied": told.denied.iter().map(|((domain, digest), why)| {
                json!({"domain": domain, "digest": digest, "why": why})
            }).collect::<Vec<_>>(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DomainStatus {
    fn document(&self, name: &Name) -> Value {
        let code = Code::of(&*self.live.generation);
        json!({
            "domain": name,
            "live": {
                "version": code.version,
                "digest": code.digest,
                "state_schema": code.state_schema,
                "activation": self.live.number(),
                "since": self.since,
                "origin": self.origin.to_string(),
                "failures": self.live.failures(),
                "probation_ms": u64::try_from(self.live.probation_left().as_millis()).unwrap_or(u64::MAX),
                "report": self.report,
            },
            "previous": self.previous.as_ref().map(|code| json!({"version": code.version, "digest": code.digest})),
            "wanted": self.wanted.map(|(digest, activation)| json!({"digest": digest, "activation": activation})),
            "shadow": self.shadow.as_ref().map(Shadow::seen),
        })
    }
}

impl Refusal {
    /// A file that gives no code at all.
    pub(super) fn of_file(origin: Origin, why: String) -> Self {
        Self { origin, domain: None, code: None, why, report: None, again: false, at: Clock::System.now() }
    }

    /// Code of a domain that cannot be had for now.
    pub(super) fn for_now(origin: Origin, domain: &Name, why: String) -> Self {
        Self { domain: Some(domain.clone()), again: true, ..Self::of_file(origin, why) }
    }

    /// The refusal as it is told.
    pub(super) fn document(&self) -> Value {
        json!({
            "origin": self.origin.to_string(),
            "domain": self.domain,
            "version": self.code.as_ref().map(|code| &code.version),
            "digest": self.code.as_ref().map(|code| code.digest),
            "why": self.why,
            "report": self.report,
            "at": self.at,
        })
    }
}
