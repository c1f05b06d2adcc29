//! What the benchmark can be told, and where it finds what it measures. It must not know what
//! is done with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};

/// The service beside a bare request, publish and reply; prints a table and how far the goals are met
#[derive(Debug, Parser)]
#[command(name = "bench", bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    /// How often everything is measured, each time on a fresh server
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// How long each figure is measured in each round
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) seconds: u32,
    /// Only see that everything works: one short round, no word on the goals
    #[arg(long)]
    pub(crate) smoke: bool,
    /// Where the figures go as JSON; target/bench/latest.json unless it is a smoke run
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// What else this binary is, when it starts itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Answers commands until it is killed
    #[command(hide = true)]
    Respond {
        /// What decides
        rules: Rules,
        /// The server
        #[arg(long)]
        nats_url: String,
    },
}

/// What decides on a command in a responder of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rules {
    /// Nothing does.
    Bare,
    /// The agent rules, called natively.
    Native,
}

/// What is run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    /// How many turns everyone has at each load of a round.
    pub(crate) turns: u32,
    /// How long a turn is measured: short, so that a disturbance falls on everyone alike.
    pub(crate) measured: Duration,
    /// How long a turn runs before that, until queues are filled and caches warm.
    pub(crate) warm_up: Duration,
    /// Commands of one turn at the component boundary.
    pub(crate) boundary_commands: u64,
    /// The service's binary.
    pub(crate) service: PathBuf,
    /// The agent component.
    pub(crate) plugin: PathBuf,
}

impl Options {
    pub(crate) fn plan(&self) -> Result<Plan> {
        let located = |variable: &str| {
            std::env::var_os(variable).map(PathBuf::from).with_context(|| {
                format!("{variable} is not set: run `cargo xtask bench`, which builds what is measured")
            })
        };
        let (rounds, turns, measured_ms, boundary_commands) =
            if self.smoke { (1, 1, 150, 50) } else { (self.rounds, 2 * self.seconds, 500, 1_000) };
        let service = located("AGENT_SERVICE_BIN")?;
        let plugin = located("AGENT_PLUGINS")?.join("agent.wasm");
        let (measured, warm_up) = (Duration::from_millis(measured_ms), Duration::from_millis(100));
        Ok(Plan { rounds, turns, measured, warm_up, boundary_commands, service, plugin })
    }

    /// Where the figures go, if anywhere: a smoke run's are worth nothing.
    pub(crate) fn json_file(&self) -> Option<PathBuf> {
        let latest = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/latest.json");
        self.json.clone().or_else(|| (!self.smoke).then(latest))
    }
}
