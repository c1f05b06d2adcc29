//! The fault suite: one run puts hosts and servers up, lets clients work, breaks things at moments
//! drawn from a seed, and then holds every answer against the log. It must not know what a fault
//! does, nor how a violation is found.

use std::cell::Cell;
use std::path::PathBuf;

use anyhow::{Context, Result};

pub mod answer;
pub mod checker;
pub mod clients;
pub mod counts;
pub mod dice;
pub mod disk;
pub mod durable;
pub mod fold;
pub mod ground;
pub mod kind;
pub mod logged;
pub mod resolve;
pub mod shifted_clock;
pub mod site;

mod clock_jumped;
mod connections_cut;
mod connections_stalled;
mod disk_full;
mod follower_lost;
mod host_killed;
mod host_paused;
mod leader_lost;
mod limit_reached;
mod link_cut;
mod packets_delayed;
mod plugins_swapped;
mod server_isolated;
mod server_killed;

use checker::Violation;
use clients::Clients;
use counts::Counts;
use dice::Dice;
use ground::Ground;
use kind::Kind;
use site::Site;

/// Faults of one run.
const FAULTS: u64 = 3;
/// The load's pauses around faults, in milliseconds: enough for some dozens of commands.
const QUIET_MS: std::ops::RangeInclusive<u64> = 200..=1_200;

/// What one run is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything random comes from it.
    pub seed: u64,
    /// The faults, where the seed is not to choose.
    pub faults: Option<Vec<Kind>>,
    /// Whether a fault that lasts for a minute is made shorter.
    pub brief: bool,
    /// A promise that the host is to break; its binary must be one that can.
    pub sabotage: Option<String>,
    /// Where logs go if something was violated, or a host ended by itself.
    pub logs: Option<PathBuf>,
}

/// What came of one run.
#[derive(Debug)]
pub struct Findings {
    /// How much there was of everything.
    pub counts: Counts,
    /// What must not be.
    pub violations: Vec<Violation>,
    /// What was done, for people.
    pub story: String,
}

impl Plan {
    /// The seed alone decides.
    pub fn of(seed: u64) -> Self {
        Self { seed, faults: None, brief: false, sabotage: None, logs: None }
    }

    /// Chosen faults instead of drawn ones.
    #[must_use]
    pub fn with(mut self, faults: &[Kind]) -> Self {
        self.faults = Some(faults.to_vec());
        self
    }

    /// What would last for a minute is made shorter.
    #[must_use]
    pub fn briefly(self) -> Self {
        Self { brief: true, ..self }
    }

    /// Runs it: set up, break, settle, ask again, judge.
    pub async fn run(&self) -> Result<Findings> {
        let mut dice = Dice::of(self.seed);
        let (ground, faults) = self.drawn(&mut dice);
        let names: Vec<&str> = faults.iter().map(|kind| kind.name()).collect();
        let story = format!("{}: {}", ground.name(), names.join(", "));
        let own_disk = faults.contains(&Kind::DiskFull);
        let site = Site::set_up(ground, own_disk, self.brief, self.sabotage.as_deref()).await;
        let mut site = site.context("it cannot be set up")?;
        let clients = Clients::connect(&site.servers().urls()?, &mut dice).await?;

        let done = Cell::new(false);
        let breaking = async {
            let outcome = strike_all(&mut site, &faults, &mut dice).await;
            done.set(true);
            outcome
        };
        let (struck, ()) = tokio::join!(breaking, clients.work(&done));
        struck.with_context(|| format!("seed {}: {story}", self.seed))?;

        let mut sent = clients.sent();
        let mut violations = site.reported();
        violations.extend(durable::left(site.nats(), own_disk).await);
        let mut log = logged::all(site.nats()).await?;
        violations.extend(checker::refused_but_stored(&sent, &log));
        violations.extend(checker::durable::check(&sent, &log));
        violations.extend(checker::check(&sent, &log));
        // Once it is red, what comes after tells nothing more, and a broken log answers slowly.
        if violations.is_empty() {
            resolve::ask_again(site.nats(), &mut sent, &log).await;
            log = logged::all(site.nats()).await?;
            violations.extend(checker::check(&sent, &log));
            violations.extend(checker::states(&log, &fold::served(site.nats(), &log).await));
            if let Ok(hub) = site.hub() {
                violations.extend(checker::gathered::check(&log, &logged::gathered(&hub.hub.nats, &log).await?));
            }
        }

        let counts = Counts::of(&sent, &log, &faults, violations.len(), site.ended());
        let of_interest = !violations.is_empty() || counts.ended > 0;
        if let Some(directory) = self.logs.as_ref().filter(|_| of_interest) {
            site.keep_logs(directory, self.seed)?;
        }
        Ok(Findings { counts, violations, story })
    }

    fn drawn(&self, dice: &mut Dice) -> (Ground, Vec<Kind>) {
        if let Some(faults) = &self.faults {
            let fits = |ground: &Ground| faults.iter().all(|kind| kind.strikes(*ground));
            return (Ground::ALL.into_iter().find(fits).unwrap_or(Ground::Single), faults.clone());
        }
        // Half of the runs on one server, where more faults are possible.
        let ground = match dice.below(6) {
            0..=2 => Ground::Single,
            3 | 4 => Ground::Cluster,
            _ => Ground::LeafAndHub,
        };
        let possible: Vec<Kind> =
            Kind::ALL.into_iter().filter(|kind| *kind != Kind::LinkCut && kind.strikes(ground)).collect();
        let mut faults: Vec<Kind> = (0..FAULTS).map(|_| *dice.one_of(&possible)).collect();
        if ground == Ground::LeafAndHub {
            // Once in each such run: it lasts long, and is what the ground is for.
            let place = usize::try_from(dice.below(FAULTS)).unwrap_or_default();
            faults[place] = Kind::LinkCut;
        }
        (ground, faults)
    }
}

async fn strike_all(site: &mut Site, faults: &[Kind], dice: &mut Dice) -> Result<()> {
    for fault in faults {
        dice.dwell(QUIET_MS).await;
        // Other code goes live in the midst of some of them.
        if dice.below(3) == 0 {
            site.put_other_plugin()?;
        }
        fault.strike(site, dice).await.with_context(|| format!("the fault `{}` cannot be made", fault.name()))?;
        site.revive_ended()?;
    }
    site.settled().await?;
    dice.dwell(QUIET_MS).await;
    Ok(())
}
