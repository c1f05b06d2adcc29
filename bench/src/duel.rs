//! Sides that take turns, and what each came to, round by round. It must not know who they are, nor
//! what the figures are held against.

use std::time::Duration;

use anyhow::Result;

use crate::load::{Turn, micros};
use crate::options::Plan;
use crate::results::{Cell, Figure, Spread, Table, Unit, quantile};
use crate::tell;

/// One of those that are compared.
pub(crate) struct Side {
    pub(crate) name: String,
    pub(crate) rounds: Vec<Summary>,
}

/// One side in one round.
#[derive(Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) median_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) per_second: f64,
    /// Replies by second from the first request to the last reply, however long one takes.
    pub(crate) overall_per_second: f64,
    /// Refusals of a thousand requests.
    pub(crate) refused: f64,
    /// Processor time per request, by process, where the system tells.
    processor_us: Option<[f64; 3]>,
}

/// Processor time of everyone that a request passes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Used {
    pub(crate) client: Duration,
    pub(crate) server: Duration,
    pub(crate) responder: Duration,
}

impl Used {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            client: self.client.saturating_sub(before.client),
            server: self.server.saturating_sub(before.server),
            responder: self.responder.saturating_sub(before.responder),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            client: self.client + other.client,
            server: self.server + other.server,
            responder: self.responder + other.responder,
        }
    }
}

/// Sides by name.
pub(crate) fn sides<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Side> {
    names.into_iter().map(|name| Side { name: name.to_owned(), rounds: Vec::new() }).collect()
}

/// One round: everyone has several turns, and each begins as often as the others. `take` measures a
/// turn of the side of that number.
pub(crate) async fn round(
    plan: &Plan,
    round: u32,
    sides: &mut [Side],
    mut take: impl AsyncFnMut(usize) -> Result<Turn>,
) -> Result<()> {
    let mut tallies: Vec<Vec<Turn>> = sides.iter().map(|_| Vec::new()).collect();
    for turn in 0..plan.turns {
        let first = (round + turn) as usize;
        for nth in 0..sides.len() {
            let who = (first + nth) % sides.len();
            tallies[who].push(take(who).await?);
        }
    }
    for (side, turns) in sides.iter_mut().zip(tallies) {
        let summary = Summary::of(plan, turns);
        tell(&format!(
            "  round {} of {}, {}: {:.0} µs, {:.0} per s",
            round + 1,
            plan.rounds,
            side.name,
            summary.median_us,
            summary.per_second
        ));
        side.rounds.push(summary);
    }
    Ok(())
}

impl Summary {
    fn of(plan: &Plan, turns: Vec<Turn>) -> Self {
        let measured = plan.measured.as_secs_f64() * turns.len() as f64;
        let answered = turns.iter().map(|turn| turn.answered).sum::<u64>().max(1) as f64;
        let took = turns.iter().map(|turn| turn.took).sum::<Duration>().as_secs_f64();
        let refused = turns.iter().map(|turn| turn.refused).sum::<u64>() as f64;
        let used = turns.iter().try_fold(Used::default(), |sum, turn| Some(sum.plus(turn.used?)));
        let mut latencies_us: Vec<f64> = turns.into_iter().flat_map(|turn| turn.latencies_us).collect();
        latencies_us.sort_by(f64::total_cmp);
        Self {
            median_us: quantile(&latencies_us, 0.5),
            p99_us: quantile(&latencies_us, 0.99),
            per_second: latencies_us.len() as f64 / measured,
            overall_per_second: answered / took,
            refused: refused * 1_000.0 / (answered + refused),
            processor_us: used
                .map(|used| [used.client, used.server, used.responder].map(|time| micros(time) / answered)),
        }
    }
}

impl Side {
    pub(crate) fn median(&self) -> Figure {
        Figure::new(Unit::Microseconds, self.rounds.iter().map(|round| round.median_us))
    }

    pub(crate) fn p99(&self) -> Figure {
        Figure::new(Unit::Microseconds, self.rounds.iter().map(|round| round.p99_us))
    }

    pub(crate) fn per_second(&self) -> Figure {
        Figure::new(Unit::PerSecond, self.rounds.iter().map(|round| round.per_second))
    }

    pub(crate) fn overall_per_second(&self) -> Figure {
        Figure::new(Unit::PerSecond, self.rounds.iter().map(|round| round.overall_per_second))
    }

    pub(crate) fn refused(&self) -> Figure {
        Figure::new(Unit::Count, self.rounds.iter().map(|round| round.refused))
    }

    /// Processor time per request: client, server, responder.
    fn processor(&self) -> String {
        let told: Option<Vec<[f64; 3]>> = self.rounds.iter().map(|round| round.processor_us).collect();
        told.map_or_else(
            || "–".to_owned(),
            |told| {
                let parts = [0, 1, 2].map(|part| Spread::of(told.iter().map(|us| us[part])).median);
                format!("{:.1} + {:.1} + {:.1}", parts[0], parts[1], parts[2])
            },
        )
    }
}

/// A table of sides under several loads.
pub(crate) fn table() -> Table {
    Table::new([
        "in flight",
        "who answers",
        "median µs",
        "p99 µs",
        "per s",
        "median to the first",
        "p99 to the first",
        "throughput to the first",
        "processor µs each: client + server + responder",
    ])
}

/// The rows of sides under one load, each held against the first.
pub(crate) fn rows(table: &mut Table, load: &str, sides: &[Side]) {
    let Some(first) = sides.first() else { return };
    for side in sides {
        table.row([
            Cell::from(load),
            side.name.as_str().into(),
            side.median().into(),
            side.p99().into(),
            side.per_second().into(),
            side.median().to(&first.median()).into(),
            side.p99().to(&first.p99()).into(),
            side.per_second().to(&first.per_second()).into(),
            side.processor().into(),
        ]);
    }
}
