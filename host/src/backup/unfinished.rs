//! A backup that is being made: under another name, with a mark in it, until it is whole. What an
//! interruption leaves cannot be taken for a backup.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{BackupError, Folder};

/// The file that only an unfinished backup has.
pub(super) const MARK: &str = "UNFINISHED";

/// A directory that becomes a backup.
#[derive(Debug)]
pub struct Unfinished {
    made_in: TempDir,
    target: PathBuf,
}

impl Unfinished {
    /// Begins beside the directory that it is to become.
    ///
    /// # Errors
    /// [`BackupError`] where that is not empty, or nothing can be made beside it.
    pub fn begin(target: &Path) -> Result<Self, BackupError> {
        // A link, or a `.`, goes by the name of what it leads to.
        let target = std::fs::canonicalize(target).unwrap_or_else(|_| target.to_path_buf());
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mounted = || BackupError::Mounted(target.display().to_string());
        let device = |path: &Path| std::fs::metadata(path).map(|path| path.dev());
        if let (Ok(own), Ok(around)) = (device(&target), device(parent))
            && own != around
        {
            return Err(mounted());
        }
        let name = target.file_name().ok_or_else(mounted)?.to_string_lossy();
        match std::fs::read_dir(&target) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(BackupError::Occupied(target.display().to_string()));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(BackupError::file(&target)(error)),
        }
        let made_in = tempfile::Builder::new().prefix(&format!(".{name}.unfinished-")).tempdir_in(parent);
        let made_in = made_in.map_err(BackupError::file(parent))?;
        let mark = made_in.path().join(MARK);
        File::create(&mark).map_err(BackupError::file(&mark))?;
        Ok(Self { made_in, target })
    }

    /// A folder in it for a stream.
    ///
    /// # Errors
    /// [`BackupError`] where it cannot be made.
    pub fn folder(&self, stream: &str) -> Result<Folder, BackupError> {
        Folder::make(self.made_in.path().join(stream))
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// [`BackupError`] where something has come to lie there meanwhile.
    pub fn finish(self) -> Result<(), BackupError> {
        let mark = self.made_in.path().join(MARK);
        std::fs::remove_file(&mark).map_err(BackupError::file(&mark))?;
        // An empty directory gives way.
        let made_in = self.made_in.keep();
        std::fs::rename(&made_in, &self.target).map_err(BackupError::file(&made_in))?;
        if let Some(parent) = self.target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(BackupError::file(parent))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::folders_in;
    use super::*;

    #[test]
    fn until_it_is_finished_there_is_nothing_that_looks_like_a_backup() {
        let home = TempDir::new().expect("a directory");
        let target = home.path().join("backup");
        let unfinished = Unfinished::begin(&target).expect("begun");
        unfinished.folder("AGENT_EVENTS").expect("a folder");
        assert!(!target.exists());
        let refused = folders_in(unfinished.made_in.path()).expect_err("unfinished");
        assert!(refused.to_string().contains("never finished"), "{refused}");
        unfinished.finish().expect("finished");
        assert_eq!(folders_in(&target).expect("a backup").len(), 1);
        assert!(matches!(Unfinished::begin(&target), Err(BackupError::Occupied(_))));
    }

    #[test]
    fn a_mount_point_is_refused_before_anything_is_made() {
        // Every Linux has these two, and nothing may be made beside them by this test.
        for mounted in ["/proc", "/"] {
            let refused = Unfinished::begin(Path::new(mounted)).expect_err("it cannot get its name");
            assert!(matches!(&refused, BackupError::Mounted(path) if path == mounted), "{refused}");
        }
        let home = TempDir::new().expect("a directory");
        let nameless = Unfinished::begin(&home.path().join("missing").join(".."));
        assert!(matches!(nameless, Err(BackupError::Mounted(_))));
        assert_eq!(std::fs::read_dir(home.path()).expect("readable").count(), 0);
    }

    #[test]
    fn a_link_to_an_empty_directory_leads_to_the_backup() {
        let home = TempDir::new().expect("a directory");
        let (target, link) = (home.path().join("backup"), home.path().join("link"));
        std::fs::create_dir(&target).expect("made");
        std::os::unix::fs::symlink(&target, &link).expect("linked");
        let unfinished = Unfinished::begin(&link).expect("begun");
        unfinished.folder("AGENT_EVENTS").expect("a folder");
        unfinished.finish().expect("finished");
        assert_eq!(folders_in(&target).expect("a backup").len(), 1);
        assert!(link.is_symlink());
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let home = TempDir::new().expect("a directory");
        drop(Unfinished::begin(&home.path().join("backup")).expect("begun"));
        assert_eq!(std::fs::read_dir(home.path()).expect("readable").count(), 0);
    }
}
