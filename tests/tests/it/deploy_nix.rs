//! The NixOS module: an option for every setting. It must not evaluate Nix, which is seldom installed.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use tests::deployment::{settings, shipped};

/// Options end up in a store that everyone can read; the module has `environmentFile` for it.
const SECRET: &str = "NATS_PASSWORD";

#[test]
fn every_setting_has_its_option_and_every_option_its_setting() -> Result<()> {
    let text = shipped("nix/settings.nix")?;
    let options: Vec<&str> =
        text.lines().filter_map(|line| line.trim().split_once(" = setting ")).map(|one| one.0).collect();
    let named: BTreeSet<String> = options.iter().map(|&name| name.to_owned()).collect();
    ensure!(named.len() == options.len(), "an option is there twice");
    let mut wanted = settings()?;
    ensure!(wanted.remove(SECRET), "{SECRET} is no setting any more: take it out of this test and of the module");
    let (missing, odd): (Vec<_>, Vec<_>) = (wanted.difference(&named).collect(), named.difference(&wanted).collect());
    ensure!(
        missing.is_empty() && odd.is_empty(),
        "deploy/nix/settings.nix lacks {missing:?}, and has {odd:?} that the host does not"
    );
    ensure!(shipped("nix/module.nix")?.contains(SECRET), "the module does not say where {SECRET} goes");
    Ok(())
}
