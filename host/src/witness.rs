//! Live commands as somebody beside the pipeline sees them: what was decided, and all that it was
//! decided from. Knows nothing of who looks.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::clock::Timestamp;
use crate::domain::Decision;
use crate::message::Command;

/// Decisions that wait to be looked at; more are let pass unseen rather than held up.
const WITNESSED_MAX: usize = 1_024;
/// In what parts a share is measured.
const PARTS: u64 = 10_000;

/// A command that the live code decided.
#[derive(Debug)]
pub struct Witnessed {
    /// The command.
    pub command: Command,
    /// The version of the aggregate that it was decided at.
    pub version: u64,
    /// The position of that version's event in the stream.
    pub last_sequence: u64,
    /// The time it was decided at.
    pub time: Timestamp,
    /// What the live code decided.
    pub decision: Decision,
}

/// A window onto a share of the live commands.
#[derive(Debug)]
pub struct Window {
    /// Of so many commands in [`PARTS`].
    parts: u64,
    sender: mpsc::Sender<Witnessed>,
    missed: AtomicU64,
}

impl Window {
    /// A window onto `share` of the commands, from 0 to 1, and what is seen through it.
    pub fn open(share: f64) -> (Self, mpsc::Receiver<Witnessed>) {
        let (sender, seen) = mpsc::channel(WITNESSED_MAX);
        // A share is between 0 and 1, and so many parts are exact.
        let parts = (share.clamp(0.0, 1.0) * PARTS as f64).round() as u64;
        (Self { parts, sender, missed: AtomicU64::new(0) }, seen)
    }

    /// Whether this command is among those that are seen: the same one always is.
    pub fn shows(&self, command_id: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        command_id.hash(&mut hasher);
        hasher.finish() % PARTS < self.parts
    }

    /// Shows a decision, unless too many wait to be looked at already.
    pub fn show(&self, witnessed: Witnessed) {
        if self.sender.try_send(witnessed).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were let pass unseen.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_about_that_share_and_the_same_every_time() {
        for (share, expected) in [(0.0, 0..=0), (0.1, 50..=150), (0.5, 400..=600), (1.0, 1_000..=1_000)] {
            let (window, _seen) = Window::open(share);
            let shown = |n: &u32| window.shows(&format!("command-{n}"));
            let first: Vec<u32> = (0..1_000).filter(shown).collect();
            assert!(expected.contains(&first.len()), "{share}: {}", first.len());
            assert_eq!(first, (0..1_000).filter(shown).collect::<Vec<_>>());
        }
    }
}
