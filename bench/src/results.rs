//! What a run said, and the files it is kept in. It must not know how anything is measured.

mod figure;
mod goal;
pub(crate) mod markdown;
mod picture;
mod spread;
mod table;

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

pub(crate) use self::figure::{Figure, Unit};
pub(crate) use self::goal::{Bound, Goal};
pub(crate) use self::spread::{Spread, quantile};
pub(crate) use self::table::{Cell, Table};
use crate::machine::Machine;
use crate::options::Plan;
use crate::scenario::Scenario;

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    machine: Machine,
    length: String,
    /// Whether it says anything of the goals: an unoptimised build, or a glance, does not.
    speaks: bool,
    scenarios: Vec<Told>,
}

/// What one scenario said.
#[derive(Debug, Serialize)]
struct Told {
    name: &'static str,
    about: &'static str,
    #[serde(flatten)]
    outcome: Outcome,
}

/// What a scenario comes to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Outcome {
    pub(crate) goals: Vec<Goal>,
    pub(crate) tables: Vec<Table>,
    /// In words, what the figures do not show.
    pub(crate) notes: Vec<String>,
}

impl Results {
    pub(crate) fn new(machine: Machine, plan: &Plan) -> Self {
        let length = match plan.smoke {
            true => "a smoke run".to_owned(),
            false => format!(
                "{} rounds of {} s per figure",
                plan.rounds,
                plan.measured.as_secs_f64() * f64::from(plan.turns)
            ),
        };
        let speaks = !plan.smoke && !machine.unoptimised;
        Self { machine, length, speaks, scenarios: Vec::new() }
    }

    pub(crate) fn add(&mut self, scenario: &Scenario, outcome: Outcome) {
        self.scenarios.push(Told { name: scenario.name, about: scenario.about, outcome });
    }

    /// Leaves everything, single figures included, in a directory.
    pub(crate) fn write(&self, directory: &Path, page: &str) -> Result<()> {
        std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let json = serde_json::to_vec_pretty(self)?;
        let files =
            [("latest.json", json), ("latest.md", page.into()), ("latest.svg", picture::svg(self).into_bytes())];
        for (name, bytes) in files {
            let file = directory.join(name);
            std::fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }

    fn goals(&self) -> impl Iterator<Item = (&'static str, &Goal)> {
        self.scenarios.iter().flat_map(|told| told.outcome.goals.iter().map(|goal| (told.name, goal)))
    }
}
