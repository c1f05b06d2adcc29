//! `plugin_dir`, `plugins`, `signatures`: what the plugin directory holds and whether a host would
//! serve it.

use std::collections::BTreeMap;
use std::path::Path;

use super::facts::Site;
use super::finding::Seen;
use super::shelf::{Lying, Unread};
use crate::registry::FileError;

pub(super) fn directory(site: &Site<'_>) -> Vec<Seen> {
    let directory = site.service.plugin_dir.display();
    vec![match &site.shelf.files {
        Ok(files) if files.is_empty() => Seen::warning(
            format!("{directory} holds no *.wasm file: nothing would be served"),
            "put a plugin there, or set PLUGIN_DIR to where they are",
        ),
        Ok(files) => Seen::ok(format!("{directory} holds {} plugins", files.len())),
        Err(Unread::Directory(error)) => Seen::failure(
            format!("{directory} cannot be read: {error}"),
            "set PLUGIN_DIR to a directory that the service's user can read",
        ),
        // The directory itself could be read.
        Err(Unread::Engine(_)) => Seen::ok(format!("{directory} can be read")),
        Err(Unread::Elsewhere(why)) => Seen::skipped(why),
    }]
}

pub(super) fn plugins(site: &Site<'_>) -> Vec<Seen> {
    let files = match &site.shelf.files {
        Ok(files) => files,
        Err(Unread::Engine(error)) => {
            let remedy = "see that the machine allows executable memory, and enough address space (`ulimit -v`)";
            return vec![Seen::failure(format!("no component engine starts: {error}"), remedy)];
        }
        Err(_) => return vec![Seen::skipped("there is no directory of plugins to look at")],
    };
    let mut seen: Vec<Seen> = files.iter().map(|file| judge(file).about(name(&file.path))).collect();
    seen.extend(twice(files));
    if seen.is_empty() {
        seen.push(Seen::skipped("there are none"));
    }
    seen
}

fn judge(file: &Lying) -> Seen {
    match &file.loaded {
        Ok(Some(about)) => Seen::ok(format!("{} {} can be served", about.domain, about.version)),
        Ok(None) => Seen::skipped(format!(
            "it was not compiled here yet, which is left to the service: `agent-service plugin inspect {}` does it now",
            file.path.display()
        )),
        Err(FileError::Untrusted(_)) => Seen::skipped("it was not looked into: its signature is refused"),
        Err(FileError::Unreadable(error)) => {
            Seen::failure(format!("it cannot be read: {error}"), "let the service's user read it, or take it away")
        }
        Err(FileError::Refused(error)) => Seen::failure(error.to_string(), "put a plugin in its place"),
    }
}

/// Two files that bring one domain: which of them is served is chance to whoever looks.
fn twice(files: &[Lying]) -> Vec<Seen> {
    let mut by_domain: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in files {
        if let Ok(Some(about)) = &file.loaded {
            by_domain.entry(about.domain.as_str()).or_default().push(name(&file.path));
        }
    }
    let several = by_domain.into_iter().filter(|(_, files)| files.len() > 1);
    several
        .map(|(domain, files)| {
            let text = format!("{} all bring the domain {domain}, and one of them is served", files.join(", "));
            Seen::warning(text, "leave one in the directory").about(domain)
        })
        .collect()
}

pub(super) fn signatures(site: &Site<'_>) -> Vec<Seen> {
    let Ok(files) = &site.shelf.files else {
        return vec![Seen::skipped("there is no directory of plugins to look at")];
    };
    if site.service.plugin_trusted_keys.is_empty() {
        let why = "PLUGIN_TRUSTED_KEYS is not set: whoever can write to PLUGIN_DIR decides what runs";
        return vec![Seen::skipped(why)];
    }
    let remedy = "sign it with `agent-service plugin sign`, or add its signer's public key to PLUGIN_TRUSTED_KEYS";
    let mut seen: Vec<Seen> = files
        .iter()
        .filter_map(|file| match &file.loaded {
            Err(FileError::Untrusted(error)) => Some(Seen::failure(error.to_string(), remedy).about(name(&file.path))),
            _ => None,
        })
        .collect();
    if seen.is_empty() {
        seen.push(Seen::ok("every plugin is signed by a key that is trusted"));
    }
    seen
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
