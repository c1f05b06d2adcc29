//! The fault suite on the command line: `cargo xtask faults` builds what it needs and runs it. It
//! must not know what a run does.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use tests::faults::counts::Counts;
use tests::faults::disk::Disk;
use tests::faults::kind::Kind;
use tests::faults::{Findings, Plan};

/// Violations of one run that are shown; the first are what tells.
const SHOWN: usize = 5;

struct Arguments {
    first: u64,
    seeds: u64,
    side_by_side: usize,
    faults: Option<Vec<Kind>>,
    brief: bool,
    sabotage: Option<String>,
    logs: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    if !Disk::may_be_mounted() {
        writeln!(
            std::io::stdout(),
            "left out: `{}`, since no file system may be mounted here; as root or under `unshare -rm` it may",
            Kind::DiskFull.name()
        )?;
    }
    let last = arguments.first + arguments.seeds;
    let runs = futures::stream::iter(arguments.first..last).map(|seed| {
        let (faults, brief) = (arguments.faults.clone(), arguments.brief);
        let (sabotage, logs) = (arguments.sabotage.clone(), arguments.logs.clone());
        async move {
            let begun = Instant::now();
            let outcome = Plan { seed, faults, brief, sabotage, logs }.run().await;
            (seed, outcome, begun.elapsed())
        }
    });
    let mut runs = std::pin::pin!(runs.buffer_unordered(arguments.side_by_side));
    let (mut counts, mut broken) = (Counts::default(), 0);
    while let Some((seed, outcome, took)) = runs.next().await {
        let mut out = std::io::stdout().lock();
        match outcome {
            Ok(Findings { counts: own, violations, story }) => {
                counts.add(&own);
                writeln!(
                    out,
                    "seed {seed}: {story}; {} commands, {} ok, {} unknown, {} resolved, {} violations ({:.1} s)",
                    own.commands,
                    own.answered("ok"),
                    own.unknown,
                    own.resolved,
                    own.violations,
                    took.as_secs_f64()
                )?;
                if own.ended > 0 {
                    writeln!(out, "  {} hosts ended by themselves and were started anew", own.ended)?;
                }
                for violation in violations.iter().take(SHOWN) {
                    writeln!(out, "  {violation}")?;
                }
            }
            Err(error) => {
                broken += 1;
                writeln!(out, "seed {seed}: not finished: {error:#}")?;
            }
        }
    }
    writeln!(std::io::stdout(), "\n{counts}{:34}{broken:>10}", "runs that were not finished")?;
    Ok(if counts.violations == 0 && broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Arguments {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut read =
            Self { first: 1, seeds: 20, side_by_side: 2, faults: None, brief: false, sabotage: None, logs: None };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("`{name}` needs a value"));
            match name.as_str() {
                "--seed" => (read.first, read.seeds) = (value()?.parse().context("--seed is a number")?, 1),
                "--first" => read.first = value()?.parse().context("--first is a number")?,
                "--seeds" => read.seeds = value()?.parse().context("--seeds is a number")?,
                "--side-by-side" => read.side_by_side = value()?.parse().context("--side-by-side is a number")?,
                "--faults" => read.faults = Some(value()?.split(',').map(kind).collect::<Result<_>>()?),
                "--brief" => read.brief = true,
                "--sabotage" => read.sabotage = Some(value()?),
                "--logs" => read.logs = Some(value()?.into()),
                _ => bail!(
                    "unknown argument `{name}`; there are --seeds N, --first S, --seed S, --side-by-side N, \
                     --faults NAME,NAME,…, --brief, --sabotage expected-sequence|reply-before-ack, --logs DIR"
                ),
            }
        }
        ensure!(read.side_by_side > 0 && read.seeds > 0, "nothing would be run");
        Ok(read)
    }
}

fn kind(name: &str) -> Result<Kind> {
    let known = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    known.with_context(|| {
        let names: Vec<&str> = Kind::ALL.into_iter().map(Kind::name).collect();
        format!("there is no fault `{name}`, only {}", names.join(", "))
    })
}
