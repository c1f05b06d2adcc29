//! A real nats-server for the length of a test, a demonstration or a benchmark: on a free
//! port, with a store of its own, gone when dropped. It must not know who uses it, nor
//! speak NATS.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::owned_process::OwnedProcess;
use crate::poll::{self, PATIENCE};

mod find;
mod ports_file;
mod wheel;

pub use find::{find, find_version};

/// A running (or killed, or paused) server. Dropped, it is killed and its store removed.
#[derive(Debug)]
pub struct NatsServer {
    options: NatsServerBuilder,
    home: TempDir,
    process: OwnedProcess,
    url: String,
    port: u16,
}

/// What a server is started with; see [`NatsServer::builder`].
#[derive(Debug, Clone)]
pub struct NatsServerBuilder {
    binary: Option<PathBuf>,
    jetstream: bool,
    jetstream_settings: String,
    settings: String,
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
    store: Option<PathBuf>,
    port: Option<u16>,
}

impl NatsServer {
    /// A server with JetStream on a free port, to be changed and then started.
    ///
    /// ```no_run
    /// # fn main() -> anyhow::Result<()> {
    /// use xtask::nats_server::NatsServer;
    ///
    /// let server = NatsServer::builder()
    ///     .sync_interval("always")
    ///     .settings(r#"authorization { user: "u", password: "p" }"#)
    ///     .start()?;
    /// println!("{}", server.client_url());
    /// # Ok(()) }
    /// ```
    pub fn builder() -> NatsServerBuilder {
        NatsServerBuilder {
            binary: None,
            jetstream: true,
            jetstream_settings: String::new(),
            settings: String::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            store: None,
            port: None,
        }
    }

    /// A server with JetStream and nothing else, on a free port.
    pub fn start() -> Result<Self> {
        Self::builder().start()
    }

    /// Where clients connect: `nats://127.0.0.1:PORT`, or `tls://…` if the settings ask
    /// for TLS. The same after [`restart`](Self::restart).
    pub fn client_url(&self) -> &str {
        &self.url
    }

    /// The port of the client URL.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// SIGKILL: what a power cut or the kernel's out-of-memory killer does. The store stays.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Lets the server end in its own way. The store stays until the value is dropped.
    pub fn stop(&mut self) -> Result<()> {
        self.process.terminate()?;
        match self.process.wait(PATIENCE)? {
            // Reaps the watchdog as well.
            Some(_) => self.process.kill(),
            None => bail!("nats-server did not stop within {PATIENCE:?}\n{}", self.log_tail()),
        }
    }

    /// Kills the server if it still runs, and starts it again on the same port and store.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match launch(&self.options, self.home.path(), Some(self.port)) {
                Ok((process, url)) => {
                    self.process = process;
                    self.url = url;
                    return Ok(());
                }
                // While the server was away, another program's outgoing connection may
                // have been given its port; such a loan is short.
                Err(error) if Instant::now() < deadline && port_is_taken(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// SIGSTOP: connections stay open, and nobody answers.
    pub fn pause(&mut self) -> Result<()> {
        self.process.pause()
    }

    /// SIGCONT: goes on after [`pause`](Self::pause).
    pub fn resume(&mut self) -> Result<()> {
        self.process.resume()
    }

    /// Whether the server has ended, by itself or by one of the calls above.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.process.exit_status()?.is_some())
    }

    /// Everything the server has logged so far, restarts included.
    pub fn log(&self) -> String {
        read_log(self.home.path())
    }

    fn log_tail(&self) -> String {
        tail(&self.log())
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A test is failing: what the server saw is part of the story. If standard
            // error is closed, nobody wants to know.
            let _ = writeln!(std::io::stderr(), "log of nats-server at {}:\n{}", self.url, self.log_tail());
        }
    }
}

impl NatsServerBuilder {
    /// Another binary than [`find`] would choose, for example of [`find_version`].
    pub fn binary(mut self, binary: impl Into<PathBuf>) -> Self {
        self.binary = Some(binary.into());
        self
    }

    /// A server without JetStream.
    pub fn without_jetstream(mut self) -> Self {
        self.jetstream = false;
        self
    }

