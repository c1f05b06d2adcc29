//! The one task that loads and unloads: whatever says that other code is wanted, the directory,
//! the fleet or somebody who asks, is done here, one thing after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::admission::{Candidate, Refused};
use super::directory::{Found, Known};
use super::domain::Domain;
use super::status::{DomainStatus, Origin, Refusal, Status};
use super::{ServeError, Surroundings};
use crate::activation::Activation;
use crate::bus::control::Order;
use crate::bus::discovery::{self, ServedDomain};
use crate::clock::{Clock, Timestamp};
use crate::domain::{Digest, Generation};
use crate::fleet::{Fleet, FleetError, FleetWatch, Wanted};
use crate::gate::{Code, Report, Shadow};
use crate::name::Name;
use crate::watch::{DirectoryWatch, Listing};

/// A domain that is served, and what else is known of its code.
pub(super) struct Served {
    pub(super) domain: Domain,
    pub(super) live: Arc<Activation>,
    pub(super) origin: Origin,
    pub(super) since: Timestamp,
    pub(super) report: Option<Arc<Report>>,
    /// What was live before, to go back to.
    pub(super) previous: Option<Arc<dyn Generation>>,
    /// Its digest, which is noted beside the code: also what was live before a restart.
    pub(super) before: Option<Digest>,
    /// What decides beside it.
    pub(super) shadow: Option<Shadow>,
}

/// The task's state.
pub(super) struct Loader {
    pub(super) around: Arc<Surroundings>,
    pub(super) status: Status,
    pub(super) served: BTreeMap<Name, Served>,
    pub(super) files: BTreeMap<PathBuf, Known>,
    /// Where the fleet keeps what is to run, if this host goes by it.
    pub(super) fleet: Option<Fleet>,
    /// What the fleet wants.
    pub(super) wanted: BTreeMap<Name, Wanted>,
    /// Domains whose wanted code could not be had, for no fault of its own.
    pub(super) put_off: BTreeSet<Name>,
    /// Why what the fleet wants could not be read the last time.
    pub(super) unreadable: Option<String>,
    /// When to go by the fleet without being told to.
    pub(super) again_at: Option<Instant>,
    /// Told when the plugin on probation of some domain failed too often.
    pub(super) probation_failed: Arc<Notify>,
    /// Told when newer code than the live one was met in the log.
    pub(super) behind: Option<Arc<Notify>>,
    pub(super) lost: Arc<Notify>,
    showcase: watch::Sender<Arc<[ServedDomain]>>,
    announced: Option<JoinHandle<()>>,
}

/// A request to the loader, and where its answer goes.
pub(super) struct Ask {
    pub(super) order: Order,
    pub(super) answer: oneshot::Sender<Value>,
}

impl Loader {
    pub(super) fn new(around: Arc<Surroundings>, status: Status, lost: Arc<Notify>, fleet: Option<Fleet>) -> Self {
        Self {
            behind: fleet.as_ref().map(|_| Arc::new(Notify::new())),
            fleet,
            wanted: BTreeMap::new(),
            put_off: BTreeSet::new(),
            unreadable: None,
            again_at: None,
            around,
            status,
            served: BTreeMap::new(),
            files: BTreeMap::new(),
            probation_failed: Arc::new(Notify::new()),
            lost,
            showcase: watch::Sender::new(Arc::new([])),
            announced: None,
        }
    }

    /// Serves what the directory holds at first.
    ///
    /// # Errors
    /// Where a domain's stream or bucket cannot be served from.
    pub(super) async fn begin(&mut self, found: Vec<Found>) -> Result<(), ServeError> {
        for Found { file, loaded } in found {
            if let Some(candidate) = self.noted(&file, loaded).await {
                match self.offer_file(candidate, &file.path).await {
                    Ok(()) => {}
                    Err(Refused::Serve(error)) => return Err(error),
                    Err(Refused::Code(refusal)) => self.refuse(*refusal).await,
                }
            }
        }
        if self.fleet.is_some() {
            self.go_by_fleet().await;
        }
        if self.served.is_empty() {
            tracing::warn!("not ready: there is no plugin to serve");
        }
        self.show().await?;
        self.around.health.begun();
        Ok(())
    }

