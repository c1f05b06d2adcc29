//! What follows a failed try: another one after a pause, or none any more. Knows codes, not what
//! was tried.

use std::time::Duration;

use crate::message::{Code, Failure};

/// First pause; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Tries of a command that is refused as if the service were away, while it is there for others:
/// some minutes with the pauses between.
const LONELY_TRIES_MAX: u32 = 20;

/// The tries of one command so far.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// All of them.
    pub(super) count: u32,
    /// Those that the plugin failed.
    failed: u32,
    /// Those that could not be served while others were.
    lonely: u32,
}

/// What to do after a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is the outcome.
    Outcome,
    /// Try again after this pause.
    Again(Duration),
    /// No more tries.
    GiveUp,
}

impl Tries {
    /// Judges the failure of one more try. `alone` says that others are served meanwhile.
    pub(super) fn failed(&mut self, failure: &Failure, alone: bool, tries_max: u32) -> Next {
        self.count = self.count.saturating_add(1);
        match failure.code {
            Code::PluginFailed => {
                self.failed += 1;
                if self.failed >= tries_max { Next::GiveUp } else { Next::Again(pause(self.failed)) }
            }
            _ if !failure.retryable => Next::Outcome,
            Code::Invalid
            | Code::Rejected
            | Code::NotFound
            | Code::Expired
            | Code::Conflict
            | Code::Overloaded
            | Code::Unavailable
            | Code::Timeout => {
                self.lonely += u32::from(alone);
                if self.lonely >= LONELY_TRIES_MAX { Next::GiveUp } else { Next::Again(pause(self.count)) }
            }
        }
    }
}

/// The pause after so many failures.
pub(super) fn pause(failures: u32) -> Duration {
    PAUSE_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let pauses: Vec<u128> = [1, 2, 3, 7, 8, 1_000].map(|failures| pause(failures).as_millis()).to_vec();
        assert_eq!(pauses, [250, 500, 1_000, 16_000, 30_000, 30_000]);
    }

    #[test]
    fn a_plugin_that_fails_is_given_up_on_after_the_tries_that_are_set() {
        let failure = Failure::new(Code::PluginFailed, "trapped");
        let mut tries = Tries::default();
        assert_eq!(tries.failed(&failure, false, 3), Next::Again(Duration::from_millis(250)));
        assert_eq!(tries.failed(&failure, true, 3), Next::Again(Duration::from_millis(500)));
        assert_eq!(tries.failed(&failure, false, 3), Next::GiveUp);
        assert_eq!(tries.count, 3);
    }

    #[test]
    fn what_the_domain_or_the_client_is_at_fault_for_is_an_outcome() {
        for code in [Code::Invalid, Code::Rejected, Code::Conflict, Code::NotFound, Code::Expired] {
            assert_eq!(Tries::default().failed(&Failure::new(code, "no"), true, 5), Next::Outcome, "{code:?}");
        }
    }

    #[test]
    fn a_service_that_is_away_for_all_is_waited_for_without_end() {
        for code in [Code::Unavailable, Code::Timeout, Code::Overloaded] {
            let mut tries = Tries::default();
            for _ in 0..1_000 {
                assert!(matches!(tries.failed(&Failure::new(code, "away"), false, 5), Next::Again(_)), "{code:?}");
            }
        }
        let collided = Failure { retryable: true, ..Failure::new(Code::Conflict, "collided") };
        assert!(matches!(Tries::default().failed(&collided, false, 5), Next::Again(_)));
    }

    #[test]
    fn a_command_that_alone_cannot_be_served_is_given_up_on_at_last() {
        let failure = Failure::new(Code::Unavailable, "its snapshot contradicts the stream");
        let mut tries = Tries::default();
        let mut count = 1;
        while tries.failed(&failure, true, 5) != Next::GiveUp {
            count += 1;
        }
        assert_eq!(count, LONELY_TRIES_MAX);
    }
}
