//! All figures of a run together, and what they come to over the rounds. It must not know how
//! they are shown.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::boundary::BoundaryCell;
use crate::contender::Contender;
use crate::goals::{self, Goal};
use crate::machine::Machine;
use crate::options::Options;
use crate::rounds::{Cell, IN_FLIGHT, ProcessorUs};
use crate::spread::Spread;

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) smoke: bool,
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
    pub(crate) lines: Vec<Line>,
    pub(crate) boundary: Vec<BoundaryLine>,
    /// None where nothing can be said of them.
    pub(crate) goals: Vec<Goal>,
    cells: Vec<Cell>,
    boundary_cells: Vec<BoundaryCell>,
}

/// One contender under one load, over all rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) in_flight: usize,
    pub(crate) contender: Contender,
    pub(crate) median_us: Spread,
    pub(crate) p99_us: Spread,
    pub(crate) per_second: Spread,
    /// Median of the same round's bare one, divided into this.
    pub(crate) median_to_bare: Spread,
    /// Throughput likewise.
    pub(crate) per_second_to_bare: Spread,
    /// The median of the rounds.
    pub(crate) processor_us: Option<ProcessorUs>,
}

/// One size of state, over all rounds.
#[derive(Debug, Serialize)]
pub(crate) struct BoundaryLine {
    pub(crate) state_bytes: usize,
    pub(crate) component_us: Spread,
    pub(crate) native_us: Spread,
    /// Held against the smallest state of the same round.
    pub(crate) to_smallest: Spread,
}

impl Results {
    pub(crate) fn new(
        machine: Machine,
        options: &Options,
        cells: Vec<Cell>,
        boundary_cells: Vec<BoundaryCell>,
    ) -> Self {
        let lines: Vec<Line> = IN_FLIGHT
            .into_iter()
            .flat_map(|in_flight| Contender::ALL.map(|contender| Line::of(&cells, in_flight, contender)))
            .collect();
        let boundary = boundary_lines(&boundary_cells);
        // An unoptimised build, or a glance, says nothing of the goals.
        let speaks = !options.smoke && !machine.unoptimised;
        let goals = if speaks { goals::judge(&lines, &boundary) } else { Vec::new() };
        let (rounds, seconds) = (options.rounds, options.seconds);
        Self { machine, smoke: options.smoke, rounds, seconds, lines, boundary, goals, cells, boundary_cells }
    }

    /// Writes everything, single figures included, as JSON.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let cannot = || format!("cannot write {}", file.display());
        if let Some(directory) = file.parent() {
            std::fs::create_dir_all(directory).with_context(cannot)?;
        }
        std::fs::write(file, serde_json::to_vec_pretty(self)?).with_context(cannot)
    }
}

impl Line {
    fn of(cells: &[Cell], in_flight: usize, contender: Contender) -> Self {
        let own: Vec<&Cell> =
            cells.iter().filter(|cell| cell.in_flight == in_flight && cell.contender == contender).collect();
        let to_bare = |figure: fn(&Cell) -> f64| {
            Spread::of(own.iter().filter_map(|cell| {
                let is_bare = |other: &&Cell| {
                    other.round == cell.round && other.in_flight == in_flight && other.contender == Contender::Bare
                };
                cells.iter().find(is_bare).map(|bare| figure(cell) / figure(bare))
            }))
        };
        let spread = |figure: fn(&Cell) -> f64| Spread::of(own.iter().map(|cell| figure(cell)));
        let told: Option<Vec<ProcessorUs>> = own.iter().map(|cell| cell.processor_us).collect();
        let processor_us = told.map(|told| {
            let median = |figure: fn(&ProcessorUs) -> f64| Spread::of(told.iter().map(figure)).median;
            ProcessorUs {
                client: median(|us| us.client),
                server: median(|us| us.server),
                responder: median(|us| us.responder),
            }
        });
        Self {
            in_flight,
            contender,
            median_us: spread(|cell| cell.median_us),
            p99_us: spread(|cell| cell.p99_us),
            per_second: spread(|cell| cell.per_second),
            median_to_bare: to_bare(|cell| cell.median_us),
            per_second_to_bare: to_bare(|cell| cell.per_second),
            processor_us,
        }
    }
}

fn boundary_lines(cells: &[BoundaryCell]) -> Vec<BoundaryLine> {
    let first = cells.first().map_or(0, |cell| cell.round);
    let sizes: Vec<usize> = cells.iter().take_while(|cell| cell.round == first).map(|cell| cell.state_bytes).collect();
    let of_size = |bytes: usize| cells.iter().filter(move |cell| cell.state_bytes == bytes);
    let smallest = sizes.first().copied().unwrap_or_default();
    sizes
        .iter()
        .map(|bytes| BoundaryLine {
            state_bytes: *bytes,
            component_us: Spread::of(of_size(*bytes).map(|cell| cell.component_us)),
            native_us: Spread::of(of_size(*bytes).map(|cell| cell.native_us)),
            to_smallest: Spread::of(
                of_size(*bytes).zip(of_size(smallest)).map(|(cell, least)| cell.component_us / least.component_us),
            ),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Line, boundary_lines};
    use crate::boundary::BoundaryCell;
    use crate::contender::Contender;
    use crate::rounds::Cell;

    fn cell(round: u32, contender: Contender, median_us: f64) -> Cell {
        Cell { round, in_flight: 1, contender, median_us, p99_us: 0.0, per_second: 1e6 / median_us, processor_us: None }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let cells = [
            cell(0, Contender::Bare, 100.0),
            cell(0, Contender::Service, 110.0),
            cell(1, Contender::Bare, 200.0),
            cell(1, Contender::Service, 260.0),
        ];
        let line = Line::of(&cells, 1, Contender::Service);
        assert_eq!((line.median_to_bare.min, line.median_to_bare.max), (1.1, 1.3));
        assert_eq!(line.median_us.median, 185.0);
        assert!(line.processor_us.is_none());
    }

    #[test]
    fn sizes_are_held_against_the_smallest() {
        let cell = |round, state_bytes, component_us| BoundaryCell { round, state_bytes, component_us, native_us: 1.0 };
        let lines = boundary_lines(&[cell(0, 100, 2.0), cell(0, 900, 3.0), cell(1, 100, 4.0), cell(1, 900, 4.0)]);
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[1].to_smallest.min, lines[1].to_smallest.max), (1.0, 1.5));
    }
}
