//! The watch over real directories, changed as people, build tools and Kubernetes do.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use super::{DirectoryWatch, Listing, PACE, Pace, list, watch_by_events};

/// How long a test waits for what must come: longer than any pace, on a busy machine.
const COMES: Duration = Duration::from_secs(15);
/// How long a test waits for what must not come: several quiet times.
const COMES_NOT: Duration = Duration::from_millis(500);

/// A directory for plugins within one that is thrown away.
struct Place {
    outer: TempDir,
    plugins: PathBuf,
}

impl Place {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        let plugins = outer.path().join("plugins");
        fs::create_dir(&plugins).unwrap();
        Self { outer, plugins }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.plugins.join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    /// As tools do that know of readers: beside it, then in its place.
    fn replace(&self, name: &str, content: &str) {
        self.write(".fresh", content);
        fs::rename(self.path(".fresh"), self.path(name)).unwrap();
    }

    fn watch(&self) -> DirectoryWatch {
        DirectoryWatch::start(&self.plugins).unwrap()
    }

    fn watch_at(&self, pace: Pace) -> DirectoryWatch {
        DirectoryWatch::begin(&self.plugins, pace, watch_by_events).unwrap()
    }
}

async fn next(watch: &mut DirectoryWatch) -> Listing {
    timeout(COMES, watch.settled()).await.expect("the watch tells of the change")
}

async fn comes(watch: &mut DirectoryWatch) -> bool {
    timeout(COMES_NOT, watch.settled()).await.is_ok()
}

/// Names and contents of the files that stand still.
fn contents(listing: &Listing) -> Vec<(String, String)> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    listing.files.iter().map(|file| (name(&file.path), fs::read_to_string(&file.path).unwrap())).collect()
}

fn one(name: &str, content: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), content.to_owned())]
}

#[tokio::test]
async fn a_new_file_is_told_once() {
    let place = Place::new();
    let mut watch = place.watch();
    place.write("agent.wasm", "one");
    let listing = next(&mut watch).await;
    assert_eq!(contents(&listing), one("agent.wasm", "one"));
    assert_eq!(listing, list(&place.plugins).unwrap());
    assert!(!comes(&mut watch).await);
}

#[tokio::test]
async fn what_changes_no_plugin_file_is_not_told() {
    let place = Place::new();
    place.write("agent.wasm", "one");
    let mut watch = place.watch();
    place.write("notes.txt", "one");
    place.write(".agent.wasm", "one");
    fs::read(place.path("agent.wasm")).unwrap();
    assert!(!comes(&mut watch).await);
}

#[tokio::test]
async fn a_file_replaced_by_another_of_its_size_is_told() {
    let place = Place::new();
    place.write("agent.wasm", "one");
    let mut watch = place.watch();
    let before = list(&place.plugins).unwrap();
    place.replace("agent.wasm", "two");
    let listing = next(&mut watch).await;
    assert_eq!(contents(&listing), one("agent.wasm", "two"));
    assert_ne!(listing.files[0].fingerprint, before.files[0].fingerprint);
}

#[tokio::test]
async fn a_file_rewritten_in_two_halves_is_unsettled_until_its_writer_closes_it() {
    let place = Place::new();
    place.write("agent.wasm", "old");
    place.write("orders.wasm", "still");
    let mut watch = place.watch();

    let mut writer = File::create(place.path("agent.wasm")).unwrap();
    writer.write_all(b"first ").unwrap();
    let listing = next(&mut watch).await;
    assert_eq!(contents(&listing), one("orders.wasm", "still"));
    assert_eq!(listing.unsettled, [place.path("agent.wasm")]);

    writer.write_all(b"second").unwrap();
    assert!(!comes(&mut watch).await);
    drop(writer);
    let listing = next(&mut watch).await;
    assert_eq!(contents(&listing)[0], ("agent.wasm".to_owned(), "first second".to_owned()));
    assert!(listing.unsettled.is_empty());
}

#[tokio::test]
async fn a_file_made_empty_waits_for_its_writer() {
    let place = Place::new();
    let mut watch = place.watch();
    let writer = File::create(place.path("agent.wasm")).unwrap();
    assert_eq!(next(&mut watch).await.unsettled, [place.path("agent.wasm")]);
    drop(writer);
    assert_eq!(contents(&next(&mut watch).await), one("agent.wasm", ""));
}

#[tokio::test]
async fn a_writer_that_never_closes_does_not_block_for_ever() {
    let place = Place::new();
    let patience = Duration::from_millis(700);
    let mut watch = place.watch_at(Pace { patience, look_interval: Duration::from_millis(200), ..PACE });
    let mut writer = File::create(place.path("agent.wasm")).unwrap();
    writer.write_all(b"all of it").unwrap();
    assert_eq!(next(&mut watch).await.unsettled, [place.path("agent.wasm")]);
    assert_eq!(contents(&next(&mut watch).await), one("agent.wasm", "all of it"));
    drop(writer);
}

#[tokio::test]
async fn a_file_that_never_rests_does_not_keep_back_the_others() {
    let place = Place::new();
    place.write("busy.wasm", "0");
    let mut watch = place.watch_at(Pace { changing_max: Duration::from_millis(300), ..PACE });
    let mut busy = OpenOptions::new().append(true).open(place.path("busy.wasm")).unwrap();
    let enough = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let enough = Arc::clone(&enough);
        move || {
            while !enough.load(Ordering::Relaxed) {
                busy.write_all(b"0").unwrap();
            }
        }
    });
    place.replace("agent.wasm", "one");
    let listing = next(&mut watch).await;
    enough.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!(contents(&listing), one("agent.wasm", "one"));
    assert_eq!(listing.unsettled, [place.path("busy.wasm")]);
    assert_eq!(next(&mut watch).await.files.len(), 2);
}

