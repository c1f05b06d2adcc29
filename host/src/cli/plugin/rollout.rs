//! Brings hosts to serve other code: through what is wanted in NATS for those that take their
//! plugins from there, one by one for those with a directory. Knows nothing of how it is asked for.

mod outcome;
mod recorded;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

pub(super) use self::outcome::Rollout;
use self::outcome::{Outcome, What, judge};
use super::control::{self, Until};
use super::hosts::{self, Host, Target};
use crate::cli::CliError;
use crate::cli::client::Client;
use crate::clock::Clock;
use crate::domain::Digest;
use crate::fleet::{Fleet, FleetError, Wanted};
use crate::name::{FLEET_WANTED_BUCKET, Name, control as subject};

/// From one look at the hosts to the next: a gate takes longer than this.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The hosts that are there, and the fleet's buckets.
pub(super) struct Ground {
    /// The hosts that answer.
    pub(super) hosts: Vec<Host>,
    fleet: Option<Fleet>,
}

impl Ground {
    /// Looks around.
    pub(super) async fn survey(client: &Client) -> Result<Self, CliError> {
        let (hosts, fleet) = (hosts::ask(client).await?, Fleet::find(&client.jetstream).await?);
        Ok(Self { hosts, fleet })
    }

    /// Refuses where there is nobody to do anything.
    pub(super) fn check(&self) -> Result<(), CliError> {
        if self.hosts.is_empty() && self.fleet.is_none() { Err(nobody()) } else { Ok(()) }
    }

    /// Every component that hosts name or that is stored.
    pub(super) async fn digests(&self) -> Result<BTreeSet<Digest>, CliError> {
        let mut digests: BTreeSet<Digest> = self.hosts.iter().flat_map(Host::digests).collect();
        if let Some(fleet) = &self.fleet {
            digests.extend(fleet.kept().await?);
        }
        Ok(digests)
    }

    /// Hosts with a plugin directory.
    pub(super) fn with_directory(&self) -> Vec<&Host> {
        self.hosts.iter().filter(|host| !host.takes_from_nats()).collect()
    }

    fn with_fleet(&self) -> Vec<&Host> {
        self.hosts.iter().filter(|host| host.takes_from_nats()).collect()
    }

    /// The fleet, where its entries decide anything: hosts follow them, or will once they start.
    fn deciding_fleet(&self) -> Result<Option<&Fleet>, CliError> {
        match &self.fleet {
            Some(fleet) if self.hosts.is_empty() || self.hosts.iter().any(Host::takes_from_nats) => Ok(Some(fleet)),
            None if self.hosts.iter().any(Host::takes_from_nats) => {
                Err(FleetError::Gone { bucket: FLEET_WANTED_BUCKET }.into())
            }
            _ => Ok(None),
        }
    }

    fn activation_max(&self, domain: &Name) -> u64 {
        let live = self.hosts.iter().filter_map(|host| host.served(domain)?.live.as_ref());
        live.map(|live| live.activation).max().unwrap_or_default()
    }
}

/// What is to go live.
pub(super) struct Activation<'a> {
    pub(super) domain: &'a Name,
    pub(super) digest: Digest,
    pub(super) accept_drift: bool,
}

/// Activates a component on all hosts, and waits for what comes of it.
pub(super) async fn activate(
    client: &Client,
    ground: &Ground,
    asked: &Activation<'_>,
    wait: Duration,
) -> Result<Rollout, CliError> {
    let request = json!({
        "domain": asked.domain.as_str(), "digest": asked.digest.to_string(), "accept_drift": asked.accept_drift,
    });
    let wanted = match ground.deciding_fleet()? {
        Some(fleet) => Some(want(client, fleet, ground, asked).await?),
        None => None,
    };
    follow_all(client, ground, asked.domain, wanted, (subject::ACTIVATE, request), wait).await
}

/// The same for hosts that take their plugins from NATS, and for these alone.
pub(super) async fn activate_in_fleet(
    client: &Client,
    fleet: &Fleet,
    ground: &Ground,
    asked: &Activation<'_>,
    wait: Duration,
) -> Result<Rollout, CliError> {
    let wanted = want(client, fleet, ground, asked).await?;
    let outcomes = follow(client, &ground.with_fleet(), asked.domain, target(&wanted), wait).await?;
    Ok(Rollout { domain: asked.domain.clone(), wanted: Some(wanted), outcomes, wait })
}

