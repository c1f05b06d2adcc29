//! One stream's folder: `backup.json`, `stream.tar.s2` and the seal. Knows how to write them and
//! how to tell whether they are whole, not how a server makes or takes them.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::BackupError;
use super::archive::{self, Contents};
use super::seal::{Seal, SealedFile, Sealing};
use super::unfinished;

/// The stream's configuration and state, as `nats stream backup` names it.
const META_FILE: &str = "backup.json";
/// Its messages, likewise; the name stayed when servers stopped making tars.
const ARCHIVE_FILE: &str = "stream.tar.s2";
/// What the two were.
const SEAL_FILE: &str = "agent-service.json";
/// Largest description that is read, in bytes: real ones have some kilobytes.
const JSON_BYTES_MAX: u64 = 4 << 20;
/// Most streams in one backup; far above what a server of ours has.
const FOLDERS_MAX: usize = 10_000;
/// Bytes read from a file at once.
const READ_BYTES: usize = 256 << 10;

/// What a server says of a stream and wants to hear again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Its configuration.
    pub config: Value,
    /// Its state.
    pub state: Value,
}

impl Meta {
    /// The stream's name.
    pub fn stream(&self) -> Option<&str> {
        self.config.get("name").and_then(Value::as_str)
    }

    /// A number of its state, 0 where it has none.
    pub fn number(&self, name: &str) -> u64 {
        self.state.get(name).and_then(Value::as_u64).unwrap_or_default()
    }
}

/// A stream's folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

/// The folders of a backup: the directory itself where it is one stream's, else those in it.
///
/// # Errors
/// [`BackupError`] where there is none, or the backup was never finished.
pub fn folders_in(directory: &Path) -> Result<Vec<Folder>, BackupError> {
    if directory.join(unfinished::MARK).exists() {
        return Err(BackupError::damaged(directory, "it was never finished"));
    }
    if directory.join(META_FILE).exists() {
        return Ok(vec![Folder { path: directory.to_path_buf() }]);
    }
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(BackupError::file(directory))? {
        let path = entry.map_err(BackupError::file(directory))?.path();
        if path.is_dir() {
            folders.push(Folder { path });
        }
        if folders.len() > FOLDERS_MAX {
            return Err(BackupError::damaged(directory, format!("it holds more than {FOLDERS_MAX} folders")));
        }
    }
    folders.sort_by(|one, other| one.path.cmp(&other.path));
    if folders.is_empty() {
        return Err(BackupError::damaged(directory, "there is no stream in it"));
    }
    Ok(folders)
}

impl Folder {
    /// A folder that is to take a stream in.
    ///
    /// # Errors
    /// [`BackupError`] where it cannot be made.
    pub fn make(path: PathBuf) -> Result<Self, BackupError> {
        std::fs::create_dir(&path).map_err(BackupError::file(&path))?;
        Ok(Self { path })
    }

    /// The file that the stream's messages go into.
    ///
    /// # Errors
    /// [`BackupError`] where it cannot be made.
    pub fn create_archive(&self) -> Result<File, BackupError> {
        let path = self.path.join(ARCHIVE_FILE);
        File::create(&path).map_err(BackupError::file(&path))
    }

    /// The same to be read.
    ///
    /// # Errors
    /// [`BackupError`] where it cannot be read.
    pub fn open_archive(&self) -> Result<File, BackupError> {
        let path = self.path.join(ARCHIVE_FILE);
        File::open(&path).map_err(BackupError::file(&path))
    }

    /// Writes what the server said of the stream.
    ///
    /// # Errors
    /// [`BackupError`] where it cannot be written.
    pub fn write_meta(&self, meta: &Meta) -> Result<(), BackupError> {
        self.write_json(META_FILE, meta)
    }

    /// Reads the whole folder once more and seals it as what it is.
    ///
    /// # Errors
    /// [`BackupError`] where it is not whole.
    pub fn seal(&self, mut seal: Seal) -> Result<Contents, BackupError> {
        let checked = self.read_through()?;
        seal.files =
            [(META_FILE.to_owned(), checked.meta_file), (ARCHIVE_FILE.to_owned(), checked.archive_file)].into();
        self.write_json(SEAL_FILE, &seal)?;
        // So that the names last as long as the bytes.
        let directory = File::open(&self.path).and_then(|directory| directory.sync_all());
        directory.map_err(BackupError::file(&self.path))?;
        Ok(checked.contents)
    }

