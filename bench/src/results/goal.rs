//! What the service promises of its speed, and whether a run bears it out. It must not know how
//! the figures came about.

use serde::Serialize;

use super::figure::Figure;

/// One promise, judged by the median of the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Goal {
    pub(crate) promise: String,
    pub(crate) bound: Bound,
    pub(crate) measured: Figure,
}

/// What is promised.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    pub(crate) fn at_least(min: f64, promise: impl Into<String>, measured: Figure) -> Self {
        Self { promise: promise.into(), bound: Bound::AtLeast(min), measured }
    }

    pub(crate) fn at_most(max: f64, promise: impl Into<String>, measured: Figure) -> Self {
        Self { promise: promise.into(), bound: Bound::AtMost(max), measured }
    }

    /// Whether it is kept.
    pub(crate) fn is_met(&self) -> bool {
        let median = self.measured.spread.median;
        match self.bound {
            // Nothing measured is nothing shown.
            _ if self.measured.rounds.is_empty() => false,
            Bound::AtLeast(min) => median >= min,
            Bound::AtMost(max) => median <= max,
        }
    }
}

impl Bound {
    /// Its figure.
    pub(crate) fn figure(self) -> f64 {
        match self {
            Self::AtLeast(figure) | Self::AtMost(figure) => figure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Goal;
    use crate::results::{Figure, Unit};

    #[test]
    fn the_median_of_the_rounds_decides() {
        let ratio = |rounds: &[f64]| Figure::new(Unit::Ratio, rounds.iter().copied());
        assert!(Goal::at_most(1.2, "", ratio(&[1.1, 1.2, 9.0])).is_met());
        assert!(!Goal::at_most(1.2, "", ratio(&[1.1, 1.3, 1.3])).is_met());
        assert!(Goal::at_least(1.5, "", ratio(&[0.1, 1.5, 1.6])).is_met());
        assert!(!Goal::at_most(1.2, "", ratio(&[])).is_met());
    }
}
