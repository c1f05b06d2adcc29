//! Machine code of plugins, kept in a directory between runs so that a start need not compile.
//! What lies there is used only where nobody else can have written it and it is whole; anything
//! else is as good as absent. Knows nothing of what the code does.

mod entry;
mod private_directory;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use self::entry::EntryError;
pub(super) use self::entry::Key;
use self::private_directory::{AccessError, PrivateDirectory};
use super::compile::Compiled;

/// A few versions each of a few dozen plugins.
const FILES_MAX: usize = 64;
/// Two plugins of the largest size there is; the usual one takes a few MiB.
const BYTES_MAX: u64 = 1 << 30;
/// What the names of the cache's files end with; whatever else lies in the directory stays.
const SUFFIX: &str = ".plugin-code";

/// A directory with one file per component and engine.
#[derive(Debug)]
pub struct CodeCache {
    directory: PathBuf,
    bounds: Bounds,
    /// Whether it has been said that the directory cannot be used: once is enough.
    told: AtomicBool,
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    files_max: usize,
    bytes_max: u64,
}

/// Machine code from the cache. Only this module can make one.
pub(super) struct Cached(Vec<u8>);

impl Cached {
    pub(super) fn code(&self) -> &[u8] {
        &self.0
    }
}

/// Where a plugin's machine code came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Compiled at this load.
    Compiled,
    /// From the cache.
    Cached,
}

impl CodeCache {
    /// A cache in this directory, which is made when there is something to keep. One that
    /// cannot be used costs a line in the log and nothing else.
    pub fn new(directory: &Path) -> Self {
        let bounds = Bounds { files_max: FILES_MAX, bytes_max: BYTES_MAX };
        // Without a slash at the end, which would follow a link.
        Self { directory: directory.components().collect(), bounds, told: AtomicBool::new(false) }
    }

    /// Whether code can be kept in the directory: `false` where it is yet to be made.
    ///
    /// # Errors
    /// In words why not.
    pub fn check(&self) -> Result<bool, String> {
        let Some(directory) = PrivateDirectory::open(&self.directory).map_err(|error| error.to_string())? else {
            return Ok(false);
        };
        directory.check_writable().map(|()| true).map_err(|error| error.to_string())
    }

    /// The code under this key, where there is some that can be trusted.
    pub(super) fn find(&self, key: &Key) -> Option<Cached> {
        let file = file_name(key);
        match self.read(key, &file) {
            Ok(code) => code.map(Cached),
            Err(Unused::Directory(error)) => {
                self.tell(&error);
                None
            }
            Err(Unused::File(error)) => {
                tracing::warn!(directory = %self.directory.display(), file, %error, "cached plugin code is not used, the plugin is compiled anew");
                None
            }
            Err(Unused::Entry(EntryError::OtherKey)) => {
                tracing::debug!(directory = %self.directory.display(), file, "cached plugin code is of another version, the plugin is compiled anew");
                None
            }
            Err(Unused::Entry(error)) => {
                tracing::warn!(directory = %self.directory.display(), file, %error, "cached plugin code is damaged, the plugin is compiled anew");
                None
            }
        }
    }

    /// Keeps what was compiled, in place of what is there, and lets go of what was used least
    /// recently.
    pub(super) fn keep(&self, key: &Key, compiled: &Compiled) {
        match self.write(key, compiled.code()) {
            Ok(()) => self.told.store(false, Ordering::Relaxed),
            Err(error) => self.tell(&error),
        }
    }

    fn read(&self, key: &Key, file: &str) -> Result<Option<Vec<u8>>, Unused> {
        let Some(directory) = PrivateDirectory::open(&self.directory).map_err(Unused::Directory)? else {
            return Ok(None);
        };
        let Some(mut opened) = directory.read(file).map_err(Unused::File)? else { return Ok(None) };
        let code = entry::read(key, &mut opened).map_err(Unused::Entry)?;
        if let Err(error) = PrivateDirectory::touch(&opened) {
            // It only makes the file look older than it is.
            tracing::debug!(file, %error, "the time of cached plugin code cannot be set");
        }
        Ok(Some(code))
    }

    fn write(&self, key: &Key, code: &[u8]) -> Result<(), AccessError> {
        let directory = PrivateDirectory::open_or_make(&self.directory)?;
        let file = file_name(key);
        directory.replace(&file, &[&entry::header(key, code), code])?;
        Ok(self.let_go(&directory, &file)?)
    }

    /// Removes the least recently used files until the rest is within bounds. The one just
    /// written stays, whatever the clock says.
    fn let_go(&self, directory: &PrivateDirectory, just_written: &str) -> io::Result<()> {
        let mut files = directory.files(SUFFIX)?;
        files.sort_by_key(|file| (file.name != just_written, Reverse(file.modified)));
        let mut bytes = 0;
        for (place, file) in files.iter().enumerate() {
            bytes += file.size;
            let fits = place < self.bounds.files_max && bytes <= self.bounds.bytes_max;
            if !fits && place > 0 {
                directory.remove(&file.name)?;
            }
        }
        Ok(())
    }

    fn tell(&self, error: &AccessError) {
        let directory = self.directory.display();
        if self.told.swap(true, Ordering::Relaxed) {
            tracing::debug!(%directory, %error, "the cache of plugin code cannot be used");
        } else {
            tracing::warn!(%directory, %error, "the cache of plugin code cannot be used, plugins are compiled at every start: set PLUGIN_CACHE_DIR to a directory of the service's own, or to nothing to do without");
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compiled => "compiled",
            Self::Cached => "cached",
        })
    }
}

/// Why code in the cache is not used.
enum Unused {
    /// The directory cannot be used.
    Directory(AccessError),
    /// The file cannot be used.
    File(AccessError),
    /// What is in the file cannot be used.
    Entry(EntryError),
}

/// The file's name: the component, and so much of the compatibility that two engines do not
/// overwrite each other's files.
fn file_name(key: &Key) -> String {
    format!("{}-{}{SUFFIX}", hex::encode(key.component.0), hex::encode(&key.compatibility[..8]))
}