    /// Whether it is what was backed up. Reads all of it; blocks.
    ///
    /// # Errors
    /// [`BackupError`] says which file is not whole, and why.
    pub fn check(&self) -> Result<(Meta, Option<Seal>), BackupError> {
        let seal = self.read_seal()?;
        if let Some(seal) = &seal {
            for (name, sealed) in &seal.files {
                self.check_size(name, sealed)?;
            }
        }
        let checked = self.read_through()?;
        if let Some(seal) = &seal {
            let found = [(META_FILE, checked.meta_file), (ARCHIVE_FILE, checked.archive_file)];
            for (name, found) in found {
                if seal.files.get(name) != Some(&found) {
                    let path = self.path.join(name);
                    return Err(BackupError::damaged(&path, format!("it is not the file that {SEAL_FILE} speaks of")));
                }
            }
            if Some(seal.stream.as_str()) != checked.meta.stream() {
                return Err(BackupError::damaged(&self.path, format!("{SEAL_FILE} is of stream {}", seal.stream)));
            }
        }
        Ok((checked.meta, seal))
    }

    /// How many bytes a check reads.
    pub fn bytes(&self) -> u64 {
        std::fs::metadata(self.path.join(ARCHIVE_FILE)).map_or(0, |meta| meta.len())
    }

    /// A file of another size need not be read to be known as damaged.
    fn check_size(&self, name: &str, sealed: &SealedFile) -> Result<(), BackupError> {
        if name != META_FILE && name != ARCHIVE_FILE {
            return Err(BackupError::damaged(&self.path.join(SEAL_FILE), "it speaks of files that no backup has"));
        }
        let path = self.path.join(name);
        let bytes = std::fs::metadata(&path).map_err(BackupError::file(&path))?.len();
        if bytes == sealed.bytes {
            return Ok(());
        }
        Err(BackupError::damaged(&path, format!("it has {bytes} bytes, {} were written", sealed.bytes)))
    }

    fn read_seal(&self) -> Result<Option<Seal>, BackupError> {
        let path = self.path.join(SEAL_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let (seal, _): (Seal, _) = self.read_json(SEAL_FILE)?;
        if seal.is_known() {
            Ok(Some(seal))
        } else {
            Err(BackupError::damaged(&path, "a newer version has written it"))
        }
    }

    fn read_through(&self) -> Result<Checked, BackupError> {
        let (meta, meta_file): (Meta, _) = self.read_json(META_FILE)?;
        let meta_path = self.path.join(META_FILE);
        let named =
            meta.stream().is_some_and(|name| !name.is_empty() && !name.contains(['/', '\\', '.', ' ', '*', '>']));
        if !named || !meta.state.is_object() {
            return Err(BackupError::damaged(&meta_path, "it does not describe a stream"));
        }
        let path = self.path.join(ARCHIVE_FILE);
        let file = BufReader::with_capacity(READ_BYTES, self.open_archive()?);
        let (contents, sealing) = archive::read_through(Sealing::new(file))
            .map_err(|error| BackupError::damaged(&path, error.to_string()))?;
        agrees(&meta, &contents).map_err(|why| BackupError::damaged(&path, why))?;
        Ok(Checked { meta, meta_file, archive_file: sealing.finish(), contents })
    }

    fn read_json<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<(T, SealedFile), BackupError> {
        let path = self.path.join(name);
        let mut file = Sealing::new(File::open(&path).map_err(BackupError::file(&path))?);
        let mut bytes = Vec::new();
        file.by_ref().take(JSON_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(BackupError::file(&path))?;
        if bytes.len() as u64 > JSON_BYTES_MAX {
            return Err(BackupError::damaged(&path, "it is larger than it can be"));
        }
        let value = serde_json::from_slice(&bytes);
        let value = value.map_err(|error| BackupError::damaged(&path, format!("it cannot be read: {error}")))?;
        Ok((value, file.finish()))
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), BackupError> {
        let path = self.path.join(name);
        let text = serde_json::to_vec_pretty(value).map_err(std::io::Error::from);
        let written = text.and_then(|text| {
            let mut file = File::create(&path)?;
            file.write_all(&text)?;
            file.sync_all()
        });
        written.map_err(BackupError::file(&path))
    }
}

struct Checked {
    meta: Meta,
    meta_file: SealedFile,
    archive_file: SealedFile,
    contents: Contents,
}

/// Whether the archive is that of the stream described beside it.
fn agrees(meta: &Meta, contents: &Contents) -> Result<(), String> {
    let Some(state) = &contents.state else { return Ok(()) };
    for name in ["first_seq", "last_seq", "messages"] {
        let (inside, beside) = (state.get(name).and_then(Value::as_u64).unwrap_or_default(), meta.number(name));
        if inside != beside {
            return Err(format!("its {name} is {inside}, but {META_FILE} says {beside}"));
        }
    }
    // Messages may have left the stream while it was read, none can have come.
    let (found, expected) = (contents.messages.unwrap_or_default(), meta.number("messages"));
    if found > expected {
        return Err(format!("it has {found} messages, but {META_FILE} says {expected}"));
    }
    Ok(())
}
