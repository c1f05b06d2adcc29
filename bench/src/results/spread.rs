//! The middle of several figures and how far they lie apart. It must not know what they are of.

use serde::Serialize;

/// What several rounds said.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of any number of figures; all zero where there are none.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (sorted.first().copied(), sorted.last().copied()) else {
            return Self { median: 0.0, min: 0.0, max: 0.0 };
        };
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
        Self { median, min, max }
    }
}

/// The figure below which `share` of the sorted figures lie; 0 where there are none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    // Between 0 and the count, so that nothing is lost in the conversion.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Spread, quantile};

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of([]), Spread { median: 0.0, min: 0.0, max: 0.0 });
    }

    #[test]
    fn quantiles_stay_inside() {
        let figures: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(quantile(&figures, 0.5), 50.0);
        assert_eq!(quantile(&figures, 0.99), 99.0);
        assert_eq!(quantile(&figures, 1.0), 99.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
