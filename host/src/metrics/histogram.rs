//! Observations counted in fixed buckets: two additions each, whatever the value.

use std::sync::atomic::{AtomicU64, Ordering};

/// Most bounds a histogram has.
const BOUNDS_MAX: usize = 17;

/// How often values up to which bound were observed. Bounds rise, and belong to their bucket.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for what is above the last.
    buckets: [AtomicU64; BOUNDS_MAX + 1],
    sum: AtomicU64,
}

impl Histogram {
    /// One that has observed nothing.
    pub(super) fn new(bounds: &'static [u64]) -> Self {
        debug_assert!(bounds.len() <= BOUNDS_MAX && bounds.is_sorted());
        Self { bounds, buckets: std::array::from_fn(|_| AtomicU64::new(0)), sum: AtomicU64::new(0) }
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[place].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }
}

/// What some histograms of the same bounds have observed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The bounds, without the last one, which is infinite.
    pub bounds: &'static [u64],
    /// How many values lay up to each bound, and after that how many there were.
    pub up_to: Vec<u64>,
    /// All values added up.
    pub sum: u64,
}

impl Reading {
    /// Adds histograms up.
    pub fn of<'a>(histograms: impl IntoIterator<Item = &'a Histogram>) -> Self {
        let mut reading = Self { bounds: &[], up_to: Vec::new(), sum: 0 };
        for histogram in histograms {
            reading.bounds = histogram.bounds;
            reading.up_to.resize(histogram.bounds.len() + 1, 0);
            let mut so_far = 0;
            for (up_to, bucket) in reading.up_to.iter_mut().zip(&histogram.buckets) {
                so_far += bucket.load(Ordering::Relaxed);
                *up_to += so_far;
            }
            reading.sum = reading.sum.wrapping_add(histogram.sum.load(Ordering::Relaxed));
        }
        reading
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.up_to.last().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_up_to_its_bound_and_all_above() {
        let (one, other) = (Histogram::new(&[10, 20]), Histogram::new(&[10, 20]));
        for value in [0, 10, 11, 20] {
            one.observe(value);
        }
        other.observe(21);

        let reading = Reading::of([&one, &other]);

        assert_eq!((reading.up_to.as_slice(), reading.sum, reading.count()), ([2, 4, 5].as_slice(), 62, 5));
    }
}
