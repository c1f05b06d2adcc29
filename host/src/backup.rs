//! Backups as files: a folder per stream as `nats stream backup` writes it, and a seal beside it
//! that says what the files were. Knows nothing of where streams come from or go to.

mod archive;
mod blocks;
mod entries;
mod folder;
mod seal;
mod unfinished;

pub use self::archive::Contents;
pub use self::folder::{Folder, Meta, folders_in};
pub use self::seal::Seal;
pub use self::unfinished::Unfinished;

/// What a folder is no good for, in words that name the file.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file system does not let us.
    #[error("{file}: {source}")]
    File {
        /// Which file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what was backed up, or was never a backup.
    #[error("{file} is no whole backup: {why}")]
    Damaged {
        /// Which file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something lies where the backup is to be.
    #[error("{0} is not empty: a backup goes into a directory of its own")]
    Occupied(String),
    /// A backup is made beside its place and then given its name.
    #[error("{0} is a mount point or has no name of its own: name a directory in it, which need not be there yet")]
    Mounted(String),
}

impl BackupError {
    fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let file = path.display().to_string();
        move |source| Self::File { file, source }
    }

    fn damaged(path: &std::path::Path, why: impl Into<String>) -> Self {
        Self::Damaged { file: path.display().to_string(), why: why.into() }
    }
}
