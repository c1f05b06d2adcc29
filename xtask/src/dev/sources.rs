//! Whether files under some directories have changed and stand still again. It must not know what
//! is made of them.
//!
//! It looks instead of being told: the few dozen files of a plugin are looked through in less than
//! a millisecond, on any file system, and this crate stays light.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How long nothing may have changed: an editor writes several files, and a formatter after it.
const QUIET: Duration = Duration::from_millis(300);

/// Deeper than any plugin's sources lie; a link to above must not lead round and round.
const DEPTH_MAX: usize = 8;

/// What a file looked like.
type Look = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Files under watch.
pub(super) struct Sources {
    roots: Vec<PathBuf>,
    seen: Look,
    /// When the last change was seen that was not told yet.
    changed: Option<Instant>,
}

impl Sources {
    /// Watches files and directories, which may be missing, from now on.
    pub(super) fn new(roots: Vec<PathBuf>) -> Self {
        let seen = look(&roots);
        Self { roots, seen, changed: None }
    }

    /// Looks. `true` once for all changes that lie close together, when they are over.
    pub(super) fn have_changed(&mut self, now: Instant) -> bool {
        let found = look(&self.roots);
        if found != self.seen {
            self.seen = found;
            self.changed = Some(now);
        }
        let over = self.changed.is_some_and(|changed| now.saturating_duration_since(changed) >= QUIET);
        if over {
            self.changed = None;
        }
        over
    }
}

fn look(roots: &[PathBuf]) -> Look {
    let mut found = Look::new();
    roots.iter().for_each(|root| add(root, DEPTH_MAX, &mut found));
    found
}

/// What cannot be read at this moment is being replaced, and the next look finds it.
fn add(path: &Path, depth: usize, found: &mut Look) {
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.is_dir() {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.take_while(|_| depth > 0).for_each(|entry| add(&entry.path(), depth - 1, found));
    } else if is_source(path)
        && let Ok(modified) = metadata.modified()
    {
        found.insert(path.to_owned(), (modified, metadata.len()));
    }
}

/// Editors leave files of their own beside those that are built.
fn is_source(path: &Path) -> bool {
    let named = path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."));
    named && path.extension().is_some_and(|ending| ["rs", "toml", "wit"].iter().any(|known| ending == *known))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use super::Sources;

    #[test]
    fn changes_that_lie_close_together_are_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        fs::create_dir(file("inner")).unwrap();
        fs::write(file("lib.rs"), "one").unwrap();
        let (mut sources, begun) = (Sources::new(vec![directory.path().to_owned()]), Instant::now());
        let mut look = |ms| sources.have_changed(begun + Duration::from_millis(ms));

        assert!(!look(0) && !look(1_000), "nothing has changed");
        fs::write(file("lib.rs"), "longer").unwrap();
        assert!(!look(1_100), "it may go on changing");
        fs::write(file("inner/new.rs"), "new").unwrap();
        assert!(!look(1_200) && !look(1_400), "not quiet for long enough");
        assert!(look(1_500) && !look(2_000), "once");
        fs::remove_file(file("inner/new.rs")).unwrap();
        assert!(!look(3_000) && look(3_300), "a file that is gone is a change");
    }

    #[test]
    fn what_is_not_built_is_no_source() {
        let directory = tempfile::tempdir().unwrap();
        let mut sources = Sources::new(vec![directory.path().to_owned(), directory.path().join("missing")]);
        for name in [".lib.rs.swp", ".#lib.rs", "lib.rs~", "notes"] {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        let begun = Instant::now();
        assert!(!sources.have_changed(begun) && !sources.have_changed(begun + Duration::from_secs(1)));
    }
}
