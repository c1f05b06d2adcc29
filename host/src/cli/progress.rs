//! How far something long is, on standard error: a line that is rewritten on a terminal, and where
//! asked for, now and then a line in a log. Knows nothing of what takes so long.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::output::Aside;

/// How often a terminal's line is written anew: as often as one can read it.
const REWRITE_INTERVAL: Duration = Duration::from_millis(100);
/// How often a line is added to a log: a minute leaves some twenty.
const LOG_INTERVAL: Duration = Duration::from_secs(3);

/// The line. Dropped, it leaves a terminal as it was.
pub(super) struct ProgressLine {
    /// `None` where nobody wants to see it.
    aside: Option<Aside>,
    pace: Pace,
}

impl ProgressLine {
    pub(super) fn start(verbose: bool) -> Self {
        let aside = Aside::stderr();
        let wanted = verbose || aside.is_terminal();
        let pace = match aside.is_terminal() {
            // What is short is over before there is anything to show.
            true => Pace { interval: REWRITE_INTERVAL, last: Cell::new(Some(Instant::now())) },
            false => Pace { interval: LOG_INTERVAL, last: Cell::new(None) },
        };
        Self { aside: wanted.then_some(aside), pace }
    }

    pub(super) fn show(&self, in_words: impl FnOnce() -> String) {
        if let Some(aside) = &self.aside
            && self.pace.is_due(Instant::now())
        {
            aside.rewrite(&in_words());
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if let Some(aside) = &self.aside {
            aside.clear();
        }
    }
}

/// Lets something pass at most once in an interval.
struct Pace {
    interval: Duration,
    last: Cell<Option<Instant>>,
}

impl Pace {
    fn is_due(&self, now: Instant) -> bool {
        let due = self.last.get().is_none_or(|last| now.saturating_duration_since(last) >= self.interval);
        if due {
            self.last.set(Some(now));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shown_at_most_once_in_an_interval() {
        let begun = Instant::now();
        let pace = Pace { interval: Duration::from_secs(3), last: Cell::new(None) };
        let due: Vec<bool> = [0, 1, 2, 3, 5, 6].map(|s| pace.is_due(begun + Duration::from_secs(s))).into();
        assert_eq!(due, [true, false, false, true, false, true]);
    }
}
