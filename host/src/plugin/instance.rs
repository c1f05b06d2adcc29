//! A running plugin: calls into it with a deadline and a memory limit, and what it answers,
//! checked against what it may answer.

use serde::de::IgnoredAny;
use wasmtime::component::ResourceAny;
use wasmtime::{Store, Trap};

use super::bindings::exports::agent_service::domain::aggregates as wit;
use super::bindings::{Plugin as Bindings, PluginPre};
use super::compile::one_line;
use super::engine::PluginEngine;
use super::sandbox::Sandbox;
use crate::domain::{Context, Decision, Description, DomainEvent, EvolveError, Handle, Instance, PluginError};
use crate::name::{AggregateId, Name, printable};

/// Handles a plugin may hold: its aggregates, and what calls lend it.
const HANDLES_MAX: usize = 100_000;
/// Longest rejection message or field name taken from a plugin, in bytes.
const TEXT_BYTES_MAX: usize = 2_048;
/// Longest rejection token in bytes.
const REASON_BYTES_MAX: usize = 64;

/// An instance of a plugin.
pub(super) struct WasmInstance {
    store: Store<Sandbox>,
    exports: Bindings,
    /// The aggregates, by handle; a released one leaves its place to the next.
    aggregates: Vec<Option<ResourceAny>>,
    free: Vec<u32>,
    /// The events that may be stated.
    events: Vec<Name>,
    deadline_ticks: u64,
    deadline_ms: u64,
    memory_bytes_max: usize,
}

impl WasmInstance {
    /// Starts an instance for serving.
    pub(super) fn start(
        engine: &PluginEngine,
        code: &PluginPre<Sandbox>,
        description: &Description,
    ) -> Result<Self, PluginError> {
        let mut instance = Self::instantiate(engine, code, description.domain.as_str())?;
        instance.events = description.events.iter().map(|event| event.name.clone()).collect();
        Ok(instance)
    }

    /// What a plugin says it is, asked of an instance that is thrown away.
    pub(super) fn describe(engine: &PluginEngine, code: &PluginPre<Sandbox>) -> Result<wit::Description, PluginError> {
        let mut instance = Self::instantiate(engine, code, "plugin")?;
        instance.call(|exports, store| exports.agent_service_domain_aggregates().call_describe(store))
    }

    fn instantiate(engine: &PluginEngine, code: &PluginPre<Sandbox>, domain: &str) -> Result<Self, PluginError> {
        let limits = engine.limits;
        let mut store = Store::new(&engine.engine, Sandbox::new(domain, limits.memory_bytes_max));
        store.limiter(|sandbox| &mut sandbox.memory);
        store.set_max_component_handles(HANDLES_MAX);
        store.set_epoch_deadline(engine.deadline_ticks());
        let exports = code.instantiate(&mut store).map_err(|error| PluginError::NoInstance(one_line(&error)))?;
        Ok(Self {
            store,
            exports,
            aggregates: Vec::new(),
            free: Vec::new(),
            events: Vec::new(),
            deadline_ticks: engine.deadline_ticks(),
            deadline_ms: u64::try_from(limits.deadline.as_millis()).unwrap_or(u64::MAX),
            memory_bytes_max: limits.memory_bytes_max,
        })
    }

    /// One call, with its own deadline and its own allowance of log lines.
    fn call<T>(
        &mut self,
        call: impl FnOnce(&Bindings, &mut Store<Sandbox>) -> wasmtime::Result<T>,
    ) -> Result<T, PluginError> {
        self.store.set_epoch_deadline(self.deadline_ticks);
        self.store.data_mut().output.next_call();
        call(&self.exports, &mut self.store).map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &wasmtime::Error) -> PluginError {
        if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
            PluginError::DeadlineExceeded(self.deadline_ms)
        } else if self.store.data().memory.exceeded {
            PluginError::MemoryExceeded(self.memory_bytes_max)
        } else {
            // The last cause says what happened, those before it where in the code.
            PluginError::Trapped(error.root_cause().to_string().replace('\n', " "))
        }
    }

    fn keep(&mut self, aggregate: ResourceAny) -> Handle {
        if let Some(at) = self.free.pop() {
            self.aggregates[at as usize] = Some(aggregate);
            return Handle(at);
        }
        self.aggregates.push(Some(aggregate));
        Handle(u32::try_from(self.aggregates.len() - 1).unwrap_or(u32::MAX))
    }

    fn aggregate(&self, handle: Handle) -> Result<ResourceAny, PluginError> {
        let found = self.aggregates.get(handle.0 as usize).copied().flatten();
        found.ok_or_else(|| PluginError::NoInstance("the aggregate was released before".into()))
    }

    /// An event as the plugin stated it, where it may state it.
    fn checked(&self, event: wit::EventResult) -> Result<DomainEvent, PluginError> {
        let Some(name) = self.events.iter().find(|name| name.as_str() == event.name) else {
            let why = format!("it stated an event `{}` that it does not describe", printable(&event.name));
            return Err(PluginError::ContractBroken(why));
        };
        if !is_json_object(&event.payload) {
            return Err(PluginError::ContractBroken(format!("the payload of its event `{name}` is no JSON object")));
        }
        Ok(DomainEvent { name: name.clone(), payload: event.payload.into() })
    }
}

