//! The files of `deploy/`, as they are shipped, and those who read them. It must not know what any of
//! them means.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xtask::deploy_checkers;

use crate::plugins::{own_file, service_binary};

/// Where a file or directory of `deploy/` is.
pub fn shipped_path(name: &str) -> PathBuf {
    repository().join("deploy").join(name)
}

/// The text of a file of `deploy/`.
pub fn shipped(name: &str) -> Result<String> {
    let path = shipped_path(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The documents of a YAML text.
pub fn yaml(text: &str) -> Result<Vec<Value>> {
    let mut reader = deploy_checkers::python()?;
    let json = output(reader.arg(own_file("deploy/yaml_to_json.py")), text)?;
    Ok(serde_json::from_str(&json)?)
}

/// The one document of a YAML file of `deploy/`.
pub fn shipped_yaml(name: &str) -> Result<Value> {
    let mut documents = yaml(&shipped(name)?).with_context(|| format!("in {name}"))?;
    ensure!(documents.len() == 1, "{name} has {} documents", documents.len());
    documents.pop().with_context(|| format!("{name} is empty"))
}

/// The names of all settings in the environment, as the service's own help has them.
pub fn settings() -> Result<BTreeSet<String>> {
    let help = output(Command::new(service_binary()?).arg("--help").env_clear(), "")?;
    let names = help.split("[env: ").skip(1).filter_map(|rest| rest.split([']', '=']).next());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    ensure!(names.contains("NATS_URL"), "the help names no settings:\n{help}");
    Ok(names)
}

/// Runs a program to its end with this input, and returns its standard output if it ended well.
pub fn output(command: &mut Command, input: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let input = input.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?} ended with {}:\n{out}{err}", output.status);
    writing.join().map_err(|_| anyhow::anyhow!("writing its input failed"))?.context("its input was not read")?;
    Ok(out.into_owned())
}
