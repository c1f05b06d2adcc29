//! `cache_dir`: compiled plugins can be kept, and nobody else can put code there.

use std::path::Path;

use super::facts::Site;
use super::finding::Seen;
use super::machine;
use crate::plugin::CodeCache;

const REMEDY: &str = "give the service a directory of its own, mode 0700, or set PLUGIN_CACHE_DIR to another, or to nothing to compile at every start";

pub(super) fn cache_directory(site: &Site<'_>) -> Vec<Seen> {
    let Some(directory) = site.service.plugin_cache_dir() else {
        return vec![Seen::skipped(
            "PLUGIN_CACHE_DIR is empty, or there is no home: plugins are compiled at every start",
        )];
    };
    let shown = directory.display();
    vec![match CodeCache::new(&directory).check() {
        Ok(true) => Seen::ok(format!("{shown} is the service's own and can be written")),
        Ok(false) => match unmakable(&directory) {
            None => Seen::ok(format!("{shown} is made when there is something to keep")),
            Some(why) => Seen::warning(format!("{shown} cannot be made: {why}"), REMEDY),
        },
        Err(why) => Seen::warning(format!("{shown} is not used, plugins are compiled at every start: {why}"), REMEDY),
    }]
}

/// Why a directory that is not there cannot be made, where that is so.
fn unmakable(directory: &Path) -> Option<String> {
    let standing = directory.ancestors().skip(1).find(|above| above.symlink_metadata().is_ok())?;
    if !standing.is_dir() {
        return Some(format!("{} is no directory", standing.display()));
    }
    let refused = machine::writable(standing).err()?;
    Some(format!("{} cannot be written: {refused}", standing.display()))
}
