//! How the code before comes back: because somebody asks, because the fleet says so, or because
//! what is live fails on probation.

use std::sync::Arc;

use serde_json::json;

use super::admission::{Candidate, Refused, Trial};
use super::loader::{Gone, Loader, Served};
use super::status::Origin;
use crate::activation::Activation;
use crate::clock::Clock;
use crate::domain::Generation;
use crate::fleet::FleetError;
use crate::gate::Report;
use crate::name::Name;
use crate::store::Denied;

impl Loader {
    /// Puts back what failed too often on probation.
    pub(super) async fn put_back_failing(&mut self) {
        let has_failed = |served: &Served| served.live.has_failed_probation();
        let failing = self.served.iter().filter(|(_, served)| has_failed(served)).map(|(name, _)| name.clone());
        for domain in failing.collect::<Vec<Name>>() {
            let Some(served) = self.served.get(&domain) else { continue };
            let (why, number) = (format!("{} failures on probation", served.live.failures()), served.live.number());
            tracing::error!(%domain, plugin = &*served.live.author.plugin, why, "plugin fails on probation: the one before is put back");
            let done = match self.fleet.clone() {
                Some(fleet) => {
                    let by = &self.status.identity().name;
                    let rolled = fleet.roll_back(&domain, Some(number), number, Some(why), by, &Clock::System).await;
                    self.go_by_fleet().await;
                    match rolled {
                        // Overtaken: another host was faster.
                        Ok(_) | Err(FleetError::Overtaken { .. }) => Ok(()),
                        Err(error) => Err(error.to_string()),
                    }
                }
                // The first code of a domain goes on as it is: there is nothing to go back to.
                // What was proven long before this host started is not sent back to something older.
                None if served.previous.is_none() && (served.report.is_none() || served.before.is_none()) => {
                    Err("there is none".into())
                }
                None => self.roll_back(&domain, Some(why)).await.map(drop),
            };
            if let Err(error) = done {
                tracing::error!(%domain, error, "the plugin before is not put back");
            }
        }
    }

    /// Lets the code before decide again, under a higher number; with `deny`, what was live is
    /// not tried again until somebody says so.
    pub(super) async fn roll_back(&mut self, domain: &Name, deny: Option<String>) -> Result<Gone, String> {
        let Some(served) = self.served.get(domain) else { return Err(format!("the domain {domain} is not served")) };
        let Some(previous) = self.before(served).await else {
            return Err("no other plugin was live on this host before, or it was not kept in PLUGIN_CACHE_DIR".into());
        };
        if let Some(why) = &deny {
            self.deny(domain, &served.live, &previous, why).await;
        }
        let newest = served.domain.ground.newest_author().await.map_or(0, |newest| newest.activation);
        let number = served.live.number().max(newest) + 1;
        self.go_back(domain, previous, number, deny).await.ok_or_else(|| format!("the domain {domain} is not served"))
    }

    /// What was live before, out of what was kept where this host has started since.
    async fn before(&self, served: &Served) -> Option<Arc<dyn Generation>> {
        if let Some(previous) = &served.previous {
            return Some(Arc::clone(previous));
        }
        let kept = self.load_kept(served.before?).await?;
        Some(Arc::new(kept.plugin))
    }

    /// Notes that code is not to go live again by itself.
    async fn deny(&self, domain: &Name, left: &Activation, instead: &Arc<dyn Generation>, why: &str) {
        let Some(served) = self.served.get(domain) else { return };
        let snapshots = &served.domain.ground.snapshots;
        let mut record = self.record(domain, snapshots, left.digest()).await;
        record.denied = Some(Denied { why: why.to_owned(), instead: Some(instead.digest()) });
        if let Err(error) = snapshots.note_code(left.digest(), record).await {
            tracing::warn!(%domain, %error, "it is not noted that a plugin was put back: after a restart it is tried again");
        }
        self.status.denied(domain, left.digest(), Some(why.to_owned()));
    }

    /// Lets older code decide at once; then counts what it cannot bring up to date, which parks
    /// itself.
    pub(super) async fn go_back(
        &mut self,
        domain: &Name,
        generation: Arc<dyn Generation>,
        number: u64,
        deny: Option<String>,
    ) -> Option<Gone> {
        let served = self.served.get(domain)?;
        let mut record = self.record(domain, &served.domain.ground.snapshots, generation.digest()).await;
        // What failed is nothing to go back to.
        let before = deny.is_none().then(|| served.live.digest());
        record.before = before;
        let activation = Activation::new(Arc::clone(&generation), number, record.reads.clone())
            .counted_in(self.around.health.metrics_of(domain));
        let activation = Arc::new(activation);
        let served = self.served.get_mut(domain)?;
        let left = Arc::clone(&served.live);
        served.domain.activate(&activation).await;
        served.domain.metrics.roll_backs.add(1);
        served.live = Arc::clone(&activation);
        served.before = before;
        served.previous = deny.is_none().then(|| Arc::clone(&left.generation));
        served.since = Clock::System.now();
        served.shadow = None;
        self.tell_status(domain);
        let counted = Candidate::known(generation, Origin::Kept);
        let ground = &self.served.get(domain)?.domain.ground;
        if let Err(error) = ground.snapshots.note_code(activation.digest(), record.clone()).await {
            tracing::warn!(%domain, %error, "what was live before is not noted: after a restart there is no way back");
        }
        let trial = Trial { ground, live: Some(left), recent: Vec::new() };
        let report: Option<Arc<Report>> = match self.gate(&counted, &record, trial).await {
            Ok(report) => Some(Arc::new(report)),
            Err(Refused::Code(refusal)) => refusal.report.clone(),
            Err(Refused::Serve(_)) => None,
        };
        let parked = report.as_ref().map_or(0, |report| report.failing);
        let plugin = Arc::clone(&activation.author.plugin);
        tracing::warn!(%domain, activation = number, plugin = &*plugin, parked, why = deny, "plugin rolled back");
        if let Some(served) = self.served.get_mut(domain) {
            served.report = report.clone();
        }
        self.tell_status(domain);
        let detail = json!({"activation": number, "plugin": &*plugin, "why": deny, "parked": parked, "report": report});
        self.tell(Some(domain), "rolled_back", &detail).await;
        Some((number, activation.digest(), report))
    }
}
