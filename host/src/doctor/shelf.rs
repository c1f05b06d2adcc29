//! What lies in the plugin directory, looked into once for all checks: signatures, form, and what the
//! plugin says of itself where its code is compiled already. Compiles nothing.

use std::path::PathBuf;

use crate::config::{PluginSource, Service};
use crate::domain::{Description, Generation};
use crate::name::Name;
use crate::plugin::Plugin;
use crate::registry::{FileError, Registry};
use crate::watch::list;

/// The plugin files, or why they are not known.
pub(super) struct Shelf {
    pub(super) files: Result<Vec<Lying>, Unread>,
}

/// Why there are no files.
pub(super) enum Unread {
    /// Plugins come from elsewhere, or nobody looked.
    Elsewhere(String),
    /// The directory cannot be read.
    Directory(std::io::Error),
    /// No component engine starts on this machine.
    Engine(String),
}

/// A file.
pub(super) struct Lying {
    pub(super) path: PathBuf,
    /// The plugin; `None` where its code is not in the cache.
    pub(super) loaded: Result<Option<Description>, FileError>,
}

impl Shelf {
    /// Looks into the directory of these settings. Blocks.
    pub(super) fn of(service: &Service) -> Self {
        if service.plugin_source == PluginSource::Nats {
            return Self::unknown("plugins come from NATS, PLUGIN_SOURCE=nats".into());
        }
        Self { files: read(service) }
    }

    pub(super) fn unknown(why: String) -> Self {
        Self { files: Err(Unread::Elsewhere(why)) }
    }

    /// The domains of the plugins that say what they are.
    pub(super) fn domains(&self) -> Vec<Name> {
        let files = self.files.iter().flatten();
        files.filter_map(|file| Some(file.loaded.as_ref().ok()?.as_ref()?.domain.clone())).collect()
    }
}

fn read(service: &Service) -> Result<Vec<Lying>, Unread> {
    let listing = list(&service.plugin_dir).map_err(Unread::Directory)?;
    let registry = Registry::of(service).map_err(|error| Unread::Engine(error.to_string()))?;
    let describe = |plugin: Plugin| plugin.description().clone();
    let look = |path: PathBuf| Lying { loaded: registry.look_into(&path).map(|found| found.map(describe)), path };
    Ok(listing.files.into_iter().map(|file| look(file.path)).collect())
}
