//! What an agent can do.

use agent_guest::{Refusal, prelude::JsonSchema};
use serde::{Deserialize, Serialize};

use super::{Identified, Object};
use crate::check;

/// One thing an agent can do, and how it is set up to do it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capability {
    /// What it can do.
    pub port: Port,
    /// Whether it does it at present; `true` where the client says nothing.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// Settings of this capability.
    #[serde(default)]
    pub config: Object,
}

/// The abstract side of a capability. The standard ports are `text.generation`,
/// `text.embedding`, `image.analysis`, `code.generation` and `search.semantic`; others may be
/// named freely. Everything but the id may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Port {
    /// Dotted, such as `text.generation`.
    pub id: String,
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// What it is grouped under.
    #[serde(default)]
    pub category: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// The names of what goes in.
    #[serde(default)]
    pub required_inputs: Vec<String>,
    /// The names of what comes out.
    #[serde(default)]
    pub expected_outputs: Vec<String>,
    /// Whatever else the client wants to keep with it.
    #[serde(default)]
    pub metadata: Object,
}

pub(super) fn enabled() -> bool {
    true
}

impl Identified for Capability {
    fn id(&self) -> &str {
        &self.port.id
    }
}

impl Capability {
    pub(crate) fn validate(&self) -> Result<(), Refusal> {
        check::within("port", self.port.validate())?;
        check::keys("config", self.config.keys())
    }
}

impl Port {
    fn validate(&self) -> Result<(), Refusal> {
        check::dotted("id", &self.id)?;
        check::label("name", &self.name)?;
        check::label("category", &self.category)?;
        check::text("description", &self.description)?;
        let label = |name: &String| check::label("", name);
        check::each("required_inputs", &self.required_inputs, label)?;
        check::each("expected_outputs", &self.expected_outputs, label)?;
        check::keys("metadata", self.metadata.keys())
    }
}
