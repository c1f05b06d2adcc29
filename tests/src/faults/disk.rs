//! A disk that can be full: a file system of limited size in memory. It must not know whose files
//! lie on it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// Written at once, at first and for what is left.
const CHUNKS_BYTES: [usize; 2] = [64 << 10, 512];

/// The file system; unmounted and removed with it.
pub struct Disk {
    dir: TempDir,
    bytes: usize,
}

impl Disk {
    /// Whether this process may mount one: root may, and on most systems whoever runs under
    /// `unshare -rm`.
    pub fn may_be_mounted() -> bool {
        static MAY: OnceLock<bool> = OnceLock::new();
        *MAY.get_or_init(|| Self::mount(1 << 20).is_ok())
    }

    /// Mounts one of that size.
    pub fn mount(bytes: usize) -> Result<Self> {
        let dir = TempDir::with_prefix("agent-service-disk-")?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "agent-service-disk"]).arg(dir.path());
        let output = mount.stdin(Stdio::null()).output().context("cannot start `mount`")?;
        ensure!(output.status.success(), "cannot mount: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(Self { dir, bytes })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes until nothing is left.
    pub fn fill(&self) -> Result<()> {
        let mut filler = File::create(self.filler())?;
        for chunk in CHUNKS_BYTES.map(|bytes| vec![0; bytes]) {
            let full = (0..=self.bytes / chunk.len()).find_map(|_| filler.write_all(&chunk).err());
            match full {
                Some(error) if error.kind() == ErrorKind::StorageFull => {}
                Some(error) => return Err(error).context("the disk cannot be filled"),
                None => bail!("the disk takes more than it has"),
            }
        }
        Ok(())
    }

    /// Gives back what [`fill`](Self::fill) took.
    pub fn empty(&self) -> Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that was killed a moment ago may still have files open. Nothing is left to be done
        // where it fails.
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).stdin(Stdio::null()).status();
    }
}

#[cfg(test)]
mod tests {
    use super::Disk;

    #[test]
    fn it_is_full_and_has_room_again() {
        if !Disk::may_be_mounted() {
            return;
        }
        let disk = Disk::mount(1 << 20).unwrap();
        let file = disk.path().join("file");
        disk.fill().unwrap();
        assert_eq!(std::fs::write(&file, [1; 8_192]).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        disk.empty().unwrap();
        std::fs::write(&file, [1; 8_192]).unwrap();
    }
}
