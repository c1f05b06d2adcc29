//! Whom the next command goes to. It must not know what is asked.

use std::cell::RefCell;

use fastrand::Rng;

/// The same draws in every run.
const SEED: u64 = 7;
/// How unequal Zipf's draws are: the second is drawn half as often as the first.
const ZIPF_EXPONENT: f64 = 1.0;

/// Ids of new agents.
pub(crate) fn ids(count: usize) -> Vec<String> {
    (0..count).map(|_| uuid::Uuid::now_v7().to_string()).collect()
}

/// How agents are chosen.
pub(crate) enum Choice {
    /// Each lane has its own, one after another: no agent is asked twice at a time.
    Apart,
    /// Any of the first so many.
    Drawn(Draw),
}

/// Draws of one of many.
pub(crate) struct Draw {
    rng: RefCell<Rng>,
    shares: Shares,
}

enum Shares {
    Uniform(usize),
    /// What the first so many have together, for each.
    Cumulative(Vec<f64>),
}

impl Draw {
    /// Everyone equally often.
    pub(crate) fn uniform(count: usize) -> Self {
        Self { rng: RefCell::new(Rng::with_seed(SEED)), shares: Shares::Uniform(count) }
    }

    /// By Zipf's law.
    pub(crate) fn zipf(count: usize) -> Self {
        let mut sum = 0.0;
        let shares = (1..=count).map(|rank| {
            sum += (rank as f64).powf(-ZIPF_EXPONENT);
            sum
        });
        Self { rng: RefCell::new(Rng::with_seed(SEED)), shares: Shares::Cumulative(shares.collect()) }
    }

    pub(crate) fn next(&self) -> usize {
        let mut rng = self.rng.borrow_mut();
        match &self.shares {
            Shares::Uniform(count) => rng.usize(..*count),
            Shares::Cumulative(shares) => {
                let drawn = rng.f64() * shares.last().copied().unwrap_or_default();
                shares.partition_point(|share| *share <= drawn).min(shares.len() - 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Draw;

    #[test]
    fn zipf_halves_the_second() {
        let draw = Draw::zipf(1_000);
        let mut drawn = vec![0_u32; 1_000];
        (0..100_000).for_each(|_| drawn[draw.next()] += 1);
        let ratio = f64::from(drawn[0]) / f64::from(drawn[1]);
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
        assert!(drawn[0] > 10_000 && drawn[999] > 0);
    }

    #[test]
    fn uniform_reaches_everyone() {
        let draw = Draw::uniform(10);
        let mut drawn = [0_u32; 10];
        (0..10_000).for_each(|_| drawn[draw.next()] += 1);
        assert!(drawn.iter().all(|count| (800..1_200).contains(count)), "{drawn:?}");
    }
}
