//! What is used from a directory, what is not, and what is repaired. Each load says where the
//! code came from.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::Origin::{self, Cached, Compiled};
use super::{BYTES_MAX, Bounds, CodeCache, Key, entry, file_name};
use crate::domain::Digest;
use crate::plugin::code::component;
use crate::plugin::engine::{Limits, PluginEngine};
use crate::testing::log::Log;

/// One for all tests: an engine reserves a large part of the address space.
static ENGINE: LazyLock<PluginEngine> = LazyLock::new(|| {
    let limits = Limits { memory_bytes_max: 1 << 20, ..Limits::default() };
    PluginEngine::start(limits).expect("an engine")
});

struct Host {
    engine: PluginEngine,
    directory: PathBuf,
    /// Removed with it.
    parent: TempDir,
}

impl Host {
    /// A cache in a directory that is not there yet.
    fn new() -> Self {
        Self::with_bounds(Bounds { files_max: 64, bytes_max: BYTES_MAX })
    }

    fn with_bounds(bounds: Bounds) -> Self {
        let parent = TempDir::new().expect("a directory");
        let directory = parent.path().join("made/for/plugins");
        let cache = CodeCache { bounds, ..CodeCache::new(&directory) };
        Self { engine: ENGINE.clone().with_cache(cache), directory, parent }
    }

    /// Whose directory has one plugin's code in it already.
    fn filled() -> Self {
        let host = Self::new();
        assert_eq!(host.load(0), Compiled);
        host
    }

    fn load(&self, plugin: usize) -> Origin {
        let bytes = bytes(plugin);
        component(&self.engine, &bytes, Digest::of(&bytes)).expect("a component").1
    }

    fn file(&self, plugin: usize) -> PathBuf {
        self.directory.join(file_name(&key(plugin)))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.directory).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("ASCII"));
        names.collect()
    }

    /// The file is no good, and after one load it is.
    #[track_caller]
    fn assert_repairs(&self, what: &str) {
        assert_eq!([self.load(0), self.load(0)], [Compiled, Cached], "{what}");
        assert_eq!(self.names().len(), 1, "{what}");
    }
}

/// Components that differ in a name.
fn bytes(plugin: usize) -> Vec<u8> {
    wat::parse_str(format!("(component (core module (memory (export \"m{plugin}\") 1)))")).expect("a component's text")
}

fn key(plugin: usize) -> Key {
    Key::of(Digest::of(&bytes(plugin)), &ENGINE.engine)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The log lines of `work` from level info up.
fn logged(work: impl FnOnce()) -> Vec<String> {
    let log = Log::default();
    let _listening = log.listen();
    work();
    log.lines()
}

#[test]
fn what_was_compiled_once_is_found_by_the_next_process_and_by_nobody_else() {
    let host = Host::new();
    assert_eq!([host.load(0), host.load(0), host.load(1), host.load(0)], [Compiled, Cached, Compiled, Cached]);
    let next = ENGINE.clone().with_cache(CodeCache::new(&host.directory));
    let bytes = bytes(1);
    assert_eq!(component(&next, &bytes, Digest::of(&bytes)).expect("a component").1, Cached);
    assert_eq!((mode(&host.directory), mode(&host.file(0))), (0o700, 0o600));
}

#[test]
fn without_a_cache_everything_is_compiled() {
    let host = Host { engine: ENGINE.clone(), ..Host::new() };
    assert_eq!([host.load(0), host.load(0)], [Compiled, Compiled]);
    assert!(!host.directory.exists());
}

#[test]
fn a_byte_that_has_changed_anywhere_is_found_and_repaired() {
    let host = Host::filled();
    let whole = fs::read(host.file(0)).expect("a file");
    // In the magic, both halves of the key, the length, the checksum and the code.
    for place in [0, 15, 16, 47, 48, 79, 80, 87, 88, 119, 120, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        fs::write(host.file(0), damaged).expect("a file");
        host.assert_repairs(&format!("byte {place}"));
    }
}

#[test]
fn a_file_that_is_cut_short_or_has_grown_is_found_and_repaired() {
    let host = Host::filled();
    let whole = fs::read(host.file(0)).expect("a file");
    for size in [0, 1, 119, 120, whole.len() / 2, whole.len() - 1, whole.len() + 1] {
        File::options().write(true).open(host.file(0)).expect("a file").set_len(size as u64).expect("room");
        host.assert_repairs(&format!("{size} bytes"));
    }
}

#[test]
fn a_file_larger_than_code_may_be_is_not_read() {
    let host = Host::filled();
    // Takes no room: the file has a hole.
    File::options().write(true).open(host.file(0)).expect("a file").set_len(BYTES_MAX).expect("room");
    let lines = logged(|| host.assert_repairs("a huge file"));
    assert!(lines.len() == 1 && lines[0].contains("larger than"), "{lines:?}");
}

#[test]
fn what_was_damaged_is_a_warning_and_what_is_of_another_version_is_none() {
    let host = Host::filled();
    let other = Key { compatibility: [7; 32], ..key(0) };
    let code = fs::read(host.file(0)).expect("a file").split_off(120);
    fs::write(host.file(0), [&entry::header(&other, &code)[..], &code].concat()).expect("a file");
    assert_eq!(logged(|| host.assert_repairs("another engine")), [""; 0]);

    let other = Key { component: Digest([7; 32]), ..key(0) };
    fs::write(host.file(0), [&entry::header(&other, &code)[..], &code].concat()).expect("a file");
    assert_eq!(logged(|| host.assert_repairs("another component")), [""; 0]);

    fs::write(host.file(0), "no code").expect("a file");
    let lines = logged(|| host.assert_repairs("a text"));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("WARN") && lines[0].contains("damaged"), "{lines:?}");
}

