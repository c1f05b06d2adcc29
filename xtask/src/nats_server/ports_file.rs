//! The file in which a nats-server tells the ports it was given. It must not know how the
//! server is started.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// Where a process of `binary` with this id writes its ports.
pub(super) fn path(directory: &Path, binary: &Path, process: u32) -> PathBuf {
    let program = binary.file_name().unwrap_or_default().to_string_lossy();
    directory.join(format!("{program}_{process}.ports"))
}

/// The first address for clients; `None` while the file is missing or half written.
pub(super) fn client_url(file: &Path) -> Result<Option<String>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let Ok(ports) = serde_json::from_str::<Value>(&text) else {
        return Ok(None);
    };
    Ok(ports.pointer("/nats/0").and_then(Value::as_str).map(str::to_owned))
}
