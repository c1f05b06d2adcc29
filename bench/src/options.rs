//! What the benchmark can be told, and where it finds what it measures. It must not know what
//! is done with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use tempfile::TempDir;

use crate::contender::Contender;

/// The service beside its twins; prints the goals and how far they are met
#[derive(Debug, Parser)]
#[command(name = "bench", bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    /// Which scenarios; all where none is named
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<String>,
    /// How often everything is measured
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How long each figure is measured in each round
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Events of the stream that first commands meet; replays read a fifth as many
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    stream_events: u64,
    /// Events of an agent that a first command meets
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    history: u64,
    /// Agents where there are many; a tenth of them fit the smaller cache
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    aggregates: u32,
    /// Only see that everything works: one short round at tiny scale, no word on the goals
    #[arg(long)]
    smoke: bool,
    /// Where results go, as JSON, markdown and SVG; target/bench unless it is a smoke run
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// What else this binary is, when it starts itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Answers commands until it is killed
    #[command(hide = true)]
    Respond {
        /// As whom
        twin: Contender,
        /// The server
        #[arg(long)]
        nats_url: String,
    },
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
    /// Agents that the load goes to, evenly.
    pub(crate) agents: usize,
    /// Agents in memory at once, where that is what is measured.
    pub(crate) live: usize,
    /// Events of a large stream.
    pub(crate) stream_events: u64,
    /// Events of an agent with a long history.
    pub(crate) history: u64,
    /// Agents where there are many.
    pub(crate) aggregates: usize,
    /// Only to see that everything works.
    pub(crate) smoke: bool,
    /// The service's binary.
    pub(crate) service: PathBuf,
    /// The agent component.
    pub(crate) plugin: PathBuf,
    /// Compiled components, so that only the first host compiles.
    pub(crate) code_cache: Arc<TempDir>,
}

impl Options {
    pub(crate) fn plan(&self) -> Result<Plan> {
        let located = |variable: &str| {
            std::env::var_os(variable).map(PathBuf::from).with_context(|| {
                format!("{variable} is not set: run `cargo xtask bench`, which builds what is measured")
            })
        };
        let service = located("AGENT_SERVICE_BIN")?;
        let plugin = located("AGENT_PLUGINS")?.join("agent.wasm");
        let code_cache = Arc::new(TempDir::with_prefix("bench-code-").context("cannot make a temporary directory")?);
        let full = Plan {
            rounds: self.rounds,
            turns: 2 * self.seconds,
            measured: Duration::from_millis(500),
            warm_up: Duration::from_millis(100),
            agents: 1_000,
            live: 9_000,
            stream_events: self.stream_events,
            history: self.history,
            aggregates: self.aggregates as usize,
            smoke: self.smoke,
            service,
            plugin,
            code_cache,
        };
        if !self.smoke {
            return Ok(full);
        }
        Ok(Plan {
            rounds: 1,
            turns: 1,
            measured: Duration::from_millis(60),
            warm_up: Duration::from_millis(20),
            agents: 64,
            live: 300,
            stream_events: 2_000,
            history: 150,
            aggregates: 300,
            ..full
        })
    }

    /// Where results go, if anywhere: a smoke run's are worth nothing.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        self.output.clone().or_else(|| (!self.smoke).then(usual))
    }
}
