//! What lies in a plugin directory, and what tells one state of a file from another. Looks
//! once and remembers nothing; does not know what is in the files.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The plugin files of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Files that stand still, in the order of their paths.
    pub files: Vec<PluginFile>,
    /// Files that are still being written, in the order of their paths.
    pub unsettled: Vec<PathBuf>,
}

impl Listing {
    /// Whether a file is there, finished or not.
    pub fn has(&self, path: &Path) -> bool {
        self.files.iter().any(|file| file.path == path) || self.unsettled.iter().any(|unsettled| unsettled == path)
    }
}

/// A file that may be a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginFile {
    /// Where it lies: the directory as it was given, and the file's name.
    pub path: PathBuf,
    /// What the file was when it was looked at; behind a symlink, what the link leads to.
    pub fingerprint: Fingerprint,
}

/// What a file system says of a file without reading it. Two that differ may be the same
/// bytes; two that are equal are the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// Bytes.
    pub size: u64,
    /// When its bytes were last written, in seconds and nanoseconds since the Unix epoch.
    pub modified: (i64, i64),
    /// When anything of it was last changed. Unlike the former it cannot be set back, and it
    /// moves where a file becomes readable.
    pub changed: (i64, i64),
    /// Which file it is, within its file system.
    pub inode: u64,
}

impl Fingerprint {
    fn of(file: &Metadata) -> Self {
        Self {
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
            inode: file.ino(),
        }
    }
}

/// The `*.wasm` files of a directory and symlinks to such, without what lies deeper and
/// without names that begin with a dot, which is how tools name what they have not finished.
/// Looks once, so that nothing is `unsettled`.
///
/// # Errors
/// Where the directory is missing or cannot be read.
pub fn list(directory: &Path) -> std::io::Result<Listing> {
    let files = look(directory)?.into_iter().map(|(path, fingerprint)| PluginFile { path, fingerprint }).collect();
    Ok(Listing { files, unsettled: Vec::new() })
}

/// One look at a directory.
pub(super) type Look = BTreeMap<PathBuf, Fingerprint>;

/// What [`list`] finds, by path.
pub(super) fn look(directory: &Path) -> std::io::Result<Look> {
    let mut found = Look::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if !is_plugin_name(&path) {
            continue;
        }
        // A file that went meanwhile, a link that leads nowhere: not there.
        if let Ok(file) = std::fs::metadata(&path)
            && file.is_file()
        {
            found.insert(path, Fingerprint::of(&file));
        }
    }
    Ok(found)
}

/// Whether a file of that name may be a plugin.
pub(super) fn is_plugin_name(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "wasm")
}

impl Listing {
    /// What two looks at the same directory make together: a file stands still if both saw
    /// it alike and nobody has it open for writing.
    pub(super) fn of_two(before: &Look, after: Look, is_open: impl Fn(&Path) -> bool) -> Self {
        let mut listing = Self::default();
        for (path, fingerprint) in after {
            if before.get(&path) == Some(&fingerprint) && !is_open(&path) {
                listing.files.push(PluginFile { path, fingerprint });
            } else {
                listing.unsettled.push(path);
            }
        }
        listing
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::{Listing, list, look};

    fn names(listing: &Listing) -> Vec<&str> {
        listing.files.iter().filter_map(|file| file.path.file_name()?.to_str()).collect()
    }

    #[test]
    fn plugin_files_are_listed_in_order_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let within = |name: &str| directory.path().join(name);
        for name in ["orders.wasm", "agent.wasm", ".hidden.wasm", ".wasm", "agent.wasm.tmp", "agent.wat", "wasm"] {
            fs::write(within(name), name).unwrap();
        }
        fs::create_dir(within("deeper.wasm")).unwrap();
        fs::write(within("deeper.wasm/inner.wasm"), "inner").unwrap();
        symlink("agent.wat", within("linked.wasm")).unwrap();
        symlink("nowhere", within("broken.wasm")).unwrap();
        symlink("looping.wasm", within("looping.wasm")).unwrap();
        assert_eq!(names(&list(directory.path()).unwrap()), ["agent.wasm", "linked.wasm", "orders.wasm"]);
    }

    #[test]
    fn the_fingerprint_of_a_link_is_that_of_what_it_leads_to() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("one"), "12345").unwrap();
        symlink("one", directory.path().join("agent.wasm")).unwrap();
        assert_eq!(list(directory.path()).unwrap().files[0].fingerprint.size, 5);
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(list(&directory.path().join("missing")).is_err());
    }

    #[test]
    fn only_what_two_looks_saw_alike_stands_still() {
        let directory = tempfile::tempdir().unwrap();
        let within = |name: &str| directory.path().join(name);
        for name in ["grows.wasm", "open.wasm", "still.wasm"] {
            fs::write(within(name), "1").unwrap();
        }
        let before = look(directory.path()).unwrap();
        fs::write(within("grows.wasm"), "12").unwrap();
        fs::write(within("new.wasm"), "1").unwrap();
        let after = look(directory.path()).unwrap();
        let listing = Listing::of_two(&before, after, |path| path.ends_with("open.wasm"));
        assert_eq!(names(&listing), ["still.wasm"]);
        assert_eq!(listing.unsettled, ["grows.wasm", "new.wasm", "open.wasm"].map(within));
    }
}
