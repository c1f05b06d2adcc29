//! For how long threads have shown no sign of life. Must not know how signs are asked for.

use std::time::{Duration, Instant};

use crate::shard::Sign;

/// What each thread has shown, and when that was last something new.
#[derive(Debug, Default)]
pub(super) struct Silences(Vec<(Sign, Instant)>);

impl Silences {
    /// Notes what a thread shows now.
    pub(super) fn note(&mut self, thread: usize, sign: Sign, now: Instant) {
        match self.0.get_mut(thread) {
            Some((before, at)) => {
                if sign.answered || sign.turns != before.turns {
                    *at = now;
                }
                *before = sign;
            }
            None => self.0.push((sign, now)),
        }
    }

    /// The thread that has been silent for longest, and for how long.
    pub(super) fn longest(&self, now: Instant) -> Option<(usize, Duration)> {
        let silences = self.0.iter().map(|(_, at)| now.saturating_duration_since(*at));
        silences.enumerate().max_by_key(|(_, silence)| *silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_or_a_turn_is_a_sign_of_life_and_nothing_else_is() {
        let (mut silences, start) = (Silences::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let stuck = Sign { answered: false, turns: 7 };
        for thread in [0, 1, 2] {
            silences.note(thread, Sign { answered: true, turns: 7 }, at(0));
        }
        silences.note(0, Sign { turns: 8, ..stuck }, at(10));
        silences.note(1, stuck, at(10));
        silences.note(2, Sign { answered: true, turns: 7 }, at(10));
        assert_eq!(silences.longest(at(11)), Some((1, Duration::from_secs(11))));

        silences.note(1, Sign { answered: true, turns: 7 }, at(12));
        silences.note(2, stuck, at(12));
        silences.note(0, Sign { turns: 8, ..stuck }, at(20));
        silences.note(1, Sign { answered: true, turns: 7 }, at(20));
        assert_eq!(silences.longest(at(21)).map(|(_, silence)| silence), Some(Duration::from_secs(11)));
    }
}