#[tokio::test]
async fn a_link_swapped_as_kubernetes_does_is_told() {
    let place = Place::new();
    for (version, content) in [("..2026_1", "one"), ("..2026_2", "two")] {
        fs::create_dir(place.path(version)).unwrap();
        place.write(&format!("{version}/agent.wasm"), content);
    }
    symlink("..2026_1", place.path("..data")).unwrap();
    symlink("..data/agent.wasm", place.path("agent.wasm")).unwrap();
    let mut watch = place.watch();

    symlink("..2026_2", place.path("..data_tmp")).unwrap();
    fs::rename(place.path("..data_tmp"), place.path("..data")).unwrap();
    fs::remove_dir_all(place.path("..2026_1")).unwrap();
    assert_eq!(contents(&next(&mut watch).await), one("agent.wasm", "two"));
}

#[tokio::test]
async fn a_link_whose_target_lies_elsewhere_is_looked_after() {
    let place = Place::new();
    let built = place.outer.path().join("built.wasm");
    fs::write(&built, "one").unwrap();
    symlink(&built, place.path("agent.wasm")).unwrap();
    let mut watch = place.watch();
    fs::write(&built, "other").unwrap();
    let listing = next(&mut watch).await;
    assert_eq!(contents(&listing), one("agent.wasm", "other"));
}

#[tokio::test]
async fn a_removed_file_is_told() {
    let place = Place::new();
    place.write("agent.wasm", "one");
    let mut watch = place.watch();
    fs::remove_file(place.path("agent.wasm")).unwrap();
    assert_eq!(next(&mut watch).await, Listing::default());
}

#[tokio::test]
async fn many_replacements_in_a_row_end_with_the_last() {
    let place = Place::new();
    let mut watch = place.watch();
    for number in 0..10 {
        place.replace("agent.wasm", &number.to_string());
    }
    let mut told = vec![next(&mut watch).await];
    while let Ok(listing) = timeout(COMES_NOT, watch.settled()).await {
        told.push(listing);
    }
    assert!(told.len() <= 3, "told {} times", told.len());
    assert_eq!(told.last().unwrap(), &list(&place.plugins).unwrap());
    assert_eq!(contents(told.last().unwrap()), one("agent.wasm", "9"));
}

#[tokio::test]
async fn a_change_before_anybody_waits_is_not_lost() {
    let place = Place::new();
    let mut watch = place.watch();
    place.write("agent.wasm", "one");
    // Waits too short for an answer, dropped where the watch stood.
    for _ in 0..5 {
        assert!(timeout(PACE.quiet / 10, watch.settled()).await.is_err());
    }
    assert_eq!(contents(&next(&mut watch).await), one("agent.wasm", "one"));
}

#[tokio::test]
async fn a_directory_that_is_missing_at_first_may_come_later() {
    let place = Place::new();
    fs::remove_dir(&place.plugins).unwrap();
    let mut watch = place.watch();
    fs::create_dir(&place.plugins).unwrap();
    place.write("agent.wasm", "one");
    assert_eq!(contents(&next(&mut watch).await), one("agent.wasm", "one"));
    assert!(watch.armed.is_some());
}

#[tokio::test]
async fn a_directory_removed_and_made_again_is_watched_again() {
    let place = Place::new();
    place.write("agent.wasm", "one");
    let mut watch = place.watch();
    fs::remove_dir_all(&place.plugins).unwrap();
    assert_eq!(next(&mut watch).await, Listing::default());
    fs::create_dir(&place.plugins).unwrap();
    place.write("agent.wasm", "two");
    assert_eq!(contents(&next(&mut watch).await), one("agent.wasm", "two"));
    assert!(watch.armed.is_some());
}

#[tokio::test]
async fn events_of_a_directory_that_was_replaced_are_those_of_the_new_one() {
    let place = Place::new();
    place.write("agent.wasm", "one");
    // Found by events alone.
    let mut watch = place.watch_at(Pace { look_interval: 10 * COMES, ..PACE });
    let former = place.outer.path().join("former");
    fs::rename(&place.plugins, &former).unwrap();
    fs::create_dir(&place.plugins).unwrap();
    place.write("agent.wasm", "two");
    assert_eq!(contents(&next(&mut watch).await), one("agent.wasm", "two"));
    place.replace("agent.wasm", "three");
    assert_eq!(contents(&next(&mut watch).await), one("agent.wasm", "three"));
    fs::write(former.join("orders.wasm"), "late").unwrap();
    assert!(!comes(&mut watch).await);
}

#[tokio::test]
async fn without_watches_left_the_directory_is_looked_at() {
    let place = Place::new();
    let pace = Pace { look_interval: Duration::from_millis(200), ..PACE };
    let refused: super::Arm = |_, _| Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch));
    let mut watch = DirectoryWatch::begin(&place.plugins, pace, refused).unwrap();
    place.write("agent.wasm", "one");
    assert_eq!(contents(&next(&mut watch).await), one("agent.wasm", "one"));
    place.replace("agent.wasm", "two");
    assert_eq!(contents(&next(&mut watch).await), one("agent.wasm", "two"));
}

#[tokio::test]
async fn a_file_in_place_of_the_directory_is_named() {
    let place = Place::new();
    place.write("agent.wasm", "one");
    let Err(error) = DirectoryWatch::start(&place.path("agent.wasm")) else { panic!("a file was watched") };
    let text = error.to_string();
    assert!(text.contains("agent.wasm cannot be listed: "), "{text}");
}
