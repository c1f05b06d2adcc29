//! `cargo xtask dev`: a server and the service for playing, with a store that stays, and plugins
//! that are built anew when their sources are saved. It must not know what is played.

use std::fs::{self, File, TryLockError};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::TERM_SIGNALS;

use crate::artifacts::{self, AGENT, COUNTER, Plugin, Profile};
use crate::nats_server::{NatsServer, NatsServerBuilder};
use crate::service::{RunningService, Service};
use crate::terminal::{Style, Terminal};
use crate::workspace;

mod news;
mod rebuild;
mod sources;

use rebuild::{Progress, Rebuild, Recipe};

/// The port that clients try unless told otherwise.
const USUAL_PORT: u16 = 4222;

/// Plugins that are built anew. The counter is served from its first change on.
const REBUILT: &[Plugin] = &[AGENT, COUNTER];

/// What all of them are made of: the kit for plugin authors, and the interface.
const SHARED_SOURCES: &[&str] = &["guest/src", "guest/Cargo.toml", "wit"];

/// How often to look whether sources were saved or it is time to end; the only thing that waits
/// is a person.
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
    let plugin_dir = home.join("plugins");
    for plugin in REBUILT {
        let place = plugin_dir.join(plugin.file);
        if plugin.file == AGENT.file || place.exists() {
            artifacts::place(&plugins.join(plugin.file), &place)?;
        }
    }
    let rebuild = Rebuild::new(recipes(&plugin_dir)?);
    let service = Service { binary, nats_url: server.client_url().to_owned(), plugin_dir, log: None };
    let (running, _) = service.start()?;
    news::tell(&service.nats_url)?;
    say_how_to_play(&service)?;
    stay(running, rebuild, &mut server, &interrupted)
}

fn recipes(plugin_dir: &Path) -> Result<Vec<Recipe>> {
    let recipe = |plugin: &'static Plugin| {
        let shared = SHARED_SOURCES.iter().map(|shared| workspace::root().join(shared));
        let own = ["src", "Cargo.toml"].map(|own| workspace::root().join("plugins").join(plugin.directory()).join(own));
        Ok(Recipe {
            name: plugin.file.to_owned(),
            sources: own.into_iter().chain(shared).collect(),
            build: Box::new(|| artifacts::build_of(plugin)),
            built: artifacts::built(plugin)?,
            place: plugin_dir.join(plugin.file),
        })
    };
    REBUILT.iter().map(recipe).collect()
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
    terminal.line("Change a file of plugins/agent/src and save it: the plugin is built, and goes live where")?;
    terminal.line("it reads what is recorded as the one before does; else it is refused, and shown why.")?;
    terminal.line("")?;
    terminal.line("Agents are kept in target/dev; remove that directory to forget them. Ctrl-C ends.")?;
    terminal.line("")
}

fn stay(
    mut running: RunningService,
    mut rebuild: Rebuild,
    server: &mut NatsServer,
    interrupted: &AtomicBool,
) -> Result<()> {
    while !interrupted.load(Ordering::Relaxed) {
        if running.has_ended()? {
            bail!("the service has ended by itself; its last lines above say why");
        }
        if server.has_ended()? {
            bail!("nats-server has ended by itself; its log:\n{}", server.log());
        }
        rebuild.go_on(Instant::now())?.iter().try_for_each(say)?;
        std::thread::sleep(LOOK_INTERVAL);
    }
    rebuild.end()?;
    // The service first: it leaves its snapshots in the server.
    Terminal::stdout().line("stopping")?;
    running.stop()?;
    server.stop()
}

fn say(progress: &Progress) -> Result<()> {
    let terminal = Terminal::stdout();
    match progress {
        Progress::Building(plugin) => terminal.note(&format!("{plugin}: saved, being built")),
        Progress::Placed(plugin) => terminal.note(&format!("{plugin}: built; the service has a look at it")),
        Progress::Same(plugin) => terminal.note(&format!("{plugin}: built, and the same as before")),
        Progress::Failed(plugin) => {
            terminal.failure(&format!("{plugin} was not built, see above; the service keeps what it has"));
            Ok(())
        }
    }
}
