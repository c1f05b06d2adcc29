//! What has to be built before anything can run: the host and the plugins. It must not
//! know what they are built for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{shell_line, wasm_target, workspace};

/// A plugin of this repository.
pub(crate) struct Plugin {
    pub(crate) package: &'static str,
    /// What cargo calls the component it builds.
    built_as: &'static str,
    /// What the file is called where a host finds it.
    pub(crate) file: &'static str,
}

impl Plugin {
    /// The directory of its sources under `plugins`.
    pub(crate) fn directory(&self) -> &'static str {
        self.file.trim_end_matches(".wasm")
    }
}

/// The agent domain, which ships with the host.
pub(crate) const AGENT: Plugin = Plugin { package: "plugin-agent", built_as: "plugin_agent.wasm", file: "agent.wasm" };

/// The smallest domain there is, an example.
pub(crate) const COUNTER: Plugin =
    Plugin { package: "plugin-counter", built_as: "plugin_counter.wasm", file: "counter.wasm" };

/// Does on request what a plugin must not do: for tests, never shipped.
const MISBEHAVE: Plugin =
    Plugin { package: "plugin-misbehave", built_as: "plugin_misbehave.wasm", file: "misbehave.wasm" };

const PLUGINS: &[Plugin] = &[AGENT, COUNTER, MISBEHAVE];

/// Later versions of the counter, one per example of the package: for tests, never shipped.
const SUCCESSORS: &str = "plugin-successors";

/// How the host is built.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// Own code quickly compiled, dependencies optimised: for trying and testing.
    Dev,
    /// What is shipped and measured.
    Release,
}

impl Profile {
    fn directory(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// Builds the host and tells where it is.
pub(crate) fn host(profile: Profile) -> Result<PathBuf> {
    let mut command = workspace::cargo();
    match profile {
        // With the features that the whole workspace asks of shared dependencies, though
        // only one binary is built: a demonstration then leaves them as tests need them.
        Profile::Dev => command.args(["build", "--workspace", "--bin", "agent-service"]),
        Profile::Release => command.args(["build", "--release", "--package", "agent-service"]),
    };
    run(&mut command)?;
    binary("agent-service", profile)
}

/// Where cargo leaves a binary of that name.
pub(crate) fn binary(name: &str, profile: Profile) -> Result<PathBuf> {
    Ok(workspace::cargo_target_dir()?.join(profile.directory()).join(name))
}

/// Builds all plugins and leaves them in one directory under the names a host finds them
/// by, which is returned. The successors lie one deeper, where no host looks.
pub(crate) fn plugins() -> Result<PathBuf> {
    wasm_target::ensure()?;
    run(&mut plugin_build())?;
    let built = built_plugins()?;
    let directory = workspace::target_dir().join("plugins");
    for plugin in PLUGINS {
        place(&built.join(plugin.built_as), &directory.join(plugin.file))?;
    }
    for name in workspace::examples(SUCCESSORS)? {
        let component = built.join("examples").join(format!("{}.wasm", name.replace('-', "_")));
        place(&component, &directory.join("successors").join(format!("{name}.wasm")))?;
    }
    Ok(directory)
}

/// Where cargo leaves what a call of [`build_of`] builds.
pub(crate) fn built(plugin: &Plugin) -> Result<PathBuf> {
    Ok(built_plugins()?.join(plugin.built_as))
}

fn built_plugins() -> Result<PathBuf> {
    Ok(workspace::cargo_target_dir()?.join(wasm_target::NAME).join("plugin"))
}

/// The call of cargo that builds one plugin.
pub(crate) fn build_of(plugin: &Plugin) -> Command {
    let mut command = build();
    command.args(["--package", plugin.package, "--lib"]);
    command
}

fn build() -> Command {
    let mut command = workspace::cargo();
    command.args(["build", "--profile", "plugin", "--target", wasm_target::NAME]);
    command
}

/// The call of cargo that builds all plugins.
pub(crate) fn plugin_build() -> Command {
    let mut command = build();
    for plugin in PLUGINS {
        command.args(["--package", plugin.package]);
    }
    command.args(["--package", SUCCESSORS, "--lib", "--examples"]);
    command
}

/// Copies a file so that whoever watches the place sees the old or the new one, whole; and
/// touches nothing where nothing changed, since a host would load it again. Tells whether it did.
pub(crate) fn place(from: &Path, to: &Path) -> Result<bool> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    let directory = to.parent().with_context(|| format!("{} lies in no directory", to.display()))?;
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let fresh = tempfile::NamedTempFile::new_in(directory)
        .with_context(|| format!("cannot write into {}", directory.display()))?;
    fs::copy(from, fresh.path()).with_context(|| format!("cannot copy {}", from.display()))?;
    fresh.persist(to).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(true)
}

/// Runs a command that speaks for itself on the terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = shell_line::of(command);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::place;

    #[test]
    fn what_did_not_change_is_not_touched() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("built.wasm"), directory.path().join("to/agent.wasm"));
        fs::write(&from, "one").unwrap();
        assert!(place(&from, &to).unwrap());
        let first = fs::metadata(&to).unwrap().ino();
        assert!(!place(&from, &to).unwrap());
        assert_eq!(fs::metadata(&to).unwrap().ino(), first);
        fs::write(&from, "two").unwrap();
        place(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "two");
        assert_ne!(fs::metadata(&to).unwrap().ino(), first);
        assert_eq!(fs::read_dir(to.parent().unwrap()).unwrap().count(), 1);
    }
}
