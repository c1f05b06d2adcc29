//! One file of the cache: whose code it is, a checksum, the code. Knows nothing of
//! directories, and does not judge who wrote a file.
//!
//! The form: 16 bytes magic with the form's number, 32 bytes SHA-256 of the component,
//! 32 bytes compatibility, 8 bytes length of the code, little-endian, 32 bytes SHA-256 of the
//! code, the code.

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Read};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

use crate::domain::Digest;
use crate::plugin::compile::CODE_BYTES_MAX;

const MAGIC: &[u8; 16] = b"agent-service\0\x00\x01";
const HEADER_BYTES: usize = 16 + 32 + 32 + 8 + 32;

/// Which code a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plugin) struct Key {
    /// The component that was compiled.
    pub(super) component: Digest,
    /// What compiled it and what can run it.
    pub(super) compatibility: [u8; 32],
}

impl Key {
    /// The key of a component's code for this engine, made by this version of the service.
    pub(in crate::plugin) fn of(component: Digest, engine: &Engine) -> Self {
        let mut hasher = Sha256Hasher(Sha256::new());
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        // Has the engine's exact version, the processor's features and all settings in it.
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Self { component, compatibility: hasher.0.finalize().into() }
    }

    /// The component that was compiled.
    pub(in crate::plugin) fn component(&self) -> Digest {
        self.component
    }
}

/// What stands before the code.
pub(super) fn header(key: &Key, code: &[u8]) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let length = (code.len() as u64).to_le_bytes();
    let checksum: [u8; 32] = Sha256::digest(code).into();
    let mut rest = &mut header[..];
    for part in [&MAGIC[..], &key.component.0, &key.compatibility, &length, &checksum] {
        let (place, behind) = rest.split_at_mut(part.len());
        place.copy_from_slice(part);
        rest = behind;
    }
    header
}

/// The code in a file, where it is whole and has this key.
pub(super) fn read(key: &Key, file: &mut File) -> Result<Vec<u8>, EntryError> {
    let size = file.metadata()?.len();
    let length = size.checked_sub(HEADER_BYTES as u64).ok_or(EntryError::Length)?;
    if length > CODE_BYTES_MAX as u64 {
        return Err(EntryError::TooLarge);
    }
    let mut found = [0; HEADER_BYTES];
    file.read_exact(&mut found)?;
    let (magic, rest) = found.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(EntryError::OtherForm);
    }
    let (component, rest) = rest.split_at(32);
    let (compatibility, rest) = rest.split_at(32);
    if component != key.component.0 || compatibility != key.compatibility {
        return Err(EntryError::OtherKey);
    }
    let (told, checksum) = rest.split_at(8);
    if told != length.to_le_bytes() {
        return Err(EntryError::Length);
    }
    let mut code = Vec::new();
    file.take(length).read_to_end(&mut code)?;
    if Sha256::digest(&code).as_slice() != checksum {
        return Err(EntryError::Checksum);
    }
    Ok(code)
}

/// Why a file's code is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum EntryError {
    /// The code of something else, or for something else.
    #[error("it is of another component, engine or version")]
    OtherKey,
    /// Does not begin like a file of the cache.
    #[error("it is no file of this cache")]
    OtherForm,
    /// Cut short, or with something behind it.
    #[error("its length is not what it says")]
    Length,
    /// More than is ever kept.
    #[error("it is larger than a plugin's code may be")]
    TooLarge,
    /// Bytes have changed.
    #[error("its checksum does not hold")]
    Checksum,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// Feeds a checksum with what is meant for a hash table, whose own hashes are too short to
/// tell all engines apart and differ from run to run.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The beginning of the checksum; the whole is taken from the field.
    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }
}
