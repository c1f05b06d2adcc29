//! Writes a file as a whole or not at all: whoever reads it, like a host that starts, sees the old
//! bytes or the new ones. Knows nothing of what is in it.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a new file may be to whom, before the process's umask.
const MODE: u32 = 0o666;

/// Puts `bytes` where `path` says, through a file beside it. One that stands there keeps its
/// permissions, and a link stays a link.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let standing = match fs::canonicalize(path) {
        Ok(target) => Some(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let target = standing.as_deref().unwrap_or(path);
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Not ending in `.wasm`, so that it is nobody's plugin.
    let mut beside = tempfile::Builder::new()
        .prefix(".agent-service-")
        .suffix(".tmp")
        .permissions(Permissions::from_mode(MODE))
        .tempfile_in(directory)?;
    beside.write_all(bytes)?;
    if standing.is_some() {
        beside.as_file().set_permissions(fs::metadata(target)?.permissions())?;
    }
    // Renamed before its bytes are on the disk, it could be empty after a power failure.
    beside.as_file().sync_all()?;
    beside.persist(target)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("a file").permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_with_its_permissions_and_through_links() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, link) = (dir.path().join("a.wasm"), dir.path().join("b.wasm"));
        fs::write(&file, b"old").expect("written");
        fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("permitted");
        symlink(&file, &link).expect("linked");

        write(&link, b"new").expect("replaced");

        assert_eq!((fs::read(&file).expect("a file"), mode(&file)), (b"new".to_vec(), 0o640));
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 2, "something is left over");
    }

    #[test]
    fn a_new_file_can_be_read_like_any_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let (new, usual) = (dir.path().join("new"), dir.path().join("usual"));
        write(&new, b"bytes").expect("written");
        fs::write(&usual, b"bytes").expect("written");
        assert_eq!((fs::read(&new).expect("a file"), mode(&new)), (b"bytes".to_vec(), mode(&usual)));
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a directory");
        let taken = dir.path().join("taken");
        fs::create_dir(&taken).expect("a directory");
        assert!(write(&taken, b"bytes").is_err());
        assert!(write(&dir.path().join("nowhere/file"), b"bytes").is_err());
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1, "something is left over");
    }
}
