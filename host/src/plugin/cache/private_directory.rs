//! A directory that only the process's own user can write into, and files in it of which the
//! same is true. Everything is judged on what is open, so that nothing can be put in its place
//! after the judgement. Knows nothing of what the files hold.

use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{Access, AtFlags, Dir, Mode, OFlags, accessat, open, openat, renameat, unlinkat};
use rustix::io::Errno;

/// The bits of a mode that let others write. An access list's largest right shows in them too.
const OTHERS_WRITE: u32 = 0o022;
const OWNER_READS_AND_WRITES: u32 = 0o600;
const OWNER_ONLY: u32 = 0o700;
/// A pipe in a file's place is opened without waiting for somebody at its other end.
const READING: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// An open directory that is the process's own.
pub(super) struct PrivateDirectory(File);

/// A file in it.
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
}

impl PrivateDirectory {
    /// Opens it; `None` where there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, AccessError> {
        let opened = match open(path, READING | OFlags::DIRECTORY, Mode::empty()) {
            Ok(opened) => File::from(opened),
            Err(Errno::NOENT) => return Ok(None),
            // Systems differ in how they say that the last part is a link.
            Err(_) if path.is_symlink() => return Err(AccessError::Link),
            Err(error) => return Err(io::Error::from(error).into()),
        };
        check_owner(&opened.metadata()?)?;
        Ok(Some(Self(opened)))
    }

    /// Opens it, and makes it where there is none.
    pub(super) fn open_or_make(path: &Path) -> Result<Self, AccessError> {
        if let Some(directory) = Self::open(path)? {
            return Ok(directory);
        }
        DirBuilder::new().recursive(true).mode(OWNER_ONLY).create(path)?;
        Self::open(path)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound).into())
    }

    /// Whether the process may put files into it, or why not.
    pub(super) fn check_writable(&self) -> io::Result<()> {
        Ok(accessat(&self.0, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
    }

    /// Opens a file for reading; `None` where there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<File>, AccessError> {
        let opened = match openat(&self.0, name, READING, Mode::empty()) {
            Ok(opened) => File::from(opened),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(AccessError::Link),
            Err(error) => return Err(io::Error::from(error).into()),
        };
        let metadata = opened.metadata()?;
        if !metadata.is_file() {
            return Err(AccessError::NoFile);
        }
        check_owner(&metadata)?;
        Ok(Some(opened))
    }

    /// Puts a file in the place of whatever has its name: at once, so that a reader sees the
    /// old or the new one. Not forced onto the disk; a reader has to expect a torn file.
    pub(super) fn replace(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        // Ends like the final name, so that what a crash leaves behind is found by `files`.
        let temporary = format!("new-{}-{name}", uuid::Uuid::now_v7().simple());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened: OwnedFd = openat(&self.0, &temporary, flags, Mode::from_raw_mode(OWNER_READS_AND_WRITES))?;
        let mut file = File::from(opened);
        let written = parts
            .iter()
            .try_for_each(|part| file.write_all(part))
            .and_then(|()| Ok(renameat(&self.0, &temporary, &self.0, name)?));
        if written.is_err() {
            // Best effort: the disk may be full or gone, and the first error says so.
            let _ = self.remove(&temporary);
        }
        written
    }

    /// Marks a file as used now.
    pub(super) fn touch(file: &File) -> io::Result<()> {
        file.set_modified(SystemTime::now())
    }

    /// Removes a file; one that is gone already is as good.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The files whose names end so. What cannot be opened or is no file is left out.
    pub(super) fn files(&self, suffix: &str) -> io::Result<Vec<Listed>> {
        let mut files = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().ok().filter(|name| name.ends_with(suffix)) else { continue };
            if let Ok(Some(file)) = self.read(name) {
                let metadata = file.metadata()?;
                files.push(Listed { name: name.to_owned(), size: metadata.len(), modified: metadata.modified()? });
            }
        }
        Ok(files)
    }
}

fn check_owner(metadata: &Metadata) -> Result<(), AccessError> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(AccessError::OtherOwner);
    }
    if metadata.mode() & OTHERS_WRITE != 0 {
        return Err(AccessError::OthersWrite);
    }
    Ok(())
}

/// Why a directory or a file is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum AccessError {
    /// It is a symbolic link.
    #[error("it is a symbolic link, which may lead where others write")]
    Link,
    /// It is a directory, a pipe or something else.
    #[error("it is no file")]
    NoFile,
    /// Somebody else's.
    #[error("it belongs to another user than the service runs as")]
    OtherOwner,
    /// Group or others may write.
    #[error("others may write to it: take that right away with chmod go-w")]
    OthersWrite,
    /// The system refuses.
    #[error(transparent)]
    System(#[from] io::Error),
}
