//! A plugin file that is to go to hosts, checked here as they will check it. Knows nothing of
//! where it goes.

use std::path::Path;

use super::file;
use crate::cli::CliError;
use crate::config::Service;
use crate::domain::{Digest, Generation};
use crate::name::Name;
use crate::plugin::{Limits, LoadError, Plugin, PluginEngine};

/// A file that a host with the same settings would serve.
pub(super) struct Candidate {
    /// The component.
    pub(super) bytes: Vec<u8>,
    /// Its domain.
    pub(super) domain: Name,
    /// Its version.
    pub(super) version: String,
    /// Its digest.
    pub(super) digest: Digest,
}

/// Reads and checks it: signatures where keys are trusted, then all that loading asks.
pub(super) fn read(path: &Path, service: &Service) -> Result<Candidate, CliError> {
    let bytes = file::read(path)?;
    let trusted = service.plugin_trusted_keys.check(&bytes);
    trusted.map_err(|error| CliError::Invalid(format!("{} would be refused by hosts: {error}", path.display())))?;
    let plugin = load(path, &bytes, service)?;
    let about = plugin.description();
    let (domain, version) = (about.domain.clone(), about.version.clone());
    Ok(Candidate { digest: plugin.digest(), domain, version, bytes })
}

/// Loads a plugin within the limits that the settings give hosts.
pub(super) fn load(path: &Path, bytes: &[u8], service: &Service) -> Result<Plugin, CliError> {
    let limits = Limits {
        deadline: service.plugin_deadline,
        memory_bytes_max: usize::try_from(service.plugin_memory_max).unwrap_or(usize::MAX),
        compile_time_max: service.plugin_compile_time_max,
        ..Limits::default()
    };
    let loaded = PluginEngine::start(limits).and_then(|engine| Plugin::load(&engine, bytes));
    loaded.map_err(|error| match error {
        LoadError::Engine(_) => CliError::failed(error),
        // Says as much about the machine as about the file.
        LoadError::CompileTimeout(_) => CliError::Failed(format!("{} cannot be looked into: {error}", path.display())),
        error => file::refused(path, error),
    })
}
