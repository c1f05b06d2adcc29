//! What the system's events say about a directory: that something changed and when, which
//! files are open for writing, and whether the directory itself went. Does not look at the
//! directory. However many events come, what is kept has a bound.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::listing::is_plugin_name;

/// Files that are remembered as open at once. More are judged by their fingerprints alone.
const OPEN_FILES_MAX: usize = 1_024;

/// Written by the thread that receives the events, read by the watch.
pub(super) struct Signs {
    /// The directory, absolute, as events name it.
    directory: PathBuf,
    seen: Mutex<Seen>,
    /// However often it is told before somebody listens, it wakes once.
    changed: Notify,
}

struct Seen {
    last_change: Instant,
    /// Files that were written to and not closed since, with the time of the last write.
    open: BTreeMap<OsString, Instant>,
    /// Whether the directory that was watched is no longer the one at its path.
    directory_gone: bool,
}

impl Signs {
    pub(super) fn of(directory: PathBuf) -> Self {
        let seen = Seen { last_change: Instant::now(), open: BTreeMap::new(), directory_gone: false };
        Self { directory, seen: Mutex::new(seen), changed: Notify::new() }
    }

    /// Completes when something has changed since it last completed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Notes that something changed, now.
    pub(super) fn note_change(&self) {
        self.seen().last_change = Instant::now();
        self.changed.notify_one();
    }

    /// When something last changed.
    pub(super) fn last_change(&self) -> Instant {
        self.seen().last_change
    }

    /// Whether the file was written to, and not closed since, within that time.
    pub(super) fn is_open(&self, file: &Path, patience: Duration) -> bool {
        let written = file.file_name().and_then(|name| self.seen().open.get(name).copied());
        written.is_some_and(|written| written.elapsed() < patience)
    }

    /// Whether the directory that was watched went; no longer true when asked again.
    pub(super) fn take_directory_gone(&self) -> bool {
        std::mem::take(&mut self.seen().directory_gone)
    }

    /// Forgets which files are open: nobody will be told when they are closed.
    pub(super) fn forget_open(&self) {
        self.seen().open.clear();
    }

    /// Takes note of what the system reports.
    pub(super) fn note(&self, event: notify::Result<Event>) {
        // An error stands for events that were lost, and so does an overflow, which comes
        // with no path: worth a look, like any event.
        let Ok(event) = event else { return self.note_change() };
        if let EventKind::Access(access) = event.kind
            && access != AccessKind::Close(AccessMode::Write)
        {
            // Reading, which the host does itself.
            return;
        }
        self.note_writers(&event);
        self.note_change();
    }

    fn note_writers(&self, event: &Event) {
        let Some(path) = event.paths.first() else { return };
        let mut seen = self.seen();
        if *path == self.directory {
            seen.directory_gone |= matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
            return;
        }
        let Some(name) = path.file_name() else { return };
        match event.kind {
            // Links are made as well, and nobody closes those: a new file is open if it is
            // empty, and else its first write will tell.
            EventKind::Create(CreateKind::File) if is_plugin_name(path) && is_empty_file(path) => seen.open(name),
            EventKind::Modify(ModifyKind::Data(_)) if is_plugin_name(path) => seen.open(name),
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => seen.rename(name, event.paths.get(1)),
            EventKind::Access(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                seen.open.remove(name);
            }
            _ => {}
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Every change of it is complete at each step.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn open(&mut self, name: &OsStr) {
        if self.open.len() < OPEN_FILES_MAX || self.open.contains_key(name) {
            self.open.insert(name.to_owned(), Instant::now());
        } else {
            // Names that nobody closed are all that can have gathered.
            self.open.clear();
        }
    }

    /// A file keeps its writer under its new name.
    fn rename(&mut self, from: &OsStr, to: Option<&PathBuf>) {
        let Some(written) = self.open.remove(from) else { return };
        if let Some(to) = to.filter(|to| is_plugin_name(to)).and_then(|to| to.file_name()) {
            self.open.insert(to.to_owned(), written);
        }
    }
}

fn is_empty_file(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use notify::event::{AccessKind, AccessMode, DataChange, Event, EventKind, ModifyKind, RemoveKind, RenameMode};

    use super::{OPEN_FILES_MAX, Signs};

    const LONG: Duration = Duration::from_secs(600);
    const WRITE: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSE: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

    fn signs() -> Signs {
        Signs::of("/plugins".into())
    }

    fn note(signs: &Signs, kind: EventKind, paths: &[&str]) {
        let event = paths.iter().fold(Event::new(kind), |event, path| event.add_path(path.into()));
        signs.note(Ok(event));
    }

    fn is_open(signs: &Signs, path: &str) -> bool {
        signs.is_open(path.as_ref(), LONG)
    }

    #[test]
    fn a_file_is_open_from_its_first_write_until_it_is_closed_or_goes() {
        for end in [CLOSE, EventKind::Remove(RemoveKind::File), EventKind::Modify(ModifyKind::Name(RenameMode::To))] {
            let signs = signs();
            note(&signs, WRITE, &["/plugins/a.wasm"]);
            assert!(is_open(&signs, "/plugins/a.wasm"));
            assert!(!is_open(&signs, "/plugins/b.wasm"));
            note(&signs, end, &["/plugins/a.wasm"]);
            assert!(!is_open(&signs, "/plugins/a.wasm"), "{end:?}");
        }
    }

    #[test]
    fn patience_with_an_open_file_ends() {
        let signs = signs();
        note(&signs, WRITE, &["/plugins/a.wasm"]);
        assert!(!signs.is_open("/plugins/a.wasm".as_ref(), Duration::ZERO));
    }

    #[test]
    fn an_open_file_is_open_under_its_new_name() {
        let signs = signs();
        note(&signs, WRITE, &["/plugins/a.wasm"]);
        note(&signs, EventKind::Modify(ModifyKind::Name(RenameMode::Both)), &["/plugins/a.wasm", "/plugins/b.wasm"]);
        assert!(!is_open(&signs, "/plugins/a.wasm"));
        assert!(is_open(&signs, "/plugins/b.wasm"));
    }

    #[test]
    fn reading_is_no_change() {
        let signs = signs();
        let before = signs.last_change();
        note(&signs, EventKind::Access(AccessKind::Open(AccessMode::Any)), &["/plugins/a.wasm"]);
        assert_eq!(signs.last_change(), before);
        note(&signs, CLOSE, &["/plugins/a.wasm"]);
        assert!(signs.last_change() > before);
    }

    #[test]
    fn only_the_directory_itself_can_be_gone() {
        let signs = signs();
        note(&signs, EventKind::Remove(RemoveKind::Folder), &["/plugins/deeper"]);
        assert!(!signs.take_directory_gone());
        note(&signs, EventKind::Remove(RemoveKind::Folder), &["/plugins"]);
        assert!(signs.take_directory_gone());
        assert!(!signs.take_directory_gone());
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let signs = signs();
        for number in 0..3 * OPEN_FILES_MAX {
            note(&signs, WRITE, &[&format!("/plugins/{number}.wasm")]);
            assert!(signs.seen().open.len() <= OPEN_FILES_MAX);
        }
    }
}