#[test]
fn whole_bytes_that_the_engine_refuses_are_replaced() {
    let host = Host::filled();
    let code = b"\x7fELF, but not further";
    fs::write(host.file(0), [&entry::header(&key(0), code)[..], code].concat()).expect("a file");
    let lines = logged(|| host.assert_repairs("no code"));
    assert!(lines.len() == 1 && lines[0].contains("refused by the engine"), "{lines:?}");
}

#[test]
fn a_directory_that_others_may_write_into_is_not_used_and_said_once() {
    for wrong in [0o770, 0o702, 0o722] {
        let host = Host::filled();
        set_mode(&host.directory, wrong);
        let lines = logged(|| assert_eq!([host.load(0), host.load(0), host.load(1)], [Compiled; 3], "{wrong:o}"));
        assert!(lines.len() == 1 && lines[0].contains("chmod go-w"), "{lines:?}");
        assert_eq!(host.names().len(), 1, "{wrong:o}");
        // Set right, it is used as before.
        set_mode(&host.directory, 0o755);
        assert_eq!([host.load(0), host.load(1)], [Cached, Compiled], "{wrong:o}");
    }
}

#[test]
fn a_file_that_others_may_write_is_not_used_but_replaced() {
    for wrong in [0o620, 0o602, 0o666] {
        let host = Host::filled();
        set_mode(&host.file(0), wrong);
        let lines = logged(|| host.assert_repairs(&format!("{wrong:o}")));
        assert!(lines.len() == 1 && lines[0].contains("chmod go-w"), "{lines:?}");
        assert_eq!(mode(&host.file(0)), 0o600);
    }
}

#[test]
fn links_are_not_followed() {
    let host = Host::filled();
    let elsewhere = host.parent.path().join("elsewhere");
    fs::rename(host.file(0), &elsewhere).expect("one file system");
    symlink(&elsewhere, host.file(0)).expect("a link");
    let lines = logged(|| host.assert_repairs("a linked file"));
    assert!(lines.len() == 1 && lines[0].contains("symbolic link"), "{lines:?}");

    let real = host.parent.path().join("real");
    fs::rename(&host.directory, &real).expect("one file system");
    symlink(&real, &host.directory).expect("a link");
    let lines = logged(|| assert_eq!([host.load(0), host.load(0)], [Compiled, Compiled]));
    assert!(lines.len() == 1 && lines[0].contains("symbolic link"), "{lines:?}");
    // The slash would have the system follow the link.
    let slashed = CodeCache::new(Path::new(&format!("{}/", host.directory.display())));
    assert!(slashed.find(&key(0)).is_none());
}

