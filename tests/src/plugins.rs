//! Where the built programs under test are. It must not build them: `cargo xtask test` does.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// The service's binary.
pub fn service_binary() -> Result<PathBuf> {
    located("AGENT_SERVICE_BIN", "target/debug/agent-service")
}

/// The service's binary that can be told to break its promises.
pub fn sabotaged_binary() -> Result<PathBuf> {
    located("AGENT_SERVICE_SABOTAGED_BIN", "target/debug/agent-service-sabotaged")
}

/// A plugin by its domain: `agent`, `counter`.
pub fn plugin(domain: &str) -> Result<PathBuf> {
    built(&format!("{domain}.wasm"))
}

/// A later version of the counter by its name: `counter-refactored`.
pub fn successor(name: &str) -> Result<PathBuf> {
    built(&format!("successors/{name}.wasm"))
}

/// A file of this crate.
pub fn own_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn built(file: &str) -> Result<PathBuf> {
    let file = located("AGENT_PLUGINS", "target/plugins")?.join(file);
    ensure!(file.exists(), "{} is missing: run `cargo xtask test`, which builds it", file.display());
    Ok(file)
}

fn located(variable: &str, default: &str) -> Result<PathBuf> {
    let path = match std::env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(default),
    };
    ensure!(path.exists(), "{} is missing: run `cargo xtask test`, which builds it", path.display());
    Ok(path)
}
