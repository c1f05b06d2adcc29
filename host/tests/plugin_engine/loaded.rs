//! Real plugins, loaded once per process, and shorthands for calling them.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use agent_service::clock::Timestamp;
use agent_service::domain::{Context, Decision, DomainEvent, Generation, Handle, Instance, PluginError};
use agent_service::name::{AggregateId, Name};
use agent_service::plugin::{Limits, Plugin, PluginEngine};
use serde_json::Value;

/// Tight enough to be met in a test, wide enough for a busy machine.
pub(crate) const LIMITS: Limits = Limits {
    deadline: Duration::from_millis(300),
    memory_bytes_max: 16 << 20,
    file_bytes_max: 8 << 20,
    compile_time_max: Duration::from_secs(60),
};

/// One for all tests: an engine reserves a large part of the address space.
pub(crate) static ENGINE: LazyLock<PluginEngine> = LazyLock::new(|| PluginEngine::start(LIMITS).expect("an engine"));

pub(crate) static AGENT: LazyLock<Plugin> = LazyLock::new(|| load("agent"));
pub(crate) static COUNTER: LazyLock<Plugin> = LazyLock::new(|| load("counter"));
pub(crate) static MISBEHAVE: LazyLock<Plugin> = LazyLock::new(|| load("misbehave"));

/// The bytes of a built plugin.
pub(crate) fn component(domain: &str) -> Vec<u8> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins");
    let directory = std::env::var_os("AGENT_PLUGINS").map_or(built, PathBuf::from);
    let file = directory.join(format!("{domain}.wasm"));
    std::fs::read(&file).unwrap_or_else(|error| {
        panic!("{} cannot be read ({error}): run `cargo xtask test`, which builds it", file.display())
    })
}

fn load(domain: &str) -> Plugin {
    Plugin::load(&ENGINE, &component(domain)).expect("a plugin")
}

/// An instance with one aggregate in it.
pub(crate) struct One {
    pub(crate) instance: Box<dyn Instance>,
    pub(crate) aggregate: Handle,
    id: AggregateId,
}

impl One {
    pub(crate) fn of(plugin: &Plugin, id: &str) -> Self {
        let mut instance = plugin.instantiate().expect("an instance");
        let id = AggregateId::new(id).expect("an id");
        let aggregate = instance.create(&id).expect("an aggregate");
        Self { instance, aggregate, id }
    }

    pub(crate) fn decide(&mut self, verb: &str, payload: &Value) -> Result<Decision, PluginError> {
        let context = Context {
            command_id: "command-1",
            aggregate_id: &self.id,
            version: 0,
            time: Timestamp(1_795_469_648_123),
            correlation_id: "correlation-1",
            actor: Some("ada"),
            seed: (1, 2),
        };
        let verb = Name::new(verb).expect("a verb");
        self.instance.decide(self.aggregate, &context, &verb, payload.to_string().as_bytes())
    }

    /// What a command that is accepted leads to.
    #[track_caller]
    pub(crate) fn events(&mut self, verb: &str, payload: &Value) -> Vec<DomainEvent> {
        match self.decide(verb, payload) {
            Ok(Decision::Events(events)) => events,
            other => panic!("{verb} {payload} led to {other:?}"),
        }
    }

    /// Decides on a command and applies what it leads to.
    #[track_caller]
    pub(crate) fn execute(&mut self, verb: &str, payload: &Value) {
        let events = self.events(verb, payload);
        self.instance.evolve(self.aggregate, &events).expect("no failure").expect("events that apply");
    }

    #[track_caller]
    pub(crate) fn view(&mut self) -> Value {
        let view = self.instance.view(self.aggregate).expect("a view");
        serde_json::from_slice(&view).expect("JSON")
    }
}
