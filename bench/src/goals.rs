//! What the service promises of its speed, and whether a run bears it out. It must not know how
//! the figures came about.

use serde::Serialize;

use crate::contender::Contender;
use crate::results::{BoundaryLine, Line};
use crate::spread::Spread;

/// Longest median of the service with one command in flight, in medians of the bare one.
const MEDIAN_TO_BARE_MAX: f64 = 1.2;
/// Least throughput of the service with 64 in flight, in throughputs of the bare one.
const THROUGHPUT_TO_BARE_MIN: f64 = 0.8;
/// How much dearer a command may be with the largest state than with the smallest.
const LARGEST_TO_SMALLEST_MAX: f64 = 1.2;

/// One promise, judged by the median of the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Goal {
    pub(crate) promise: String,
    pub(crate) measured: Spread,
    pub(crate) met: bool,
}

/// Judges all of them.
pub(crate) fn judge(lines: &[Line], boundary: &[BoundaryLine]) -> Vec<Goal> {
    let service = |in_flight: usize| {
        lines.iter().find(move |line| line.in_flight == in_flight && line.contender == Contender::Service)
    };
    let at_most = |promise: String, measured: Spread, max: f64| Goal {
        promise: format!("{promise}: at most {max}"),
        measured,
        met: measured.median <= max,
    };
    let at_least = |promise: String, measured: Spread, min: f64| Goal {
        promise: format!("{promise}: at least {min}"),
        measured,
        met: measured.median >= min,
    };
    let alone = service(1).map(|line| {
        let promise = "1 in flight, median of the service to that of bare".to_owned();
        at_most(promise, line.median_to_bare, MEDIAN_TO_BARE_MAX)
    });
    let busy = service(64).map(|line| {
        let promise = "64 in flight, throughput of the service to that of bare".to_owned();
        at_least(promise, line.per_second_to_bare, THROUGHPUT_TO_BARE_MIN)
    });
    let flat = boundary.first().zip(boundary.last()).map(|(smallest, largest)| {
        let (small, large) = (smallest.state_bytes, largest.state_bytes);
        let promise = format!("a warm command in the component with {large} B of state to one with {small} B");
        at_most(promise, largest.to_smallest, LARGEST_TO_SMALLEST_MAX)
    });
    [alone, busy, flat].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::results::BoundaryLine;
    use crate::spread::Spread;

    #[test]
    fn the_median_of_the_rounds_decides() {
        let line = |state_bytes, ratios: [f64; 3]| {
            let none = Spread::of([]);
            BoundaryLine { state_bytes, component_us: none, native_us: none, to_smallest: Spread::of(ratios) }
        };
        let smallest = || line(100, [1.0, 1.0, 1.0]);
        assert!(judge(&[], &[smallest(), line(64_000, [1.1, 1.2, 9.0])])[0].met);
        assert!(!judge(&[], &[smallest(), line(64_000, [1.1, 1.3, 1.3])])[0].met);
    }
}
