//! The plugin directory, watched. Tells which files stand still once something has changed;
//! does not read them, and knows nothing of plugins.
//!
//! The system's events make it quick, a look at the directory every now and then makes it
//! sure: of a directory that is made, removed or replaced, of links that lead elsewhere, of
//! file systems that report nothing, and where the system has no watches left to give.

mod listing;
mod signs;
#[cfg(test)]
mod tests;

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::time::{Instant, sleep_until};

pub use listing::{Fingerprint, Listing, PluginFile, list};
use listing::{Look, look};
use signs::Signs;

/// How patient a watch is.
#[derive(Clone, Copy)]
struct Pace {
    /// How long nothing may have happened before the directory counts as quiet.
    quiet: Duration,
    /// How long changes may go on before those files are told that stand still meanwhile.
    changing_max: Duration,
    /// How often to look where no event calls.
    look_interval: Duration,
    /// How long a file counts as open after its last write if nobody says that it was closed.
    patience: Duration,
}

const PACE: Pace = Pace {
    // Longer than a copy pauses between two writes, shorter than a person notices.
    quiet: Duration::from_millis(100),
    // One file that never rests must not keep back the others for longer than people wait.
    changing_max: Duration::from_secs(2),
    // A directory made anew is served while whoever made it still looks; a look costs some
    // microseconds.
    look_interval: Duration::from_secs(2),
    // An upload may stall for seconds; an event that was lost must not block for ever.
    patience: Duration::from_secs(10),
};

/// A directory under watch.
pub struct DirectoryWatch {
    directory: PathBuf,
    pace: Pace,
    signs: Arc<Signs>,
    arm: Arm,
    armed: Option<Armed>,
    /// Whether it was said that no events come.
    warned_of_no_events: bool,
    /// Whether it was said that the directory cannot be read.
    warned_of_no_look: bool,
    /// What the last look saw.
    seen: Look,
    /// What was told last.
    told: Listing,
    /// Since when something is changing that was not told yet.
    changing_since: Option<Instant>,
    next_look: Instant,
}

impl DirectoryWatch {
    /// Watches a directory from now on. It may be missing, and come later.
    ///
    /// # Errors
    /// [`WatchError`] where something is there that cannot be listed.
    pub fn start(directory: &Path) -> Result<Self, WatchError> {
        Self::begin(directory, PACE, watch_by_events)
    }

    fn begin(directory: &Path, pace: Pace, arm: Arm) -> Result<Self, WatchError> {
        let unreadable = |source| WatchError { directory: directory.to_owned(), source };
        let signs = Arc::new(Signs::of(std::path::absolute(directory).map_err(unreadable)?));
        let mut watch = Self {
            directory: directory.to_owned(),
            pace,
            signs: Arc::clone(&signs),
            arm,
            armed: None,
            warned_of_no_events: false,
            warned_of_no_look: false,
            seen: Look::new(),
            told: Listing::default(),
            changing_since: None,
            next_look: Instant::now() + pace.look_interval,
        };
        // Armed first: what changes after the look is an event.
        watch.take(Armed::new(directory, &signs, arm));
        watch.seen = look_if_present(directory).map_err(unreadable)?;
        watch.told = Listing::of_two(&watch.seen, watch.seen.clone(), |_| false);
        Ok(watch)
    }

    /// Completes when other files stand still, or are being written, than when it last
    /// completed or the watch began: after a change, once the directory has been quiet for
    /// 100 ms, at latest after 2 s. While files are `unsettled` it will complete again.
    ///
    /// Dropped before it completes, it has lost nothing; the quiet time begins anew.
    pub async fn settled(&mut self) -> Listing {
        loop {
            let since = match self.changing_since {
                Some(since) => since,
                None => self.change().await,
            };
            match self.settle(since).await {
                Ok(listing) if listing != self.told => {
                    self.changing_since = None;
                    self.told = listing.clone();
                    return listing;
                }
                Ok(_) => {}
                Err(error) => self.warn_of_no_look(&error),
            }
            self.changing_since = None;
        }
    }

    /// Waits until something has changed, and notes since when.
    async fn change(&mut self) -> Instant {
        loop {
            tokio::select! {
                () = self.signs.changed() => break,
                () = sleep_until(self.next_look) => {}
            }
            self.next_look = Instant::now() + self.pace.look_interval;
            self.arm_if_needed().await;
            match self.look_anew().await {
                Ok(false) => {}
                Ok(true) => {
                    self.signs.note_change();
                    break;
                }
                Err(error) => self.warn_of_no_look(&error),
            }
        }
        let since = Instant::now();
        self.changing_since = Some(since);
        since
    }

    /// Looks without being called, and tells whether there is something to tell.
    async fn look_anew(&mut self) -> io::Result<bool> {
        let found = self.look().await?;
        let listing = self.judge(&self.seen, found.clone());
        self.seen = found;
        Ok(listing != self.told)
    }

