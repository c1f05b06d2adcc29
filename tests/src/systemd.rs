//! A systemd of the test's own that runs the shipped unit, where this machine lets it: it takes root,
//! namespaces and control groups. It must not know what the unit asks of it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use xtask::deploy_checkers::SYSTEMD;

use crate::deployment::shipped_path;
use crate::eventually::eventually;
use crate::nats::Nats;
use crate::plugins::{own_file, plugin, service_binary};
use crate::skipped::skipped;

const SERVICE: &str = "agent-service.service";
/// What it is to reach, without anything else of the system.
const TARGET: &str = "[Unit]\nRequires=agent-service.service\n";
/// The unit waits for the watchdog for as long as an operator likes; a test does not.
const SOONER: &str = "[Service]\nWatchdogSec=2s\n";
/// The plugin on the machine, where nobody looks for it yet.
const PLUGIN: &str = "/root/agent.wasm";

/// A machine that has booted.
pub struct Machine {
    name: String,
    dir: TempDir,
    process: Child,
}

impl Machine {
    /// Boots it with the unit for a host of this server, and no plugin; `None`, and a line that says so,
    /// where that cannot be done here.
    pub async fn boot(nats: &Nats) -> Result<Option<Self>> {
        let without = |why: &str| {
            skipped(&format!("no systemd can be started here, so the unit was not run: {why}"));
            Ok(None)
        };
        if !Path::new(SYSTEMD).exists() {
            return without(&format!("there is no {SYSTEMD}"));
        }
        let dir = TempDir::with_prefix("agent-service-machine-")?;
        lay_out(&dir.path().join("files"), nats)?;
        let name = dir.path().file_name().context("a directory has a name")?.to_string_lossy().into_owned();
        let log = dir.path().join("log");
        let mut script = script("boot", dir.path(), &name);
        script.arg(service_binary()?.canonicalize()?);
        script.args([SYSTEMD, "--system", "--unit=test.target", "--log-target=journal", "--show-status=no"]);
        let process = script.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?).spawn()?;
        let mut machine = Self { name, dir, process };
        let answers = eventually("systemd answers", async || {
            if machine.process.try_wait()?.is_some() {
                return Ok(false);
            }
            machine.systemctl(&["show", "--property=Version"])?;
            Ok(true)
        });
        match answers.await {
            Ok(true) => Ok(Some(machine)),
            Ok(false) => without(fs::read_to_string(log)?.trim()),
            Err(error) => without(&format!("{error:#}; {}", fs::read_to_string(log)?.trim())),
        }
    }

    /// Brings the plugin that the host waits for.
    pub fn has_plugin(&self) -> Result<()> {
        self.run("install", &["-m", "640", "-g", "agent-service", PLUGIN, "/var/lib/agent-service/plugins/"]).map(drop)
    }

    /// What systemd says of the unit.
    pub fn property(&self, name: &str) -> Result<String> {
        self.systemctl(&["show", SERVICE, &format!("--property={name}"), "--value"])
    }

    /// Waits until systemd says that of the unit.
    pub async fn shows(&self, name: &str, value: &str) -> Result<()> {
        eventually(&format!("systemd says {name}={value}"), async || {
            let shown = self.property(name)?;
            ensure!(shown == value, "{name}={shown}\n{}", self.journal()?);
            Ok(())
        })
        .await
    }

    /// Tells systemd something of the unit.
    pub fn tell(&self, words: &[&str]) -> Result<()> {
        self.systemctl(&[words, &[SERVICE]].concat()).map(drop)
    }

    /// What the kernel says of the unit's process under this word.
    pub fn status(&self, word: &str) -> Result<String> {
        let status = self.run("cat", &[&format!("/proc/{}/status", self.property("MainPID")?)])?;
        let line = status.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(':'));
        Ok(line.with_context(|| format!("no {word}"))?.trim().to_owned())
    }

    /// What systemd and the host have said of the unit.
    pub fn journal(&self) -> Result<String> {
        self.run("journalctl", &["--unit", SERVICE, "--no-pager", "--output=cat"])
    }

    fn systemctl(&self, words: &[&str]) -> Result<String> {
        self.run("systemctl", &[&["--no-pager"], words].concat())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let outside = self.process.id().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &outside, "--mount", "--uts", "--ipc", "--root", "--wd"]);
        command.arg(format!("--pid=/proc/{outside}/ns/pid_for_children"));
        let output = command.arg(program).args(arguments).stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program} {arguments:?}: {}: {said}", output.status);
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // All that runs on it ends with its first process, and that one with this.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = script("clear", self.dir.path(), &self.name).stderr(Stdio::null()).status();
    }
}

fn script(step: &str, dir: &Path, name: &str) -> Command {
    let mut script = Command::new("sh");
    script.arg(own_file("deploy/machine.sh")).arg(step).arg(dir).arg(name);
    script
}

/// The files that the book has an operator put there, and the test's own.
fn lay_out(files: &Path, nats: &Nats) -> Result<()> {
    let put = |path: &str| -> Result<PathBuf> {
        let path = files.join(path);
        fs::create_dir_all(path.parent().context("a file is in a directory")?)?;
        Ok(path)
    };
    let shipped = |kind: &str| shipped_path(&format!("systemd/agent-service.{kind}"));
    fs::copy(shipped("service"), put("etc/systemd/system/agent-service.service")?)?;
    fs::copy(shipped("sysusers.conf"), put("etc/sysusers.d/agent-service.conf")?)?;
    fs::copy(shipped("tmpfiles.conf"), put("etc/tmpfiles.d/agent-service.conf")?)?;
    let settings = format!("NATS_URL={}\nHTTP_ADDR=127.0.0.1:0\n", nats.url());
    fs::write(put("etc/agent-service/agent-service.env")?, settings)?;
    fs::write(put("etc/systemd/system/test.target")?, TARGET)?;
    fs::write(put("etc/systemd/system/agent-service.service.d/sooner.conf")?, SOONER)?;
    fs::copy(plugin("agent")?, put(PLUGIN.trim_start_matches('/'))?)?;
    Ok(())
}
