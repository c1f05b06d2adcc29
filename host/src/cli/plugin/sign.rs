//! `plugin sign`: puts a signature into a plugin file.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{file, replaced_file};
use crate::cli::output::{ASIDE, GOOD, NAME, OutputFlags};
use crate::cli::{CliError, Exit};
use crate::domain::Digest;
use crate::signature::{self, SigningKey};

/// Far more than a seed with everything that `nsc` writes around it.
const SEED_FILE_BYTES_MAX: u64 = 64 << 10;

/// `plugin sign`
#[derive(Debug, Args)]
pub(in crate::cli) struct Sign {
    /// The plugin, a .wasm file
    file: PathBuf,
    /// File with the seed of the nkey that signs, as `nk` or `nsc` write it
    #[arg(long, value_name = "SEED_FILE")]
    key: PathBuf,
    /// Where to put the signed plugin [default: in place]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) fn run(asked: Sign) -> Result<Exit, CliError> {
    let key = read_key(&asked.key)?;
    let component = file::read(&asked.file)?;
    let signed = signature::sign(&component, &key)
        .map_err(|error| CliError::Invalid(format!("{} cannot be signed: {error}", asked.file.display())))?;
    file::fits(&asked.file, &signed)?;
    let target = asked.out.as_ref().unwrap_or(&asked.file);
    replaced_file::write(target, &signed)
        .map_err(|error| CliError::Failed(format!("{} cannot be written: {error}", target.display())))?;

    let (signer, digest) = (key.public_key(), Digest::of(&signed));
    let output = asked.output.open();
    if output.is_json() {
        let document = json!({
            "file": target.display().to_string(),
            "signer": signer,
            "digest": format!("sha256:{digest}"),
        });
        output.document(document.to_string().as_bytes())?;
    } else {
        output.text(&format!(
            "{GOOD}ok{GOOD:#}  {} is signed by {NAME}{signer}{NAME:#}\n    {ASIDE}digest{ASIDE:#}  sha256:{digest}",
            target.display()
        ))?;
    }
    Ok(Exit::Ok)
}

fn read_key(path: &Path) -> Result<SigningKey, CliError> {
    let text = file::read_at_most(path, SEED_FILE_BYTES_MAX)?;
    // What is no text holds no seed; that is said without showing any of it.
    SigningKey::read(&String::from_utf8_lossy(&text))
        .map_err(|error| CliError::Failed(format!("{} gives no key to sign with: {error}", path.display())))
}