    /// Waits until the directory is quiet, or has been changing for long enough, and looks
    /// twice meanwhile.
    async fn settle(&mut self, since: Instant) -> io::Result<Listing> {
        let (quiet, latest) = (self.quiet(), since + self.pace.changing_max);
        loop {
            let last_change = self.signs.last_change();
            let until = latest.min(last_change + quiet);
            sleep_until(until - quiet / 2).await;
            let before = self.look().await?;
            // Never both looks at once, however late it is.
            sleep_until(until.max(Instant::now() + quiet / 2)).await;
            if self.signs.last_change() == last_change || Instant::now() >= latest {
                self.arm_if_needed().await;
                let after = self.look().await?;
                self.seen = after.clone();
                return Ok(self.judge(&before, after));
            }
        }
    }

    /// Without events the only sign of a writer is that its file changes, which takes a
    /// longer look.
    fn quiet(&self) -> Duration {
        if self.armed.is_some() { self.pace.quiet } else { self.pace.look_interval }
    }

    fn judge(&self, before: &Look, after: Look) -> Listing {
        Listing::of_two(before, after, |file| self.signs.is_open(file, self.pace.patience))
    }

    async fn look(&mut self) -> io::Result<Look> {
        let directory = self.directory.clone();
        let found = aside(move || look_if_present(&directory)).await??;
        self.warned_of_no_look = false;
        Ok(found)
    }

    /// Watches the directory that is there now, if it is not the one that is watched.
    async fn arm_if_needed(&mut self) {
        let gone = self.signs.take_directory_gone();
        let (directory, signs, arm) = (self.directory.clone(), Arc::clone(&self.signs), self.arm);
        let former = self.armed.take().filter(|_| !gone);
        let armed = aside(move || match former {
            Some(former) if former.is_of(&directory) => Ok(former),
            former => {
                drop(former);
                // Nobody will tell when files of the former directory are closed.
                signs.forget_open();
                let armed = Armed::new(&directory, &signs, arm);
                if armed.is_ok() {
                    // What came before the watch was no event.
                    signs.note_change();
                }
                armed
            }
        });
        let armed = armed.await.unwrap_or_else(Err);
        self.take(armed);
    }

    fn take(&mut self, armed: io::Result<Armed>) {
        match armed {
            Ok(armed) => {
                if std::mem::take(&mut self.warned_of_no_events) {
                    tracing::info!(directory = %self.directory.display(), "plugin directory is watched by events again");
                }
                self.armed = Some(armed);
            }
            // A missing directory is no fault of the watch, and whoever loads from it says so.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if !std::mem::replace(&mut self.warned_of_no_events, true) => {
                let interval = humantime::format_duration(self.pace.look_interval);
                tracing::warn!(directory = %self.directory.display(), %error, %interval, "plugin directory cannot be watched by events and is looked at in intervals instead");
            }
            Err(_) => {}
        }
    }

    fn warn_of_no_look(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.warned_of_no_look, true) {
            tracing::warn!(directory = %self.directory.display(), %error, "plugin directory cannot be read: what was found there before is kept until it can be");
        }
    }
}

/// Something lies where the directory should be that cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("plugin directory {} cannot be listed: {source}; name a directory that this user may read", directory.display())]
pub struct WatchError {
    directory: PathBuf,
    source: io::Error,
}

/// How a watch is put on a directory.
type Arm = fn(&Path, &Arc<Signs>) -> notify::Result<RecommendedWatcher>;

fn watch_by_events(directory: &Path, signs: &Arc<Signs>) -> notify::Result<RecommendedWatcher> {
    let signs = Arc::clone(signs);
    let mut watcher = notify::recommended_watcher(move |event| signs.note(event))?;
    watcher.watch(directory, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// A watch on a directory, for as long as it is kept.
struct Armed {
    _watcher: RecommendedWatcher,
    /// Device and inode of the directory.
    identity: (u64, u64),
}

impl Armed {
    fn new(directory: &Path, signs: &Arc<Signs>, arm: Arm) -> io::Result<Self> {
        // Asked before: of a directory replaced meanwhile, the next look finds that it is
        // another one.
        let identity = identity(directory)?;
        let absolute = std::path::absolute(directory)?;
        let watcher = arm(&absolute, signs).map_err(|error| match error.kind {
            notify::ErrorKind::PathNotFound => io::ErrorKind::NotFound.into(),
            notify::ErrorKind::MaxFilesWatch => {
                io::Error::other("the system gives no more watches: raise fs.inotify.max_user_watches")
            }
            // As the system says it where a user has too many watchers or a process too many files.
            notify::ErrorKind::Io(error) => io::Error::new(
                error.kind(),
                format!(
                    "{error}: if too many are open, raise fs.inotify.max_user_instances or the limit on open files"
                ),
            ),
            _ => io::Error::other(error),
        })?;
        Ok(Self { _watcher: watcher, identity })
    }

    fn is_of(&self, directory: &Path) -> bool {
        identity(directory).is_ok_and(|now| now == self.identity)
    }
}

fn identity(directory: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(directory)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// A directory that is missing holds nothing.
fn look_if_present(directory: &Path) -> io::Result<Look> {
    match look(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Look::new()),
        other => other,
    }
}

/// File systems may take their time, and the runtime has other things to do.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}
