//! What an agent became by its events. The only file that changes state; takes every event as
//! it is and asks for no rules.

use std::collections::BTreeMap;

use agent_guest::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    event::{ConfigurationChanged, Event},
    value::{AgentType, Capability, Configuration, Identified, Metadata, Object, Permission, Status, Tool},
};

/// The state of one agent: nothing until it is deployed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Agent {
    /// What is known of it since it was deployed.
    pub record: Option<Record>,
}

/// What is known of a deployed agent; also its view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The agent's id.
    pub agent_id: String,
    /// The kind of automaton.
    pub agent_type: AgentType,
    /// Where it is in its life.
    pub status: Status,
    /// The words about it.
    pub metadata: Metadata,
    /// What it can do, by port id.
    pub capabilities: BTreeMap<String, Capability>,
    /// What it may do, by permission id.
    pub permissions: BTreeMap<String, Permission>,
    /// What it may reach for, by tool id.
    pub tools: BTreeMap<String, Tool>,
    /// How it is set up.
    pub configuration: Configuration,
    /// When it was deployed.
    pub deployed_at: Timestamp,
}

/// What a query shows: a JSON object also before there is anything to show.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum View<'a> {
    Deployed(&'a Record),
    Unknown {},
}

impl Agent {
    pub(crate) fn shown(&self) -> View<'_> {
        self.record.as_ref().map_or(View::Unknown {}, View::Deployed)
    }

    pub(crate) fn apply(&mut self, event: Event) -> Result<(), String> {
        match (&mut self.record, event) {
            (None, Event::Deployed(event)) => {
                self.record = Some(Record {
                    agent_id: event.agent_id,
                    agent_type: event.agent_type,
                    status: Status::Deployed,
                    metadata: event.metadata,
                    capabilities: BTreeMap::new(),
                    permissions: BTreeMap::new(),
                    tools: BTreeMap::new(),
                    configuration: Configuration { settings: Object::new(), version: 0, updated_at: event.deployed_at },
                    deployed_at: event.deployed_at,
                });
                Ok(())
            }
            (Some(record), event) => record.apply(event),
            (None, _) => Err("an agent's first event must be `deployed`".to_owned()),
        }
    }
}

impl Record {
    fn apply(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Deployed(_) => return Err("agent is deployed a second time".to_owned()),
            Event::Activated(_) => self.status = Status::Active,
            Event::Suspended(_) => self.status = Status::Suspended,
            Event::WentOffline(_) => self.status = Status::Offline,
            Event::Decommissioned(_) => self.status = Status::Decommissioned,
            Event::CapabilitiesUpdated(event) => {
                remove(&mut self.capabilities, &event.removed_capabilities);
                insert(&mut self.capabilities, event.added_capabilities);
            }
            Event::PermissionsGranted(event) => insert(&mut self.permissions, event.permissions),
            Event::PermissionsRevoked(event) => {
                remove(&mut self.permissions, &event.permission_ids);
            }
            Event::ToolsEnabled(event) => insert(&mut self.tools, event.tools),
            Event::ToolsDisabled(event) => remove(&mut self.tools, &event.tool_ids),
            Event::ConfigurationChanged(event) => self.configuration.apply(event),
        }
        Ok(())
    }
}

impl Configuration {
    fn apply(&mut self, event: ConfigurationChanged) {
        for (key, value) in event.new_values {
            if value.is_null() {
                self.settings.remove(&key);
            } else {
                self.settings.insert(key, value);
            }
        }
        self.version += 1;
        self.updated_at = event.changed_at;
    }
}

fn insert<T: Identified>(into: &mut BTreeMap<String, T>, items: Vec<T>) {
    for item in items {
        into.insert(item.id().to_owned(), item);
    }
}

fn remove<T>(from: &mut BTreeMap<String, T>, ids: &[String]) {
    for id in ids {
        from.remove(id);
    }
}
