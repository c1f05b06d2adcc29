//! The stage: the running service, its command line and the agent the story is about. It
//! must not know what the chapters make of them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::answer::{Answer, same};
use super::narrator::Narrator;
use crate::artifacts;
use crate::nats_client::NatsClient;
use crate::plugin_news::{self, PluginNews};
use crate::poll::PATIENCE;
use crate::service::{RunningService, Service};
use crate::shell_line;

/// The agent of the story. Its store is new each time, so it may have the same id each time.
pub(crate) const AGENT_ID: &str = "0197f3c2-5d1a-7c3e-9b4f-2a6d8e0c1b57";

pub(crate) struct Story {
    narrator: Narrator,
    service: Service,
    running: RunningService,
    /// Where the plugins of this repository were built.
    plugins: PathBuf,
}

impl Story {
    pub(crate) fn begin(narrator: Narrator, service: Service, plugins: PathBuf) -> Result<Self> {
        narrator.heading("The agent service: the story of one agent")?;
        narrator.words(
            "A NATS server with an empty store has been started, and next to it the service. It has \
             loaded one plugin, agent.wasm: the rules of the domain \"agent\", as a WebAssembly component.",
        )?;
        let (running, took) = service.start()?;
        narrator.held(&format!("the service is ready, after {}", milliseconds(took)))?;
        narrator.words(&format!("The commands below are really run, with NATS_URL={}.", service.nats_url))?;
        Ok(Self { narrator, service, running, plugins })
    }

    pub(crate) fn words(&self, text: &str) -> Result<()> {
        self.narrator.words(text)
    }

    pub(crate) fn held(&self, text: &str) -> Result<()> {
        self.narrator.held(text)
    }

    /// Sends a command to the agent and shows all of it.
    pub(crate) fn send(&self, verb: &str, options: &[&str], payload: &str) -> Result<Answer> {
        self.send_to("agent", verb, options, payload)
    }

    /// Sends a command of any domain and shows all of it.
    pub(crate) fn send_to(&self, domain: &str, verb: &str, options: &[&str], payload: &str) -> Result<Answer> {
        let arguments = [&["send", domain, verb], options, &["--json", payload]].concat();
        let answer = self.run(&arguments)?;
        self.narrator.output(&answer.text)?;
        Ok(answer)
    }

    /// Asks for the agent's state, now or at a version. The answer is not shown: chapters
    /// pick from it.
    pub(crate) fn state(&self, options: &[&str]) -> Result<Answer> {
        self.state_of("agent", AGENT_ID, options)
    }

    /// The same of any aggregate.
    pub(crate) fn state_of(&self, domain: &str, id: &str, options: &[&str]) -> Result<Answer> {
        let answer = self.run(&[&["state", domain, id], options].concat())?;
        answer.must_exit_with(0)?;
        answer.must_be("/status", "ok")?;
        Ok(answer)
    }

    /// Lists the agent's events. The answer is not shown.
    pub(crate) fn events(&self) -> Result<Answer> {
        let answer = self.run(&["events", "agent", AGENT_ID])?;
        answer.must_exit_with(0)?;
        Ok(answer)
    }

    /// Lists a whole domain's events. The answer is not shown.
    pub(crate) fn events_of(&self, domain: &str) -> Result<Answer> {
        let answer = self.run(&["events", domain])?;
        answer.must_exit_with(0)?;
        Ok(answer)
    }

    pub(crate) fn nats_url(&self) -> &str {
        &self.service.nats_url
    }

    /// Puts a plugin that was built into the service's plugin directory under this name.
    pub(crate) fn put_plugin(&self, built: &str, name: &str) -> Result<()> {
        self.narrator.command(&format!("cp {} plugins/{name}", built.rsplit('/').next().unwrap_or(built)))?;
        artifacts::place(&self.plugins.join(built), &self.service.plugin_dir.join(name)).map(drop)
    }

    /// Hears from now on what the service tells of its plugins.
    pub(crate) fn listen(&self) -> Result<NatsClient> {
        let mut client = NatsClient::connect(self.nats_url())?;
        client.subscribe(plugin_news::SUBJECT, PATIENCE)?;
        Ok(client)
    }

    /// The next that the service tells; fails unless it is this.
    pub(crate) fn next_news(&self, from: &mut NatsClient, what: &str) -> Result<PluginNews> {
        let told = from.next(PATIENCE)?;
        let news = PluginNews::read(&told.context("the service does not tell what became of the plugin")?.payload)?;
        if news.what != what {
            bail!("the plugin was to be {what}, but the service says: {}", news.headline());
        }
        Ok(news)
    }

    /// Shows the named parts of an answer that is too long to be shown whole.
    pub(crate) fn show_parts(&self, answer: &Answer, pointers: &[&str]) -> Result<()> {
        let mut parts = Vec::new();
        for pointer in pointers {
            let name = pointer.trim_start_matches("/state/").trim_start_matches('/');
            parts.push(format!("{} {}", name.replace('/', "."), answer.at(pointer)?));
        }
        self.narrator.output(&format!("… {} …", parts.join(" … ")))
    }

    /// Shows lines as a command's output.
    pub(crate) fn show_lines(&self, lines: &[String]) -> Result<()> {
        self.narrator.output(&lines.join("\n"))
    }

    /// SIGKILL to the service, then a new process; tells how long that one took.
    pub(crate) fn kill_service_and_start_again(&mut self) -> Result<()> {
        self.narrator.command("kill -9 $(pidof agent-service)")?;
        self.running.kill()?;
        self.held("the process is gone, without a chance to save anything")?;
        let (running, took) = self.service.start()?;
        self.running = running;
        self.held(&format!("a new process is ready, after {}", milliseconds(took)))
    }

    pub(crate) fn end(self) -> Result<()> {
        self.running.stop()
    }

    pub(crate) fn with_service_log(&self, error: anyhow::Error) -> anyhow::Error {
        anyhow::anyhow!("{error:#}{}", self.service.last_words())
    }

    fn run(&self, arguments: &[&str]) -> Result<Answer> {
        let mut command = self.service.command();
        command.args(arguments);
        self.narrator.command(&shell_line::of(&command))?;
        let output = command.output().context("cannot start the service's command line")?;
        let trouble = String::from_utf8_lossy(&output.stderr);
        self.narrator.output(&trouble)?;
        Answer::new(output.status.code(), &String::from_utf8_lossy(&output.stdout))
    }
}

/// Fails unless the answer is `ok` at this version with these events, in this order.
pub(crate) fn must_have_stored(answer: &Answer, version: u64, event: &str) -> Result<()> {
    answer.must_exit_with(0)?;
    answer.must_be("/status", "ok")?;
    answer.must_be("/version", version)?;
    let types: Vec<Value> = answer
        .at("/events")?
        .as_array()
        .into_iter()
        .flatten()
        .map(|event| event.get("type").cloned().unwrap_or_default())
        .collect();
    same("the list of events", &Value::from(types), &Value::from(vec![event]))
}

fn milliseconds(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}
