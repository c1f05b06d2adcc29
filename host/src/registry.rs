//! Plugin files: from a path to loaded code, and the components of code that went live, kept so
//! that it can be served again. Knows files and plugins, not how domains are served.

use std::path::{Path, PathBuf};

use crate::config::Service;
use crate::domain::Digest;
use crate::plugin::{CodeCache, Limits, LoadError, Plugin, PluginEngine};
use crate::signature::{SignatureError, TrustedKeys};

/// Components that are kept, the newest first to stay: what is live and what was before, over
/// some domains.
const KEPT_MAX: usize = 32;

/// What it takes to load a plugin.
#[derive(Clone)]
pub struct Registry {
    /// Where plugins run.
    pub engine: PluginEngine,
    /// Whose signatures they must bear.
    pub keys: TrustedKeys,
    /// Where components are kept; `None` for nowhere.
    pub kept_in: Option<PathBuf>,
}

/// A plugin and the bytes that it came from.
pub struct Loaded {
    /// The plugin.
    pub plugin: Plugin,
    /// The component.
    pub component: Vec<u8>,
}

impl Registry {
    /// With what the settings say.
    ///
    /// # Errors
    /// [`LoadError::Engine`] where the component engine does not start.
    pub fn of(service: &Service) -> Result<Self, LoadError> {
        let engine = PluginEngine::start(Limits {
            deadline: service.plugin_deadline,
            memory_bytes_max: usize::try_from(service.plugin_memory_max).unwrap_or(usize::MAX),
            compile_time_max: service.plugin_compile_time_max,
            ..Limits::default()
        })?;
        let cache = service.plugin_cache_dir();
        let engine = match &cache {
            Some(directory) => engine.with_cache(CodeCache::new(directory)),
            None => engine,
        };
        let kept_in = cache.map(|directory| directory.join("components"));
        Ok(Self { engine, keys: service.plugin_trusted_keys.clone(), kept_in })
    }

    /// Loads the plugin of a file, if it is signed as asked. Blocks.
    ///
    /// # Errors
    /// [`FileError`] says what is wrong with the file.
    pub fn load_file(&self, file: &Path) -> Result<Loaded, FileError> {
        self.load(self.read(file)?)
    }

    /// Loads the plugin of a file without compiling anything: nothing where that would be needed. Blocks.
    ///
    /// # Errors
    /// [`FileError`] says what is wrong with the file.
    pub fn look_into(&self, file: &Path) -> Result<Option<Plugin>, FileError> {
        let component = self.read(file)?;
        self.keys.check(&component)?;
        Ok(Plugin::load_compiled(&self.engine, &component)?)
    }

    fn read(&self, file: &Path) -> Result<Vec<u8>, FileError> {
        let size = std::fs::metadata(file)?.len();
        let max = self.engine.limits().file_bytes_max;
        if usize::try_from(size).map_or(true, |size| size > max) {
            // Refused before it is read into memory.
            return Err(LoadError::TooLarge { size: usize::try_from(size).unwrap_or(usize::MAX), max }.into());
        }
        Ok(std::fs::read(file)?)
    }

    /// Loads a component, if it is signed as asked. Blocks.
    ///
    /// # Errors
    /// [`FileError`] says what is wrong with it.
    pub fn load(&self, component: Vec<u8>) -> Result<Loaded, FileError> {
        // Before the compiler sees it: what nobody vouches for is not even looked into.
        self.keys.check(&component)?;
        Ok(Loaded { plugin: Plugin::load(&self.engine, &component)?, component })
    }

    /// Keeps a component that went live. Where that fails, going back needs the file again.
    pub fn keep(&self, digest: Digest, component: &[u8]) {
        let Some(directory) = &self.kept_in else { return };
        if let Err(error) = keep(directory, digest, component) {
            tracing::warn!(directory = %directory.display(), %error, "a plugin that went live is not kept: after a restart, going back to it needs its file");
        }
    }

    /// Loads the component of this digest that was kept, where it was. Blocks.
    pub fn load_kept(&self, digest: Digest) -> Option<Loaded> {
        let component = std::fs::read(path_of(self.kept_in.as_ref()?, digest)).ok()?;
        if Digest::of(&component) != digest {
            tracing::warn!(%digest, "a kept plugin is damaged and is not used");
            return None;
        }
        let loaded = self.load(component);
        loaded.inspect_err(|error| tracing::warn!(%digest, %error, "a kept plugin is not used")).ok()
    }
}

fn path_of(directory: &Path, digest: Digest) -> PathBuf {
    directory.join(format!("{digest}.wasm"))
}

fn keep(directory: &Path, digest: Digest, component: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let path = path_of(directory, digest);
    if std::fs::read(&path).is_ok_and(|present| present == component) {
        return Ok(());
    }
    let mut fresh = tempfile::NamedTempFile::new_in(directory)?;
    std::io::Write::write_all(&mut fresh, component)?;
    fresh.persist(&path).map_err(|error| error.error)?;
    make_room(directory, &path)
}

/// Removes the oldest of what is too much.
fn make_room(directory: &Path, newest: &Path) -> std::io::Result<()> {
    let mut kept = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path != newest && path.extension().is_some_and(|extension| extension == "wasm") {
            kept.push((std::fs::metadata(&path)?.modified()?, path));
        }
    }
    kept.sort();
    let too_many = (kept.len() + 1).saturating_sub(KEPT_MAX);
    kept.into_iter().take(too_many).try_for_each(|(_, path)| std::fs::remove_file(path))
}

/// Why a file gives no plugin.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// Its signatures are not those that are asked for.
    #[error(transparent)]
    Untrusted(#[from] SignatureError),
    /// It is no plugin that can be served.
    #[error(transparent)]
    Refused(#[from] LoadError),
}
