//! What an agent is: its type and the words about it.

use std::collections::BTreeSet;

use agent_guest::{Refusal, prelude::JsonSchema};
use serde::{Deserialize, Serialize};

use crate::check;

/// The kind of automaton.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum AgentType {
    /// Part of the system itself.
    System,
    /// Driven by a model.
    #[serde(rename = "AI")]
    Ai,
    /// Run by someone else.
    External,
    /// A bridge to another system.
    Integration,
}

/// The words about an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metadata {
    /// What people call it; not empty.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// A semantic version.
    pub version: String,
    /// Who answers for it: a UUID.
    pub owner_id: String,
    /// Words to find it by; each counts once.
    #[serde(default)]
    pub tags: BTreeSet<String>,
}

impl Metadata {
    pub(crate) fn validate(&self) -> Result<(), Refusal> {
        check::name("name", &self.name)?;
        check::text("description", &self.description)?;
        check::label("version", &self.version)?;
        if semver::Version::parse(&self.version).is_err() {
            return Err(Refusal::invalid("version", "must be a semantic version such as 1.0.0"));
        }
        check::uuid("owner_id", &self.owner_id)?;
        check::each("tags", &self.tags, |tag| check::label("", tag))
    }
}