    /// How often the store is synced to disk: `always`, or a duration such as `10s`.
    pub fn sync_interval(self, interval: &str) -> Self {
        self.jetstream_settings(&format!("sync_interval: {interval}"))
    }

    /// Lines for the `jetstream` block of the configuration, for example `domain: leaf`.
    pub fn jetstream_settings(mut self, lines: &str) -> Self {
        self.jetstream_settings.push_str(lines);
        self.jetstream_settings.push('\n');
        self
    }

    /// Lines for the configuration: accounts, TLS, cluster, leaf nodes, limits. Where
    /// another server has to know a port in advance, take one from [`free_port`].
    pub fn settings(mut self, lines: &str) -> Self {
        self.settings.push_str(lines);
        self.settings.push('\n');
        self
    }

    /// A command line argument more.
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// A variable of its environment, which configurations may name.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A store that stays when the server is dropped.
    pub fn store(mut self, directory: impl Into<PathBuf>) -> Self {
        self.store = Some(directory.into());
        self
    }

    /// A certain port instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Starts the server and waits until it takes connections.
    pub fn start(mut self) -> Result<NatsServer> {
        if self.binary.is_none() {
            self.binary = Some(find()?);
        }
        let home = tempfile::Builder::new()
            .prefix("nats-server-")
            .tempdir()
            .context("cannot make a temporary directory for nats-server")?;
        let (process, url) = launch(&self, home.path(), self.port)?;
        let port = port_of(&url)?;
        Ok(NatsServer { options: self, home, process, url, port })
    }

    fn configuration(&self, home: &Path) -> String {
        let mut text = String::new();
        if self.jetstream {
            let store = self.store.clone().unwrap_or_else(|| home.join("store"));
            text = format!("jetstream {{\nstore_dir: {:?}\n{}}}\n", store, self.jetstream_settings);
        }
        text + &self.settings
    }
}

/// A port that was free a moment ago, for settings that have to name one.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot find a free port")?;
    Ok(listener.local_addr().context("cannot find a free port")?.port())
}

fn launch(options: &NatsServerBuilder, home: &Path, port: Option<u16>) -> Result<(OwnedProcess, String)> {
    let binary = options.binary.as_deref().context("no nats-server was chosen")?;
    let configuration = home.join("server.conf");
    fs::write(&configuration, options.configuration(home)).context("cannot write the server's configuration")?;
    let log =
        File::options().create(true).append(true).open(log_file(home)).context("cannot write the server's log")?;
    let log_before = log.metadata().map(|metadata| metadata.len()).unwrap_or_default();

    let mut command = Command::new(binary);
    command.args(["--addr", "127.0.0.1", "--port"]);
    command.arg(port.map_or_else(|| "-1".to_owned(), |port| port.to_string()));
    command.arg("--ports_file_dir").arg(home).arg("--config").arg(&configuration).args(&options.arguments);
    command.envs(options.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let mut process = OwnedProcess::spawn("nats-server", &mut command)?;

    let ports_file = ports_file::path(home, binary, process.id());
    let url = poll::until(PATIENCE, || {
        if let Some(status) = process.exit_status()? {
            let log = read_log(home);
            let news = log.get(usize::try_from(log_before)?..).unwrap_or(&log);
            bail!("nats-server ended at start ({status}); its log:\n{}", tail(news));
        }
        ports_file::client_url(&ports_file)
    })?;
    match url {
        Some(url) => Ok((process, url)),
        None => {
            bail!("nats-server took no connections within {PATIENCE:?}; its log:\n{}", tail(&read_log(home)))
        }
    }
}

fn port_is_taken(error: &anyhow::Error) -> bool {
    error.to_string().contains("address already in use")
}

fn port_of(url: &str) -> Result<u16> {
    let port = url.rsplit(':').next().unwrap_or_default();
    port.parse().with_context(|| format!("nats-server names `{url}` as its address, which has no port"))
}

fn log_file(home: &Path) -> PathBuf {
    home.join("server.log")
}

fn read_log(home: &Path) -> String {
    fs::read(log_file(home)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// As much of a log as helps in an error message.
fn tail(log: &str) -> String {
    const LINES: usize = 30;
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
