//! The seal of a backup: beside the files of each stream, what they were when they were written,
//! and which streams were backed up with it. The `nats` tool does not know it and leaves it alone.

use std::collections::BTreeMap;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::Digest;

/// The number of this form.
const FORMAT: u32 = 1;

/// What was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The number of its form.
    format: u32,
    /// The stream.
    pub stream: String,
    /// When, RFC 3339.
    pub made: String,
    /// With which version of the service.
    pub by: String,
    /// All streams of the backup, this one among them.
    pub streams: Vec<String>,
    /// The files beside it.
    pub(super) files: BTreeMap<String, SealedFile>,
}

/// One file, as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SealedFile {
    pub(super) bytes: u64,
    pub(super) sha256: Digest,
}

impl Seal {
    /// A seal of one stream among those of its backup.
    pub fn new(stream: &str, made: String, streams: &[String]) -> Self {
        let by = format!("agent-service {}", env!("CARGO_PKG_VERSION"));
        Self { format: FORMAT, stream: stream.to_owned(), made, by, streams: streams.to_vec(), files: BTreeMap::new() }
    }

    /// Whether this version of the service reads it.
    pub(super) fn is_known(&self) -> bool {
        self.format == FORMAT
    }
}

/// Reads and tells what was read.
pub(super) struct Sealing<R> {
    source: R,
    bytes: u64,
    hash: Sha256,
}

impl<R: Read> Sealing<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, bytes: 0, hash: Sha256::new() }
    }

    pub(super) fn finish(self) -> SealedFile {
        SealedFile { bytes: self.bytes, sha256: Digest(self.hash.finalize().into()) }
    }
}

impl<R: Read> Read for Sealing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
