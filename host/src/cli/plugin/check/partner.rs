//! The code that a plugin is held against: a file that was named, or the live code, looked for
//! where hosts keep it. Does not compare anything.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::live::{Live, live};
use super::{Log, load_file, unavailable};
use crate::activation::Activation;
use crate::cli::CliError;
use crate::cli::client::Client;
use crate::cli::plugin::file;
use crate::config::Service;
use crate::domain::{Digest, Generation};
use crate::registry::{Loaded, Registry};
use crate::watch;

/// The code to hold a plugin against, and where it is from.
pub(super) struct Partner {
    /// `None` where there is none: the plugin then has to evolve what is recorded, and no more.
    pub(super) activation: Option<Arc<Activation>>,
    /// In words what it is, or why there is none.
    pub(super) what: String,
}

impl Partner {
    /// The plugin of a file.
    pub(super) async fn given(registry: &Registry, path: &Path, candidate: &Loaded) -> Result<Self, CliError> {
        let shown = path.display();
        // Trouble of this one is not the checked plugin's, and must not look like a refusal of it.
        let loaded = load_file(registry, path)
            .await?
            .map_err(|error| CliError::Failed(format!("--against {shown}: {error}")))?;
        let (own, other) = (&candidate.plugin.description().domain, &loaded.plugin.description().domain);
        if own != other {
            let why = format!("--against {shown}: it brings the domain {other}, the plugin to check brings {own}");
            return Err(CliError::Failed(why));
        }
        Ok(Self { activation: Some(activation(loaded, [].into())), what: format!("{shown}, as asked") })
    }

    /// The code that is live.
    pub(super) async fn live(
        client: &Client,
        log: &Log,
        registry: &Registry,
        service: &Service,
        candidate: &Loaded,
    ) -> Result<Self, CliError> {
        let Some(Live { digest, said_by }) = live(client, log).await? else {
            let what = "nothing: no host serves the domain, and no event names the code that decided it".into();
            return Ok(Self { activation: None, what });
        };
        let short = &digest.to_string()[..12];
        if candidate.plugin.digest() == digest {
            let reads = log.snapshots.code_record(digest).await.map_err(unavailable)?.reads;
            let own = Loaded { plugin: candidate.plugin.clone(), component: Vec::new() };
            return Ok(Self {
                activation: Some(activation(own, reads)),
                what: format!("itself: {said_by} has it live"),
            });
        }
        let Some((loaded, place)) = find(registry, service, digest).await? else {
            let cache = service.plugin_cache_dir();
            let kept = cache.map_or_else(|| "PLUGIN_CACHE_DIR is none".into(), |path| path.display().to_string());
            let directory = service.plugin_dir.display();
            let what = format!(
                "nothing: sha256:{short} is live, says {said_by}, but neither PLUGIN_DIR ({directory}) nor what is kept ({kept}) has it as a plugin that can be loaded. --against FILE names it"
            );
            return Ok(Self { activation: None, what });
        };
        let reads = log.snapshots.code_record(digest).await.map_err(unavailable)?.reads;
        let what = format!("the live code, says {said_by}, from {place}");
        Ok(Self { activation: Some(activation(loaded, reads)), what })
    }
}

fn activation(loaded: Loaded, reads: BTreeSet<Digest>) -> Arc<Activation> {
    let generation: Arc<dyn Generation> = Arc::new(loaded.plugin);
    Arc::new(Activation::new(generation, 0, reads))
}

/// The code of a digest, and where it was found.
pub(in crate::cli) async fn find(
    registry: &Registry,
    service: &Service,
    digest: Digest,
) -> Result<Option<(Loaded, String)>, CliError> {
    let (registry, directory) = (registry.clone(), service.plugin_dir.clone());
    let finding = tokio::task::spawn_blocking(move || {
        of_directory(&registry, &directory, digest)
            .or_else(|| Some((registry.load_kept(digest)?, "what was kept in PLUGIN_CACHE_DIR".to_owned())))
    });
    finding.await.map_err(|error| CliError::Failed(format!("loading the live code ended in a panic: {error}")))
}

fn of_directory(registry: &Registry, directory: &Path, digest: Digest) -> Option<(Loaded, String)> {
    // A directory that cannot be read has nothing for us, and the answer says where was looked.
    let files = watch::list(directory).ok()?.files;
    files.into_iter().find_map(|found| {
        let component = file::read(&found.path).ok().filter(|bytes| Digest::of(bytes) == digest)?;
        Some((registry.load(component).ok()?, found.path.display().to_string()))
    })
}
