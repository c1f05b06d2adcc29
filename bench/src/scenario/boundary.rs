//! What a warm command costs at the component boundary, by the size of the state. It must not know
//! NATS.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::Scenario;
use crate::load::micros;
use crate::options::Plan;
use crate::place::{Component, Native, Place, grow};
use crate::results::{Cell, Figure, Goal, Outcome, Spread, Table, Unit};
use crate::sample_agent::{UPDATE, update};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "boundary",
    about: "A warm command, decide and evolve, by the size of the agent's state: inside the component, in a fresh instance with the state as bytes, and natively",
    run,
};

/// Sizes of state in bytes. The least an agent can have is about 500, and stands for the first.
const STATE_BYTES: [usize; 5] = [100, 1_000, 6_000, 64_000, 1_000_000];
/// How often each size has its turn in a round; the median turn counts.
const TURNS: u32 = 20;
/// Commands of one turn, and fewer where each copies the state.
const COMMANDS: u64 = 1_000;
const COMMANDS_ON_BYTES: u64 = 20;

/// One agent of one size, everywhere, and what its rounds said in microseconds.
struct Size<'a> {
    bytes: usize,
    places: [(Box<dyn Place + 'a>, u64); 3],
    rounds: [Vec<f64>; 3],
}

fn run(plan: &Plan) -> Result<Outcome> {
    let component = Component::load(&plan.plugin)?;
    let id = uuid::Uuid::now_v7().to_string();
    let (turns, share) = if plan.smoke { (1, 20) } else { (TURNS, 1) };
    let mut sizes = Vec::new();
    for bytes in STATE_BYTES {
        let (mut kept, mut passed, mut native) = (component.keep(&id)?, component.pass(&id)?, Native::new(&id));
        let grown = [grow(&mut kept, bytes, &id)?, grow(&mut passed, bytes, &id)?, grow(&mut native, bytes, &id)?];
        let [bytes, ..] = grown;
        ensure!(grown.iter().all(|other| *other == bytes), "the states differ in size: {grown:?}");
        let (many, few) = (COMMANDS / share, COMMANDS_ON_BYTES / share);
        let places: [(Box<dyn Place>, u64); 3] =
            [(Box::new(kept), many), (Box::new(passed), few), (Box::new(native), many)];
        sizes.push(Size { bytes, places, rounds: Default::default() });
    }
    let mut turn = 0;
    for _ in 0..plan.rounds {
        round(&mut sizes, turns, &id, &mut turn)?;
    }
    Ok(outcome(&sizes))
}

/// All sizes in turn, so that whatever disturbs disturbs all of them.
fn round(sizes: &mut [Size<'_>], turns: u32, id: &str, turn: &mut u64) -> Result<()> {
    let mut timed: Vec<[Vec<f64>; 3]> = sizes.iter().map(|_| Default::default()).collect();
    for _ in 0..turns {
        for (size, timed) in sizes.iter_mut().zip(&mut timed) {
            for ((place, commands), timed) in size.places.iter_mut().zip(timed) {
                timed.push(mean_us(&mut **place, id, turn, *commands)?);
            }
        }
    }
    for (size, timed) in sizes.iter_mut().zip(timed) {
        for (rounds, timed) in size.rounds.iter_mut().zip(timed) {
            rounds.push(Spread::of(timed).median);
        }
    }
    Ok(())
}

/// Mean time of a command in microseconds.
fn mean_us(agent: &mut dyn Place, id: &str, turn: &mut u64, commands: u64) -> Result<f64> {
    let payloads: Vec<String> = (0..commands).map(|nth| update(id, *turn + 1 + nth)).collect();
    *turn += commands;
    let begun = Instant::now();
    for payload in &payloads {
        agent.command(UPDATE, payload)?;
    }
    Ok(micros(begun.elapsed()) / commands as f64)
}

fn outcome(sizes: &[Size<'_>]) -> Outcome {
    let figure = |size: &Size<'_>, place: usize| Figure::new(Unit::Microseconds, size.rounds[place].iter().copied());
    let mut table = Table::new([
        "state of the agent, B",
        "inside the component, µs",
        "to the smallest",
        "fresh instance, state as bytes, µs",
        "natively, µs",
    ]);
    let mut goals = Vec::new();
    if let (Some(smallest), Some(largest)) = (sizes.first(), sizes.last()) {
        for size in sizes {
            let inside = figure(size, 0);
            let to_smallest = inside.to(&figure(smallest, 0));
            let cells = [inside, to_smallest, figure(size, 1), figure(size, 2)].map(Cell::from);
            table.row([Cell::from(size.bytes.to_string())].into_iter().chain(cells));
        }
        let (from, to) = (smallest.bytes, largest.bytes);
        let promise = format!("a warm command in the component, {from} B to {to} B of state, dearest to smallest");
        let dearest = (0..smallest.rounds[0].len()).map(|round| {
            let all = sizes.iter().map(|size| size.rounds[0][round]);
            all.fold(0.0, f64::max) / smallest.rounds[0][round]
        });
        goals.push(Goal::at_most(1.2, promise, Figure::new(Unit::Ratio, dearest)));
    }
    Outcome { goals, tables: vec![table], notes: Vec::new() }
}