    /// Loads and unloads until told to stop; then closes everything.
    pub(super) async fn run(
        mut self,
        mut source: Source,
        mut asks: mpsc::Receiver<Ask>,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let cause = tokio::select! {
                cause = source.changed() => cause,
                () = met_newer(self.behind.as_deref()) => Cause::Fleet,
                () = due(self.again_at) => Cause::Fleet,
                Some(ask) = asks.recv() => Cause::Asked(ask),
                () = self.probation_failed.notified() => Cause::ProbationFailed,
                () = stopped(&mut stop) => break,
            };
            match cause {
                Cause::Directory(listing) => self.directory_changed(&listing).await,
                Cause::Fleet => self.go_by_fleet().await,
                Cause::Unreachable(error) => self.cannot_read_fleet(&error),
                Cause::Asked(Ask { order, answer }) => {
                    let done = self.obey(order).await;
                    // Whoever asked may have gone.
                    let _ = answer.send(done);
                }
                Cause::ProbationFailed => self.put_back_failing().await,
            }
            if let Err(error) = self.show().await {
                tracing::error!(%error, "the service API cannot show what is served");
            }
        }
        self.close().await;
    }

    pub(super) async fn close(self) {
        if let Some(announced) = self.announced {
            announced.abort();
        }
        futures::future::join_all(self.served.into_values().map(|served| served.domain.close())).await;
    }

    pub(super) async fn retire(&mut self, domain: &Name, origin: &Origin) {
        let Some(served) = self.served.remove(domain) else { return };
        self.tell_served();
        served.domain.close().await;
        self.status.retired(domain);
        tracing::info!(%domain, %origin, "domain is retired: its plugin is gone");
        self.tell(Some(domain), "retired", &json!({ "origin": origin.to_string() })).await;
    }

    /// Does what somebody asks, and tells what came of it.
    async fn obey(&mut self, order: Order) -> Value {
        let done = match order {
            Order::Activate { domain, digest, accept_drift } => self.activate(&domain, digest, accept_drift).await,
            Order::RollBack { .. } if self.fleet.is_some() => {
                Err("this host goes by the fleet: roll back there".into())
            }
            Order::RollBack { domain } => self.roll_back(&domain, None).await,
            Order::Shadow { digest, share, time } => return self.shadow(digest, share, time).await,
        };
        let host = &self.status.identity().id;
        match done {
            Ok((activation, digest, report)) => {
                json!({"host": host, "status": "ok", "activation": activation, "digest": digest, "report": report})
            }
            Err(message) => json!({"host": host, "status": "error", "message": message}),
        }
    }

    /// Tries the code of this digest once more, whatever was said of it before.
    async fn activate(&mut self, domain: &Name, digest: Digest, accept_drift: bool) -> Result<Gone, String> {
        if self.fleet.is_some() {
            return Err("this host goes by the fleet: activate the plugin there".into());
        }
        let path = self.files.iter().find(|(_, known)| known.digest == Some(digest)).map(|(path, _)| path.clone());
        let (loaded, origin) = match path {
            Some(path) => (self.load_file(&path).await.map_err(|error| error.to_string())?, Origin::File(path)),
            None => {
                let why = || format!("no file in the plugin directory has the digest {digest}, and none was kept");
                (self.load_kept(digest).await.ok_or_else(why)?, Origin::Kept)
            }
        };
        let candidate = Candidate { accept_drift, told: true, ..Candidate::of(loaded, origin) };
        if candidate.domain() != domain {
            return Err(format!("the plugin of that digest brings the domain {}", candidate.domain()));
        }
        if self.served.get(domain).is_some_and(|served| served.live.digest() == digest) {
            return Err("it is live already".into());
        }
        match self.admit(candidate).await {
            Ok(activation) => Ok((activation.number(), digest, self.served.get(domain).and_then(|s| s.report.clone()))),
            Err(Refused::Serve(error)) => Err(error.to_string()),
            Err(Refused::Code(refusal)) => {
                let why = refusal.why.clone();
                self.refuse(*refusal).await;
                Err(why)
            }
        }
    }

    /// A candidate did not go live: one log line, a count, an event, and a place in the list.
    pub(super) async fn refuse(&mut self, refusal: Refusal) {
        let domain = refusal.domain.clone();
        if let Some(domain) = domain.as_ref().filter(|_| refusal.again) {
            self.put_off.insert(domain.clone());
            // It is tried again and again, and told once.
            if self.status.tells_of(&refusal) {
                return;
            }
        }
        tracing::error!(origin = %refusal.origin, domain = domain.as_ref().map(tracing::field::display), error = refusal.why, "plugin refused");
        if let Some(domain) = &domain {
            self.around.health.metrics_of(domain).plugins_refused.add(1);
        }
        self.tell(domain.as_ref(), "refused", &refusal.document()).await;
        self.status.refused(refusal);
    }

    /// Publishes what happened, for whoever watches.
    pub(super) async fn tell(&self, domain: Option<&Name>, what: &str, document: &Value) {
        let identity = self.status.identity();
        let text =
            json!({"host": identity.id, "name": identity.name, "domain": domain, "what": what, "detail": document});
        let subject = crate::name::control::event(domain, what);
        if let Err(error) = self.around.client.publish(subject, text.to_string().into()).await {
            tracing::warn!(%error, "what happened to a plugin could not be published");
        }
    }

    /// Brings the list up to date with a domain that is served.
    pub(super) fn tell_status(&self, domain: &Name) {
        let Some(served) = self.served.get(domain) else { return };
        let status = DomainStatus {
            live: Arc::clone(&served.live),
            since: served.since,
            origin: served.origin.clone(),
            report: served.report.clone(),
            previous: served.previous.as_ref().map(|previous| Code::of(&**previous)),
            wanted: self.wanted.get(domain).map(|wanted| (wanted.digest, wanted.activation)),
            shadow: served.shadow.clone(),
        };
        self.status.serves(domain, status);
        self.tell_served();
    }

    /// Tells every lane which domains are served, and the service API what to show.
    pub(super) fn tell_served(&self) {
        self.around.health.serves(self.served.values().map(|served| Arc::clone(&served.domain.watched)));
        self.around.served.send_replace(self.served.keys().cloned().collect());
        self.showcase.send_replace(self.served.values().map(|served| served.domain.shown(&served.live)).collect());
    }

    /// Registers with the service API while anything is served: then the host is ready.
    async fn show(&mut self) -> Result<(), ServeError> {
        match (&self.announced, self.served.is_empty()) {
            (None, false) => {
                let identity = self.status.identity();
                let service = discovery::Service {
                    id: identity.id.clone(),
                    started: Clock::System.now(),
                    domains: self.showcase.subscribe(),
                };
                self.announced = Some(service.announce(self.around.client.clone()).await?);
                tracing::info!(domains = ?self.served.keys().collect::<Vec<_>>(), "ready");
            }
            (Some(announced), true) => {
                announced.abort();
                self.announced = None;
                tracing::warn!("not ready: there is no plugin to serve");
            }
            (None, true) | (Some(_), false) => {}
        }
        Ok(())
    }
}

