//! Runs what cannot be interrupted for at most so long: past its time it is left to finish
//! alone, and until it has, nothing else is begun. Knows nothing of what the work is.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// A place for one piece of work at a time: however many are given up, only one still runs.
pub(super) struct CompileSlot {
    occupied: Mutex<bool>,
    freed: Condvar,
}

impl CompileSlot {
    pub(super) const fn new() -> Self {
        Self { occupied: Mutex::new(false), freed: Condvar::new() }
    }

    /// What `work` returns. Waits at most `time_max` for the slot, then at most as long for the
    /// work, which holds the slot until it has finished.
    pub(super) fn run<T: Send + 'static>(
        &'static self,
        time_max: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoResult> {
        let held = self.take(time_max).ok_or(NoResult::Occupied)?;
        let (sender, receiver) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("plugin-compiler".into())
            .spawn(move || {
                let made = work();
                // Free before the result is out: who has it may begin the next work at once.
                drop(held);
                // Nobody may be waiting any longer.
                let _ = sender.send(made);
            })
            .map_err(|error| NoResult::NoThread(error.to_string()))?;
        receiver.recv_timeout(time_max).map_err(|error| match error {
            RecvTimeoutError::Timeout => NoResult::Late,
            RecvTimeoutError::Disconnected => NoResult::Panicked,
        })
    }

    fn take(&'static self, time_max: Duration) -> Option<Held> {
        // A flag is never half changed, so a poisoned lock is as good as another.
        let occupied = self.occupied.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.freed.wait_timeout_while(occupied, time_max, |occupied| *occupied);
        let (mut occupied, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *occupied {
            return None;
        }
        *occupied = true;
        Some(Held(self))
    }
}

/// The slot, free again when this is dropped, by a panic too.
struct Held(&'static CompileSlot);

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.occupied.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.freed.notify_one();
    }
}

/// Why there is no result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoResult {
    /// Other work held the slot all the time.
    Occupied,
    /// It is not finished in time, and goes on alone.
    Late,
    /// It ended in a panic.
    Panicked,
    /// The system gives no thread.
    NoThread(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far more than a test takes.
    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn work_in_time_has_its_result_and_leaves_the_slot() {
        static SLOT: CompileSlot = CompileSlot::new();
        for number in 0..3 {
            assert_eq!(SLOT.run(LONG, move || number), Ok(number));
        }
    }

    #[test]
    fn work_past_its_time_holds_the_slot_until_it_has_finished() {
        static SLOT: CompileSlot = CompileSlot::new();
        let (finish, told) = mpsc::channel::<()>();
        assert_eq!(SLOT.run(SHORT, move || told.recv()), Err(NoResult::Late));
        assert_eq!(SLOT.run(SHORT, || ()), Err(NoResult::Occupied));
        finish.send(()).expect("it still runs");
        assert_eq!(SLOT.run(LONG, || 7), Ok(7));
    }

    #[test]
    fn a_panic_leaves_the_slot() {
        static SLOT: CompileSlot = CompileSlot::new();
        assert_eq!(SLOT.run(LONG, || -> u8 { panic!("as asked") }), Err(NoResult::Panicked));
        assert_eq!(SLOT.run(LONG, || 7), Ok(7));
    }
}
