//! How an agent is set up.

use agent_guest::{Timestamp, prelude::JsonSchema};
use serde::{Deserialize, Serialize};

use super::Object;

/// The settings an agent runs with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// The settings; none of them is `null`.
    pub settings: Object,
    /// How many times the settings changed, from 0.
    pub version: u64,
    /// When they changed last; until then, when the agent was deployed.
    pub updated_at: Timestamp,
}

/// The settings an agent is deployed with.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
pub struct InitialConfiguration {
    /// The settings; one that is `null` is not set.
    #[serde(default)]
    pub settings: Object,
}
