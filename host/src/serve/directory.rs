//! What the plugin directory holds, and going by it: which file brings which domain, and what
//! becomes of one whose file goes.

use std::path::{Path, PathBuf};

use super::admission::{Candidate, Refused};
use super::background::in_background;
use super::loader::Loader;
use super::status::{Origin, Refusal};
use crate::domain::{Digest, Generation};
use crate::name::Name;
use crate::registry::{FileError, Loaded};
use crate::watch::{Fingerprint, Listing, PluginFile};

/// A file that was looked into.
pub(super) struct Known {
    pub(super) fingerprint: Fingerprint,
    pub(super) domain: Option<Name>,
    pub(super) digest: Option<Digest>,
}

/// A file that was found at start, and what loading it came to.
pub(super) struct Found {
    pub(super) file: PluginFile,
    pub(super) loaded: Result<Loaded, FileError>,
}

impl Loader {
    /// Goes by what the directory holds now.
    pub(super) async fn directory_changed(&mut self, listing: &Listing) {
        let fresh: Vec<PluginFile> = listing.files.iter().filter(|file| self.is_fresh(file)).cloned().collect();
        let gone: Vec<PathBuf> = self.files.keys().filter(|path| !listing.has(path)).cloned().collect();
        for path in &gone {
            self.files.remove(path);
            self.status.forget(&Origin::File(path.clone()));
        }
        for file in fresh {
            let loaded = self.load_file(&file.path).await;
            if let Some(candidate) = self.noted(&file, loaded).await {
                self.offer(candidate, &file.path).await;
            }
        }
        self.leave_files().await;
    }

    fn is_fresh(&self, file: &PluginFile) -> bool {
        self.files.get(&file.path).is_none_or(|known| known.fingerprint != file.fingerprint)
    }

    /// Where the file of a domain is gone, or brings another domain now, another file that brings
    /// the same one takes its place, else the domain is retired.
    async fn leave_files(&mut self) {
        let left: Vec<(Name, Origin)> = self
            .served
            .iter()
            .filter(|(domain, served)| self.has_left(domain, &served.origin))
            .map(|(domain, served)| (domain.clone(), served.origin.clone()))
            .collect();
        for (domain, origin) in left {
            if !self.is_taken_over(&domain, &origin).await {
                self.retire(&domain, &origin).await;
            }
        }
    }

    /// Whether a domain's file brings it no more. Of one that became something else than a plugin,
    /// nothing is known, and what is live stays.
    fn has_left(&self, domain: &Name, origin: &Origin) -> bool {
        let Origin::File(path) = origin else { return false };
        self.files.get(path).is_none_or(|known| known.domain.as_ref().is_some_and(|brought| brought != domain))
    }

    /// Tries the files that bring a domain until one serves it.
    async fn is_taken_over(&mut self, domain: &Name, left: &Origin) -> bool {
        let brings = |known: &Known| known.domain.as_ref() == Some(domain);
        let others: Vec<PathBuf> =
            self.files.iter().filter(|(_, known)| brings(known)).map(|(path, _)| path.clone()).collect();
        for path in others {
            if let Ok(loaded) = self.load_file(&path).await {
                self.offer(Candidate::of(loaded, Origin::File(path.clone())), &path).await;
            }
            if self.served.get(domain).is_some_and(|served| served.origin != *left) {
                return true;
            }
        }
        false
    }

    pub(super) async fn load_file(&self, path: &Path) -> Result<Loaded, FileError> {
        let (registry, path) = (self.around.registry.clone(), path.to_path_buf());
        let loading = in_background(move || registry.load_file(&path));
        loading.await.unwrap_or_else(|error| Err(std::io::Error::other(error).into()))
    }

    /// Remembers that a file was looked into, and what it is; one that is no plugin is refused.
    pub(super) async fn noted(&mut self, file: &PluginFile, loaded: Result<Loaded, FileError>) -> Option<Candidate> {
        let origin = Origin::File(file.path.clone());
        let (fingerprint, mut known) = (file.fingerprint, Known::new(file.fingerprint));
        let candidate = match loaded {
            Ok(loaded) => {
                let (description, digest) = (loaded.plugin.description(), loaded.plugin.digest());
                tracing::info!(file = %file.path.display(), domain = %description.domain, version = description.version, %digest, code = %loaded.plugin.code_origin(), "plugin loaded");
                known = Known { fingerprint, domain: Some(description.domain.clone()), digest: Some(digest) };
                Some(Candidate::of(loaded, origin))
            }
            Err(error) => {
                self.refuse(Refusal::of_file(origin, error.to_string())).await;
                None
            }
        };
        self.files.insert(file.path.clone(), known);
        candidate
    }

    async fn offer(&mut self, candidate: Candidate, path: &Path) {
        match self.offer_file(candidate, path).await {
            Ok(()) => {}
            Err(Refused::Code(refusal)) => self.refuse(*refusal).await,
            Err(Refused::Serve(error)) => {
                self.refuse(Refusal::of_file(Origin::File(path.to_path_buf()), error.to_string())).await;
            }
        }
    }

    /// Offers a file's code, unless another file serves its domain.
    pub(super) async fn offer_file(&mut self, candidate: Candidate, path: &Path) -> Result<(), Refused> {
        let domain = candidate.domain().clone();
        let left = self.served.get(&domain).is_some_and(|served| self.has_left(&domain, &served.origin));
        if let Some(served) = self.served.get_mut(&domain) {
            if let Origin::File(other) = &served.origin
                && other != path
                && !left
            {
                let why =
                    format!("another file brings the same domain and is live: {}. Remove one of them", other.display());
                return Err(candidate.refused(why, None));
            }
            if served.live.digest() == candidate.digest() {
                served.origin = candidate.origin.clone();
                self.tell_status(&domain);
                return Ok(());
            }
        }
        self.admit(candidate).await.map(drop)
    }
}

impl Known {
    fn new(fingerprint: Fingerprint) -> Self {
        Self { fingerprint, domain: None, digest: None }
    }
}
