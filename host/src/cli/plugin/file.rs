//! A plugin file's bytes, no more of them than a plugin may have. Knows nothing of what is in
//! them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::cli::CliError;
use crate::plugin::{Limits, LoadError};

/// Reads it whole.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let max = Limits::default().file_bytes_max;
    let bytes = read_at_most(path, max as u64 + 1)?;
    fits(path, &bytes)?;
    Ok(bytes)
}

/// Refuses what is larger than a host takes.
pub(super) fn fits(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let (size, max) = (bytes.len(), Limits::default().file_bytes_max);
    if size > max { Err(refused(path, LoadError::TooLarge { size, max })) } else { Ok(()) }
}

/// Any file, cut where it is longer.
pub(super) fn read_at_most(path: &Path, bytes_max: u64) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(bytes_max).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(CliError::Failed(format!("{} cannot be read: {error}", path.display()))),
    }
}

/// Names the file with what is wrong with it.
pub(super) fn refused(path: &Path, why: impl std::fmt::Display) -> CliError {
    CliError::Invalid(format!("{} is no plugin: {why}", path.display()))
}
