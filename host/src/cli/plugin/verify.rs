//! `plugin verify`: who signed a plugin file, and whether a host would accept it.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{file, signers};
use crate::cli::output::{BAD, GOOD, OutputFlags};
use crate::cli::{CliError, Exit};
use crate::config::Service;
use crate::domain::Digest;
use crate::signature::{SignatureError, Signed, TrustedKeys, signatures};

/// `plugin verify`
#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// The plugin, a .wasm file
    file: PathBuf,
    /// Public nkeys whose signatures are accepted, comma-separated [default: PLUGIN_TRUSTED_KEYS]
    #[arg(long = "plugin-trusted-keys", value_name = "KEYS")]
    // The service's own setting has the id that this would have.
    #[arg(id = "trusted_keys")]
    keys: Option<TrustedKeys>,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) fn run(asked: Verify, service: &Service) -> Result<Exit, CliError> {
    let keys = asked.keys.as_ref().unwrap_or(&service.plugin_trusted_keys);
    let component = file::read(&asked.file)?;
    let signed = signatures(&component);
    let verdict = judge(&component, keys);
    // What cannot be read is in the verdict already, and shows no signers.
    let signed = signed.unwrap_or(Signed { bare: &component, signatures: Vec::new() });

    let output = asked.output.open();
    if output.is_json() {
        let document = json!({
            "file": asked.file.display().to_string(),
            "accepted": verdict.is_ok(),
            "reason": verdict.as_ref().err().map(ToString::to_string),
            "signers": signers::documents(&signed, keys),
            "digest": format!("sha256:{}", Digest::of(&component)),
        });
        output.document(document.to_string().as_bytes())?;
    } else {
        let file = asked.file.display();
        let mut text = match &verdict {
            Ok(()) if keys.is_empty() => format!("{GOOD}ok{GOOD:#}  {file} is signed; no keys are set as trusted"),
            Ok(()) => format!("{GOOD}ok{GOOD:#}  {file} is signed by a trusted key"),
            Err(why) => format!("{BAD}refused{BAD:#}  {file}: {why}"),
        };
        for line in signers::lines(&signed, keys) {
            let _ = write!(text, "\n    {line}");
        }
        output.text(&text)?;
    }
    // The refusal is the answer, so it is no trouble of the tool.
    Ok(if verdict.is_ok() { Exit::Ok } else { Exit::Invalid })
}

/// As a host does; where that would not look at signatures, there must be one at least.
fn judge(component: &[u8], keys: &TrustedKeys) -> Result<(), SignatureError> {
    if keys.is_empty() { signatures(component)?.check() } else { keys.check(component).map(|_| ()) }
}