impl Instance for WasmInstance {
    fn create(&mut self, id: &AggregateId) -> Result<Handle, PluginError> {
        let aggregate = self.call(|exports, store| {
            exports.agent_service_domain_aggregates().aggregate().call_constructor(store, id.as_str())
        })?;
        Ok(self.keep(aggregate))
    }

    fn restore(
        &mut self,
        id: &AggregateId,
        state_schema: u32,
        state: &[u8],
    ) -> Result<Result<Handle, String>, PluginError> {
        let restored = self.call(|exports, store| {
            exports.agent_service_domain_aggregates().aggregate().call_restore(store, id.as_str(), state_schema, state)
        })?;
        Ok(restored.map(|aggregate| self.keep(aggregate)).map_err(cut))
    }

    fn decide(
        &mut self,
        aggregate: Handle,
        context: &Context<'_>,
        verb: &Name,
        payload: &[u8],
    ) -> Result<Decision, PluginError> {
        let aggregate = self.aggregate(aggregate)?;
        let context = wit::Context {
            command_id: context.command_id,
            aggregate_id: context.aggregate_id.as_str(),
            version: context.version,
            time: context.time.0,
            correlation_id: context.correlation_id,
            actor: context.actor,
            seed: context.seed,
        };
        let command = wit::Command { name: verb.as_str(), payload };
        let decided = self.call(|exports, store| {
            exports.agent_service_domain_aggregates().aggregate().call_decide(store, aggregate, context, command)
        })?;
        match decided {
            Ok(events) => {
                events.into_iter().map(|event| self.checked(event)).collect::<Result<_, _>>().map(Decision::Events)
            }
            Err(wit::Refusal::Rejected(rejection)) if !is_reason(&rejection.reason) => {
                let why = format!("`{}` is no reason of a rejection", printable(&rejection.reason));
                Err(PluginError::ContractBroken(why))
            }
            Err(wit::Refusal::Rejected(rejection)) => {
                Ok(Decision::Rejected { reason: rejection.reason, message: cut(rejection.message) })
            }
            Err(wit::Refusal::Invalid(invalid)) => {
                Ok(Decision::Invalid { field: cut(invalid.field), message: cut(invalid.message) })
            }
        }
    }

    fn evolve(&mut self, aggregate: Handle, events: &[DomainEvent]) -> Result<Result<(), EvolveError>, PluginError> {
        let aggregate = self.aggregate(aggregate)?;
        let events: Vec<wit::EventParam<'_>> =
            events.iter().map(|event| wit::EventParam { name: event.name.as_str(), payload: &event.payload }).collect();
        let evolved = self.call(|exports, store| {
            exports.agent_service_domain_aggregates().aggregate().call_evolve(store, aggregate, &events)
        })?;
        Ok(evolved.map_err(|error| EvolveError { index: error.index as usize, message: cut(error.message) }))
    }

    fn snapshot(&mut self, aggregate: Handle) -> Result<Vec<u8>, PluginError> {
        let aggregate = self.aggregate(aggregate)?;
        self.call(|exports, store| {
            exports.agent_service_domain_aggregates().aggregate().call_snapshot(store, aggregate)
        })
    }

    fn view(&mut self, aggregate: Handle) -> Result<Vec<u8>, PluginError> {
        let aggregate = self.aggregate(aggregate)?;
        let view = self
            .call(|exports, store| exports.agent_service_domain_aggregates().aggregate().call_view(store, aggregate))?;
        if is_json_object(&view) {
            Ok(view)
        } else {
            Err(PluginError::ContractBroken("its view is no JSON object".into()))
        }
    }

    fn release(&mut self, aggregate: Handle) -> Result<(), PluginError> {
        let resource = self.aggregate(aggregate)?;
        self.call(|_, store| resource.resource_drop(store))?;
        self.aggregates[aggregate.0 as usize] = None;
        self.free.push(aggregate.0);
        Ok(())
    }
}

fn is_json_object(bytes: &[u8]) -> bool {
    let starts = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    starts == Some(&b'{')
        && std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// A rejection's token: `[a-z][a-z0-9_]{0,63}`.
fn is_reason(reason: &str) -> bool {
    reason.len() <= REASON_BYTES_MAX
        && reason.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && reason.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}
