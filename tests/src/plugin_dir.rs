//! A directory of plugins that hosts watch, changed as people and their tools change it. It must
//! not know what a host makes of that.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::plugins::plugin;

/// The file that brings the counter domain, whatever version of it.
pub const COUNTER_FILE: &str = "counter.wasm";

/// The directory; removed with it.
pub struct PluginDir {
    dir: TempDir,
}

impl PluginDir {
    /// An empty one.
    pub fn new() -> Result<Self> {
        Ok(Self { dir: TempDir::with_prefix("agent-service-plugins-")? })
    }

    /// One with a single file.
    pub fn with(name: &str, from: &Path) -> Result<Self> {
        let dir = Self::new()?;
        dir.put(name, from)?;
        Ok(dir)
    }

    /// One with the first version of the counter, as [`COUNTER_FILE`].
    pub fn of_counter() -> Result<Self> {
        Self::with(COUNTER_FILE, &plugin("counter")?)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A file of it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a copy of a file there, or in the place of another one, as a whole: by a rename.
    pub fn put(&self, name: &str, from: &Path) -> Result<()> {
        self.put_bytes(name, &fs::read(from).with_context(|| format!("{}", from.display()))?)
    }

    /// The same with any bytes.
    pub fn put_bytes(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let fresh = self.file(&format!(".{name}.new"));
        fs::write(&fresh, bytes)?;
        Ok(fs::rename(fresh, self.file(name))?)
    }

    /// Writes a file over the one that is there, as `cp` does.
    pub fn rewrite(&self, name: &str, from: &Path) -> Result<()> {
        Ok(fs::write(self.file(name), fs::read(from)?)?)
    }

    /// Gives a file another name.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        Ok(fs::rename(self.file(from), self.file(to))?)
    }

    /// Takes a file away.
    pub fn remove(&self, name: &str) -> Result<()> {
        Ok(fs::remove_file(self.file(name))?)
    }

    /// Puts a copy of a file there as Kubernetes mounts it: a link to a file in a directory that is
    /// itself a link, and only the latter is replaced when there is something new.
    pub fn mount(&self, name: &str, from: &Path, revision: u32) -> Result<()> {
        let data = format!("..revision_{revision}");
        fs::create_dir(self.file(&data))?;
        fs::copy(from, self.file(&data).join(name))?;
        symlink(&data, self.file("..data_tmp"))?;
        fs::rename(self.file("..data_tmp"), self.file("..data"))?;
        if !self.file(name).is_symlink() {
            symlink(Path::new("..data").join(name), self.file(name))?;
        }
        Ok(())
    }
}
