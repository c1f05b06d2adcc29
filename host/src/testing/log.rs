//! The log lines of one thread, to be looked at. Knows nothing of what writes them.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::subscriber::DefaultGuard;

/// The lines from level info up.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Takes what this thread logs, until the guard is dropped.
    pub(crate) fn listen(&self) -> DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    /// All of them.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(text).expect("UTF-8").lines().map(str::to_owned).collect()
    }

    /// Those that contain some words.
    pub(crate) fn lines_with(&self, words: &str) -> Vec<String> {
        self.lines().into_iter().filter(|line| line.contains(words)).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
