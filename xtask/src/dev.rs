//! `cargo xtask dev`: a server and the service for playing, with a store that stays. It
//! must not know what is played.

use std::fs::{self, File, TryLockError};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::TERM_SIGNALS;

use crate::artifacts::{self, AGENT, Profile};
use crate::nats_server::{NatsServer, NatsServerBuilder};
use crate::service::{RunningService, Service};
use crate::terminal::{Style, Terminal};
use crate::workspace;

/// The port that clients try unless told otherwise.
const USUAL_PORT: u16 = 4222;

/// How often to look whether it is time to end; the only thing that waits is a person.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// An id to play with.
const SAMPLE_ID: &str = "0197f3c2-5d1a-7c3e-9b4f-2a6d8e0c1b57";

/// Stays up until Ctrl-C.
pub(crate) fn run() -> Result<()> {
    let binary = artifacts::host(Profile::Dev)?;
    let plugins = artifacts::plugins()?;
    let home = workspace::target_dir().join("dev");
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let _lock = only_one(&home)?;

    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in TERM_SIGNALS {
        signal_hook::flag::register(*signal, Arc::clone(&interrupted)).context("cannot listen for Ctrl-C")?;
    }

    let mut server = at_the_usual_port(NatsServer::builder().store(home.join("jetstream"))).start()?;
    artifacts::place(&plugins.join(AGENT.file), &home.join("plugins").join(AGENT.file))?;
    let service =
        Service { binary, nats_url: server.client_url().to_owned(), plugin_dir: home.join("plugins"), log: None };
    let (running, _) = service.start()?;
    say_how_to_play(&service)?;
    stay(running, &mut server, &interrupted)
}

/// Two servers on one store would destroy it.
fn only_one(home: &Path) -> Result<File> {
    let lock = File::create(home.join("lock")).context("cannot make a lock file")?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => bail!("`cargo xtask dev` is running already; end that one with Ctrl-C"),
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock target/dev"),
    }
}

fn at_the_usual_port(server: NatsServerBuilder) -> NatsServerBuilder {
    match TcpListener::bind(("127.0.0.1", USUAL_PORT)) {
        Ok(_) => server.port(USUAL_PORT),
        Err(_) => server,
    }
}

fn say_how_to_play(service: &Service) -> Result<()> {
    let terminal = Terminal::stdout();
    let binaries = service.binary.parent().unwrap_or(Path::new(".")).display();
    let url = &service.nats_url;
    let metadata = r#""metadata":{"name":"Ada","description":"answers questions","version":"1.0.0","owner_id":"0197f3c2-0000-7000-8000-00000000000a"}"#;
    let deploy = format!(r#"{{"agent_id":"{SAMPLE_ID}","agent_type":"AI",{metadata}}}"#);
    let commands = [
        format!("export NATS_URL={url}"),
        format!("export PATH=\"{binaries}:$PATH\""),
        "agent-service events agent --follow &".to_owned(),
        format!("agent-service send agent deploy --json '{deploy}'"),
        format!("agent-service send agent activate --json '{{\"agent_id\":\"{SAMPLE_ID}\"}}'"),
        format!("agent-service state agent {SAMPLE_ID}"),
    ];
    terminal.line("")?;
    terminal.line(&terminal.paint(Style::Title, "The agent service is up. In another terminal:"))?;
    terminal.line("")?;
    for command in commands {
        terminal.line(&format!("  {}", terminal.paint(Style::Command, &command)))?;
    }
    terminal.line("")?;
    terminal.line("Agents are kept in target/dev; remove that directory to forget them. Ctrl-C ends.")?;
    terminal.line("")
}

fn stay(mut running: RunningService, server: &mut NatsServer, interrupted: &AtomicBool) -> Result<()> {
    while !interrupted.load(Ordering::Relaxed) {
        if running.has_ended()? {
            bail!("the service has ended by itself; its last lines above say why");
        }
        if server.has_ended()? {
            bail!("nats-server has ended by itself; its log:\n{}", server.log());
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    // The service first: it leaves its snapshots in the server.
    Terminal::stdout().line("stopping")?;
    running.stop()?;
    server.stop()
}
