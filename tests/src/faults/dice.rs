//! Chance that can be repeated: everything random of a run comes from its seed. It must not know
//! what is drawn.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A generator of numbers (`SplitMix64`); small, and the same on every machine.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The one of a seed.
    pub fn of(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Another one that goes its own way from here.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self { state: self.next() }
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// One of several things.
    pub fn one_of<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        let index = self.below(things.len() as u64);
        &things[usize::try_from(index).unwrap_or_default()]
    }

    /// A time within a range of milliseconds.
    pub fn time(&mut self, range_ms: RangeInclusive<u64>) -> Duration {
        let (from, to) = range_ms.into_inner();
        Duration::from_millis(from + self.below(to - from + 1))
    }

    /// Lets such a time pass: how long a fault lasts is what is tested, there is nothing to wait for.
    pub async fn dwell(&mut self, range_ms: RangeInclusive<u64>) {
        tokio::time::sleep(self.time(range_ms)).await;
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let draw = |seed| {
            let mut dice = Dice::of(seed);
            (0..100).map(|_| dice.below(1_000)).collect::<Vec<u64>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(draw(7).iter().any(|number| *number > 900), "not spread");
    }
}
