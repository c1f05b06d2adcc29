//! Where a plugin's words go: its log lines and whatever it prints, cut to a bounded number
//! of bounded lines per call, into the host's log.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::bindings::agent_service::domain::logging::Level;
use crate::trace;

/// Lines one call may log; the rest is counted and dropped.
const LINES_PER_CALL_MAX: u32 = 32;
/// Longest line in bytes; the rest is cut.
const LINE_BYTES_MAX: usize = 2_048;
/// What the printing streams take in one write.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// The log of one instance.
#[derive(Clone)]
pub(super) struct Output(Arc<Mutex<Lines>>);

struct Lines {
    domain: String,
    left: u32,
    dropped: u64,
    /// What was printed since the last line's end.
    unfinished: Vec<u8>,
}

impl Output {
    pub(super) fn new(domain: &str) -> Self {
        let lines = Lines { domain: domain.to_owned(), left: LINES_PER_CALL_MAX, dropped: 0, unfinished: Vec::new() };
        Self(Arc::new(Mutex::new(lines)))
    }

    /// Gives the next call its allowance, and says what the last one lost.
    pub(super) fn next_call(&self) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.dropped > 0 {
            tracing::warn!(target: "plugin", domain = lines.domain, dropped = lines.dropped, "plugin logged too much in one call");
        }
        lines.dropped = 0;
        lines.left = LINES_PER_CALL_MAX;
    }

    pub(super) fn log(&self, level: Level, message: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).log(level, message);
    }

    fn print(&self, bytes: &[u8]) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            let room = LINE_BYTES_MAX.saturating_sub(lines.unfinished.len());
            lines.unfinished.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                let line = std::mem::take(&mut lines.unfinished);
                lines.log(Level::Info, &String::from_utf8_lossy(&line));
            }
        }
    }
}

impl Lines {
    fn log(&mut self, level: Level, message: &str) {
        if self.left == 0 {
            self.dropped += 1;
            return;
        }
        self.left -= 1;
        let message = &message[..message.floor_char_boundary(LINE_BYTES_MAX)];
        let domain = &self.domain;
        tell_trace(level, message);
        match level {
            Level::Error => tracing::error!(target: "plugin", domain, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", domain, "{message}"),
            Level::Info => tracing::info!(target: "plugin", domain, "{message}"),
            Level::Debug => tracing::debug!(target: "plugin", domain, "{message}"),
            Level::Trace => tracing::trace!(target: "plugin", domain, "{message}"),
        }
    }
}

/// What is logged is told of the command's trace as well.
fn tell_trace(level: Level, message: &str) {
    let (wanted, level) = match level {
        Level::Error => (tracing::enabled!(target: "plugin", tracing::Level::ERROR), "error"),
        Level::Warn => (tracing::enabled!(target: "plugin", tracing::Level::WARN), "warn"),
        Level::Info => (tracing::enabled!(target: "plugin", tracing::Level::INFO), "info"),
        Level::Debug => (tracing::enabled!(target: "plugin", tracing::Level::DEBUG), "debug"),
        Level::Trace => (tracing::enabled!(target: "plugin", tracing::Level::TRACE), "trace"),
    };
    if wanted {
        trace::line(level, message);
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Asked for by WASI's asynchronous interfaces only, which plugins may not import.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.print(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}
