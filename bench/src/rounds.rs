//! The rounds: everyone under every load, in turn, again and again. It must not know what the
//! figures are held against.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::arena::{Arena, Used};
use crate::contender::Contender;
use crate::load::micros;
use crate::options::Plan;
use crate::spread::quantile;

/// Commands in flight: one alone, a busy client, more than anyone needs.
pub(crate) const IN_FLIGHT: [usize; 3] = [1, 64, 256];

/// One contender under one load in one round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cell {
    pub(crate) round: u32,
    pub(crate) in_flight: usize,
    pub(crate) contender: Contender,
    pub(crate) median_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) per_second: f64,
    /// Processor time per command, where the system tells.
    pub(crate) processor_us: Option<ProcessorUs>,
}

/// Processor time per command, by process.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ProcessorUs {
    pub(crate) client: f64,
    pub(crate) server: f64,
    pub(crate) responder: f64,
}

/// Runs all rounds, each on a fresh server, so that none inherits another's store.
pub(crate) async fn run(plan: &Plan) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for round in 0..plan.rounds {
        let arena = Arena::start(plan).await?;
        for in_flight in IN_FLIGHT {
            let mut tallies = [const { Tally::new() }; Contender::ALL.len()];
            for turn in 0..plan.turns {
                for contender in Contender::in_turn(round + turn) {
                    // In the order of `ALL`, as the variants are.
                    tallies[contender as usize].take(&arena, plan, in_flight, contender).await?;
                }
            }
            for (contender, tally) in Contender::ALL.into_iter().zip(tallies) {
                let cell = tally.cell(plan, round, in_flight, contender);
                tell(plan, &cell);
                cells.push(cell);
            }
        }
        arena.check().await?;
    }
    Ok(cells)
}

/// The turns of one contender under one load.
struct Tally {
    latencies_us: Vec<f64>,
    answered: u64,
    /// Processor time of all turns, where the system tells.
    used: Option<Used>,
}

impl Tally {
    const fn new() -> Self {
        Self { latencies_us: Vec::new(), answered: 0, used: None }
    }

    async fn take(&mut self, arena: &Arena, plan: &Plan, in_flight: usize, contender: Contender) -> Result<()> {
        let before = arena.used(contender);
        let turn = arena.load(contender)?.measure(in_flight, plan).await?;
        let used = arena.used(contender).zip(before).map(|(after, before)| after.since(before));
        self.used = if self.answered == 0 { used } else { self.used.zip(used).map(|(sum, used)| sum.plus(used)) };
        self.answered += turn.answered;
        self.latencies_us.extend(turn.latencies_us);
        Ok(())
    }

    fn cell(mut self, plan: &Plan, round: u32, in_flight: usize, contender: Contender) -> Cell {
        self.latencies_us.sort_by(f64::total_cmp);
        let per_command = |used: Duration| micros(used) / self.answered.max(1) as f64;
        let measured = plan.measured * plan.turns;
        Cell {
            round,
            in_flight,
            contender,
            median_us: quantile(&self.latencies_us, 0.5),
            p99_us: quantile(&self.latencies_us, 0.99),
            per_second: self.latencies_us.len() as f64 / measured.as_secs_f64(),
            processor_us: self.used.map(|used| ProcessorUs {
                client: per_command(used.client),
                server: per_command(used.server),
                responder: per_command(used.responder),
            }),
        }
    }
}

/// One line for those who wait; nobody is hurt where it cannot be written.
fn tell(plan: &Plan, cell: &Cell) {
    let _ = writeln!(
        std::io::stderr(),
        "round {} of {}, {:3} in flight, {:7}: {:.0} µs, {:.0} per s",
        cell.round + 1,
        plan.rounds,
        cell.in_flight,
        cell.contender.name(),
        cell.median_us,
        cell.per_second
    );
}