#[test]
fn what_is_no_file_is_not_used() {
    let host = Host::filled();
    fs::remove_file(host.file(0)).expect("a file");
    fs::create_dir(host.file(0)).expect("a directory");
    assert_eq!([host.load(0), host.load(0)], [Compiled, Compiled]);
    // Nothing half done is left.
    assert_eq!(host.names().len(), 1);
}

#[test]
fn a_directory_that_cannot_be_made_is_said_once() {
    let host = Host::new();
    fs::write(host.parent.path().join("made"), "a file in its place").expect("a file");
    let lines = logged(|| assert_eq!([host.load(0), host.load(0)], [Compiled, Compiled]));
    assert!(lines.len() == 1 && lines[0].contains("PLUGIN_CACHE_DIR"), "{lines:?}");
}

#[test]
fn a_directory_that_cannot_be_written_is_said_once_and_still_read() {
    if is_root() {
        // Root may write anywhere.
        return;
    }
    let host = Host::filled();
    set_mode(&host.directory, 0o500);
    let lines = logged(|| assert_eq!([host.load(0), host.load(1), host.load(2)], [Cached, Compiled, Compiled]));
    assert!(lines.len() == 1 && lines[0].contains("PLUGIN_CACHE_DIR"), "{lines:?}");
    set_mode(&host.directory, 0o700);
}

#[test]
fn what_belongs_to_somebody_else_is_not_used() {
    if !is_root() {
        // Only root may give files away.
        return;
    }
    let host = Host::filled();
    chown(host.file(0), Some(1), None).expect("root may");
    host.assert_repairs("a file of another user");
    chown(&host.directory, Some(1), None).expect("root may");
    let lines = logged(|| assert_eq!([host.load(0), host.load(1)], [Compiled, Compiled]));
    assert!(lines.len() == 1 && lines[0].contains("another user"), "{lines:?}");
    assert_eq!(host.names().len(), 1);
}

/// Sets a file's time so many minutes back.
fn age(file: &Path, minutes: u64) {
    let time = SystemTime::now() - Duration::from_secs(60 * minutes);
    File::options().write(true).open(file).expect("a file").set_modified(time).expect("it is ours");
}

#[test]
fn the_least_recently_used_goes_first() {
    let host = Host::with_bounds(Bounds { files_max: 3, bytes_max: BYTES_MAX });
    for plugin in 0..3 {
        host.load(plugin);
        age(&host.file(plugin), 30 - plugin as u64);
    }
    // The oldest, but just used.
    assert_eq!(host.load(0), Cached);
    assert_eq!(host.load(3), Compiled);
    assert_eq!(host.names().len(), 3);
    assert!(!host.file(1).exists());
    assert_eq!([host.load(0), host.load(2), host.load(3)], [Cached; 3]);
}

#[test]
fn bytes_are_bounded_and_the_newest_stays_whatever_its_size_and_the_clock() {
    let size = fs::metadata(Host::filled().file(0)).expect("a file").len();
    let host = Host::with_bounds(Bounds { files_max: 64, bytes_max: 2 * size + size / 2 });
    for plugin in 0..4 {
        host.load(plugin);
    }
    assert_eq!(host.names().len(), 2);
    assert_eq!(host.load(3), Cached);

    let tiny = Host::with_bounds(Bounds { files_max: 64, bytes_max: 1 });
    tiny.load(0);
    let future = SystemTime::now() + Duration::from_secs(3_600);
    File::options().write(true).open(tiny.file(0)).expect("a file").set_modified(future).expect("it is ours");
    assert_eq!([tiny.load(1), tiny.load(1)], [Compiled, Cached]);
    assert_eq!(tiny.names().len(), 1);
}

#[test]
fn only_the_cache_s_own_files_are_let_go() {
    let host = Host::with_bounds(Bounds { files_max: 1, bytes_max: BYTES_MAX });
    host.load(0);
    let foreign = host.directory.join("notes.txt");
    fs::write(&foreign, "not to be lost").expect("a file");
    // As a crash leaves it behind.
    let half = host.directory.join(format!("new-0-{}", file_name(&key(5))));
    fs::write(&half, "half").expect("a file");
    set_mode(&half, 0o600);
    host.load(1);
    assert!(foreign.exists() && host.file(1).exists());
    assert_eq!(host.names().len(), 2);
}
