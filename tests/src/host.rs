//! The service as a real process, with the settings a test gives it. It must not know more of it
//! than its settings, its signals, its exit code and its log.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::eventually::{PATIENCE, eventually};
use crate::nats::Nats;
use crate::plugin_dir::PluginDir;
use crate::plugins::{plugin, sabotaged_binary, service_binary};
use crate::signal;

/// Lines of a log that are shown with a failed test: enough for a start and a few commands.
const LOG_LINES_SHOWN: usize = 120;

/// The settings of a host that is yet to start; can be used for several.
#[derive(Clone, Debug)]
pub struct HostBuilder {
    env: BTreeMap<String, String>,
    args: Vec<String>,
    through: Vec<String>,
    plugins: Vec<(String, Vec<u8>)>,
    plugin_dir: bool,
    quiet: bool,
    sabotage: bool,
}

impl HostBuilder {
    /// One setting by its environment name.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.insert(name.to_owned(), value.to_string());
        self
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, value: impl ToString) -> Self {
        self.args.push(value.to_string());
        self
    }

    /// Started by a program that becomes it: this one with these arguments, and then the service's own.
    #[must_use]
    pub fn through(mut self, program: &[&str]) -> Self {
        self.through = program.iter().map(|&part| part.to_owned()).collect();
        self
    }

    /// One more file in the plugin directory.
    #[must_use]
    pub fn plugin_file(mut self, name: &str, bytes: &[u8]) -> Self {
        self.plugins.push((name.to_owned(), bytes.to_vec()));
        self
    }

    /// The plugin of a domain.
    pub fn plugin(self, domain: &str) -> Result<Self> {
        Ok(self.plugin_file(&format!("{domain}.wasm"), &std::fs::read(plugin(domain)?)?))
    }

    /// The plugins of a directory of the test's own, and none else.
    #[must_use]
    pub fn plugins_of(self, dir: &PluginDir) -> Self {
        let path = dir.path().display();
        self.without_plugins().env("PLUGIN_DIR", path)
    }

    /// No plugin at all in the directory.
    #[must_use]
    pub fn without_plugins(mut self) -> Self {
        self.plugins.clear();
        self
    }

    /// Not even the directory.
    #[must_use]
    pub fn without_plugin_dir(mut self) -> Self {
        self.plugin_dir = false;
        self
    }

    /// Its log is not shown at its end: somebody else looks after it.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// A build that breaks this promise.
    #[must_use]
    pub fn sabotaged(self, promise: &str) -> Self {
        Self { sabotage: true, ..self.env("AGENT_SABOTAGE", promise) }
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&self, nats: &Nats) -> Result<Host> {
        let mut host = self.spawn()?;
        eventually("the service gets ready", async || {
            if let Some(status) = host.child.try_wait()? {
                return Ok(Err(anyhow::anyhow!("the service ended at start with {status}:\n{}", host.log()?)));
            }
            ensure!(nats.new_instance().await?, "no answer to a ping");
            Ok(Ok(()))
        })
        .await??;
        Ok(host)
    }

    /// Starts it, and leaves the waiting to the test.
    pub fn spawn(&self) -> Result<Host> {
        let dir = TempDir::with_prefix("agent-service-test-")?;
        let plugin_dir = dir.path().join("plugins");
        if self.plugin_dir {
            std::fs::create_dir(&plugin_dir)?;
            for (name, bytes) in &self.plugins {
                std::fs::write(plugin_dir.join(name), bytes)?;
            }
        }
        let log = dir.path().join("log");
        let binary = if self.sabotage { sabotaged_binary()? } else { service_binary()? };
        let line: Vec<OsString> = self.through.iter().map(OsString::from).chain([binary.into()]).collect();
        let mut command = Command::new(&line[0]);
        command
            .args(&line[1..])
            .args(&self.args)
            .env_clear()
            .env("PLUGIN_DIR", &plugin_dir)
            .envs(&self.env)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .kill_on_drop(true);
        let child = command.spawn().context("the service does not start")?;
        let process = child.id().context("the service has ended at once")?;
        Ok(Host { child, process, log, quiet: self.quiet, _dir: dir })
    }

    /// Starts it where it is to end by itself at start, and returns its exit code and its log.
    pub async fn ends(&self) -> Result<(i32, String)> {
        let mut host = self.spawn()?;
        let code = host.exit_code().await?;
        let log = host.log()?;
        Ok((code, log))
    }

    /// Starts it where it must refuse to: exit code 1, and a log that names all these words.
    pub async fn refuses(&self, words: &[&str]) -> Result<()> {
        let (code, log) = self.ends().await?;
        ensure!(code == 1, "exit code {code} instead of 1");
        for word in words {
            ensure!(log.to_lowercase().contains(&word.to_lowercase()), "the log does not name {word}:\n{log}");
        }
        ensure!(!log.contains("panicked"), "a panic:\n{log}");
        Ok(())
    }
}

