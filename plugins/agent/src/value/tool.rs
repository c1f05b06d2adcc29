//! What an agent may reach for.

use std::collections::BTreeMap;

use agent_guest::{Refusal, prelude::JsonSchema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Identified, Object, capability::enabled};
use crate::check;

/// A function outside the agent that it may call. Everything but the id may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// Dotted, such as `http.get`.
    pub id: String,
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// The tool's own version.
    #[serde(default)]
    pub version: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Its parameters by name.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    /// Whether it can be called at present; `true` where the client says nothing.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// Whatever else the client wants to keep with it.
    #[serde(default)]
    pub metadata: Object,
}

/// One parameter of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Parameter {
    /// Its name, as a rule the key it stands under.
    #[serde(default)]
    pub name: String,
    /// `string`, `number`, `object` or whatever client and tool agree on.
    #[serde(default)]
    pub type_hint: String,
    /// Whether a call must have it.
    #[serde(default)]
    pub required: bool,
    /// What holds where a call leaves it out.
    #[serde(default)]
    pub default: Option<Value>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
}

impl Identified for Tool {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Tool {
    pub(crate) fn validate(&self) -> Result<(), Refusal> {
        check::dotted("id", &self.id)?;
        check::label("name", &self.name)?;
        check::label("version", &self.version)?;
        check::text("description", &self.description)?;
        check::keys("parameters", self.parameters.keys())?;
        for (key, parameter) in &self.parameters {
            check::within(&format!("parameters.{key}"), parameter.validate())?;
        }
        check::keys("metadata", self.metadata.keys())
    }
}

impl Parameter {
    fn validate(&self) -> Result<(), Refusal> {
        check::label("name", &self.name)?;
        check::label("type_hint", &self.type_hint)?;
        check::optional(check::text, "description", self.description.as_deref())
    }
}
