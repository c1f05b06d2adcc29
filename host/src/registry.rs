//! The plugins in a directory, one per domain. Knows files and plugins, not how domains are
//! served.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::domain::Generation;
use crate::name::Name;
use crate::plugin::{LoadError, Plugin, PluginEngine};
use crate::signature::{SignatureError, TrustedKeys};

/// A plugin and the file it came from.
pub struct Registered {
    /// The file.
    pub file: PathBuf,
    /// The plugin.
    pub plugin: Plugin,
}

/// Loads every `*.wasm` of a directory. A file that cannot be served, or brings a domain that
/// another one has already, is refused with a line in the log; the others go on.
pub fn load_directory(engine: &PluginEngine, directory: &Path, keys: &TrustedKeys) -> BTreeMap<Name, Registered> {
    let mut registry: BTreeMap<Name, Registered> = BTreeMap::new();
    let files = match plugin_files(directory) {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(directory = %directory.display(), %error, "plugin directory cannot be read: set PLUGIN_DIR to one that holds plugins");
            return registry;
        }
    };
    if files.is_empty() {
        tracing::warn!(directory = %directory.display(), "plugin directory holds no *.wasm file: nothing is served");
    }
    for file in files {
        let shown = file.display();
        match load_file(engine, &file, keys) {
            Ok(plugin) => {
                let domain = plugin.description().domain.clone();
                if let Some(first) = registry.get(&domain) {
                    tracing::error!(file = %shown, %domain, served_from = %first.file.display(), "plugin refused: another file brings the same domain");
                    continue;
                }
                tracing::info!(file = %shown, %domain, version = plugin.description().version, digest = %plugin.digest(), code = %plugin.code_origin(), "plugin loaded");
                registry.insert(domain, Registered { file, plugin });
            }
            Err(error) => tracing::error!(file = %shown, %error, "plugin refused"),
        }
    }
    registry
}

/// Loads one plugin, if it is signed as `keys` ask.
///
/// # Errors
/// [`FileError`] says what is wrong with the file.
pub fn load_file(engine: &PluginEngine, file: &Path, keys: &TrustedKeys) -> Result<Plugin, FileError> {
    let size = std::fs::metadata(file)?.len();
    let max = engine.limits().file_bytes_max;
    if usize::try_from(size).map_or(true, |size| size > max) {
        // Refused before it is read into memory.
        return Err(LoadError::TooLarge { size: usize::try_from(size).unwrap_or(usize::MAX), max }.into());
    }
    let bytes = std::fs::read(file)?;
    // Before the compiler sees it: what nobody vouches for is not even looked into.
    keys.check(&bytes)?;
    Ok(Plugin::load(engine, &bytes)?)
}

fn plugin_files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Why a file gives no plugin.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// Nobody who is trusted has signed it as it is.
    #[error(transparent)]
    Untrusted(#[from] SignatureError),
    /// It is no plugin that can be served.
    #[error(transparent)]
    Refused(#[from] LoadError),
}