/// A running host. Its log is shown where a test fails; it dies with it.
pub struct Host {
    child: Child,
    process: u32,
    log: PathBuf,
    quiet: bool,
    /// Removed with it.
    _dir: TempDir,
}

impl Host {
    /// A host for this server with the agent plugin and otherwise the defaults.
    pub fn builder(nats: &Nats) -> Result<HostBuilder> {
        Self::builder_for(&nats.url())
    }

    /// The same for any address.
    pub fn builder_for(url: &str) -> Result<HostBuilder> {
        let builder = HostBuilder {
            env: BTreeMap::new(),
            args: Vec::new(),
            through: Vec::new(),
            plugins: Vec::new(),
            plugin_dir: true,
            quiet: false,
            sabotage: false,
        }
        .env("NATS_URL", url)
        // Tests run side by side: those that ask for health have a port chosen.
        .env("HTTP_ADDR", "")
        .env("LOG_LEVEL", "info")
        .env("RUST_BACKTRACE", "1");
        builder.plugin("agent")
    }

    /// Starts that host and waits until it is ready.
    pub async fn start(nats: &Nats) -> Result<Self> {
        Self::builder(nats)?.start(nats).await
    }

    /// What it has logged so far.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.log)?).into_owned())
    }

    /// Waits until one line of its log names all these words.
    pub async fn logs(&self, words: &[&str]) -> Result<()> {
        let what = format!("a log line with {words:?}");
        eventually(&what, async || {
            let log = self.log()?.to_lowercase();
            let found = log.lines().any(|line| words.iter().all(|word| line.contains(&word.to_lowercase())));
            ensure!(found, "not there");
            Ok(())
        })
        .await
    }

    /// Where it serves HTTP, where `HTTP_ADDR` has port 0.
    pub async fn http_address(&self) -> Result<String> {
        eventually("HTTP is served", async || {
            let log = self.log()?;
            let line = log.lines().find(|line| line.contains("HTTP is served")).context("not yet")?;
            let address = line.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next());
            Ok(address.context("no address")?.to_owned())
        })
        .await
    }

    /// How much of its memory is resident, in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        Ok(self.status("VmRSS")?.trim_end_matches("kB").trim().parse()?)
    }

    /// What the kernel says of it under this word in `/proc/<pid>/status`.
    pub fn status(&self, word: &str) -> Result<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process))?;
        let line = status.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(':'));
        Ok(line.with_context(|| format!("no {word}"))?.trim().to_owned())
    }

    /// The program and its arguments, as everybody on the machine sees them.
    pub fn command_line(&self) -> Result<String> {
        let line = std::fs::read(format!("/proc/{}/cmdline", self.process))?;
        Ok(String::from_utf8_lossy(&line).replace('\0', " "))
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// SIGKILL: the power goes.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// SIGTERM, and its exit code.
    pub async fn terminate(&mut self) -> Result<i32> {
        self.signal("TERM").await?;
        self.exit_code().await
    }

    /// Any signal by its name.
    pub async fn signal(&self, name: &str) -> Result<()> {
        signal::send(name, self.process).await
    }

    /// Waits for its end.
    pub async fn exit_code(&mut self) -> Result<i32> {
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => status?.code().context("the service was killed by a signal"),
            Err(_) => bail!("the service still runs"),
        }
    }
}

impl Drop for Host {
    #[expect(clippy::print_stderr, reason = "the test runner captures it and shows it where the test fails")]
    fn drop(&mut self) {
        if self.quiet {
            return;
        }
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
        eprintln!("--- log of process {} ---\n{}\n---", self.process, shown.join("\n"));
    }
}
