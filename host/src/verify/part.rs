//! A part of all aggregates, told by a hash of their ids, so that nobody has to remember which
//! ones are done. Knows nothing of what is done with them.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::name::AggregateId;

/// Parts at most: far beyond what memory asks for.
const MODULUS_MAX: u64 = 1 << 32;

/// The aggregates whose hash leaves this residue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    modulus: u64,
    residue: u64,
}

impl Part {
    /// All aggregates.
    pub(super) const WHOLE: Self = Self { modulus: 1, residue: 0 };

    pub(super) fn has(self, id: &AggregateId) -> bool {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        hasher.finish() % self.modulus == self.residue
    }

    /// The two halves; `None` where it is as small as it gets.
    pub(super) fn halves(self) -> Option<[Self; 2]> {
        let modulus = self.modulus * 2;
        let half = |residue| Self { modulus, residue };
        (modulus <= MODULUS_MAX).then(|| [half(self.residue + self.modulus), half(self.residue)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_have_each_aggregate_once() {
        let halves = Part::WHOLE.halves().expect("halves");
        let parts = [halves[0].halves().expect("quarters").to_vec(), vec![halves[1]]].concat();
        let counts: Vec<usize> = parts
            .iter()
            .map(|part| (0..1_000).filter(|n| part.has(&AggregateId::new(&format!("a-{n}")).expect("an id"))).count())
            .collect();
        assert_eq!(counts.iter().sum::<usize>(), 1_000);
        assert!(counts.iter().all(|count| *count > 150), "{counts:?}");
    }
}