/// Has all hosts serve what they served before.
pub(super) async fn roll_back(
    client: &Client,
    ground: &Ground,
    domain: &Name,
    wait: Duration,
) -> Result<Rollout, CliError> {
    let wanted = match ground.deciding_fleet()? {
        Some(fleet) => {
            let at_least = activation_max(client, ground, domain).await?;
            Some(fleet.roll_back(domain, None, at_least, None, &operator(), &Clock::System).await?)
        }
        None => None,
    };
    let request = json!({ "domain": domain.as_str() });
    follow_all(client, ground, domain, wanted, (subject::ROLLBACK, request), wait).await
}

async fn want(client: &Client, fleet: &Fleet, ground: &Ground, asked: &Activation<'_>) -> Result<Wanted, CliError> {
    let at_least = activation_max(client, ground, asked.domain).await?;
    let Activation { domain, digest, accept_drift } = asked;
    Ok(fleet.activate(domain, *digest, *accept_drift, at_least, &operator(), &Clock::System).await?)
}

/// The highest number that was ever given: the log may know more than the hosts that are there, if
/// any are.
async fn activation_max(client: &Client, ground: &Ground, domain: &Name) -> Result<u64, CliError> {
    Ok(ground.activation_max(domain).max(recorded::activation(client, domain).await?))
}

async fn follow_all(
    client: &Client,
    ground: &Ground,
    domain: &Name,
    wanted: Option<Wanted>,
    (subject, request): (&str, Value),
    wait: Duration,
) -> Result<Rollout, CliError> {
    let in_fleet = async {
        match &wanted {
            Some(wanted) => follow(client, &ground.with_fleet(), domain, target(wanted), wait).await,
            None => Ok(Vec::new()),
        }
    };
    let with_directory = ground.with_directory();
    let one_by_one = ask_each(client, &with_directory, subject, &request, wait);
    let (mut outcomes, others) = futures::future::try_join(in_fleet, one_by_one).await?;
    outcomes.extend(others);
    Ok(Rollout { domain: domain.clone(), wanted, outcomes, wait })
}

fn target(wanted: &Wanted) -> Target {
    Target { digest: wanted.digest, activation: wanted.activation }
}

/// Looks at hosts until each has gone live with the target or has refused it, or the time is up.
async fn follow(
    client: &Client,
    hosts: &[&Host],
    domain: &Name,
    target: Target,
    wait: Duration,
) -> Result<Vec<Outcome>, CliError> {
    let end = Instant::now() + wait;
    let mut outcomes: Vec<Outcome> = hosts.iter().map(|host| Outcome::waiting(host)).collect();
    loop {
        let waiting: BTreeSet<String> =
            outcomes.iter().filter(|one| one.what == What::Waiting).map(|one| one.host.clone()).collect();
        if waiting.is_empty() {
            return Ok(outcomes);
        }
        for now in hosts::ask_again(client, &waiting).await? {
            let before = hosts.iter().find(|before| before.host == now.host);
            let outcome = outcomes.iter_mut().find(|one| one.host == now.host);
            if let (Some(before), Some(outcome)) = (before, outcome) {
                outcome.what = judge(before, &now, domain, target);
            }
        }
        if Instant::now() + LOOK_EVERY > end {
            return Ok(outcomes);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Asks hosts and takes the answer of each for what came of it.
async fn ask_each(
    client: &Client,
    hosts: &[&Host],
    subject: &str,
    request: &Value,
    wait: Duration,
) -> Result<Vec<Outcome>, CliError> {
    let ids: BTreeSet<String> = hosts.iter().map(|host| host.host.clone()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let answers = control::ask(client, subject, request, wait, Until::All(&ids)).await?;
    let outcome = |host: &&Host| {
        let answer = answers.iter().find(|answer| answer["host"] == host.host.as_str());
        answer.map_or_else(|| Outcome::waiting(host), |answer| Outcome::answered(host, answer))
    };
    Ok(hosts.iter().map(outcome).collect())
}

/// No host, and nothing that one would find when it starts.
pub(super) fn nobody() -> CliError {
    CliError::Unavailable(
        "no host answers: is agent-service running, and may this user ask on agent-service.control.>?".into(),
    )
}

/// Who does this, as far as is known; it is told and never relied on.
fn operator() -> String {
    std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "command line".to_owned())
}