/// Why something is to be loaded or unloaded.
enum Cause {
    /// The directory holds something else.
    Directory(Listing),
    /// The fleet may want something else.
    Fleet,
    /// What the fleet wants cannot be known.
    Unreachable(FleetError),
    /// Somebody asks.
    Asked(Ask),
    /// Code on probation failed too often.
    ProbationFailed,
}

/// Completes when the host stops, or whoever could say so is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What came of an order: the activation number, the digest that is live, what the gate found.
pub(super) type Gone = (u64, Digest, Option<Arc<Report>>);

/// What says that other code is wanted.
pub(super) enum Source {
    /// The plugin directory.
    Directory(Box<DirectoryWatch>),
    /// The fleet.
    Fleet(Box<FleetWatch>),
}

impl Source {
    async fn changed(&mut self) -> Cause {
        match self {
            Self::Directory(directory) => Cause::Directory(directory.settled().await),
            Self::Fleet(fleet) => fleet.changed().await.map_or_else(Cause::Unreachable, |()| Cause::Fleet),
        }
    }
}

/// Completes at that time; never where none is set.
async fn due(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Completes when newer code was met in the log; never where hosts do not share their plugins.
async fn met_newer(behind: Option<&Notify>) {
    match behind {
        Some(behind) => behind.notified().await,
        None => std::future::pending().await,
    }
}
