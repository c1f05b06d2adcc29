//! What can happen to an agent, as it is stored: the struct's name as `type`, the agent's id. A
//! `*_by` or `reason` that nobody gave is `null`, never left out. What is stored here must
//! stay readable for ever.

use agent_guest::{Timestamp, prelude::JsonSchema};
use serde::{Deserialize, Serialize};

use crate::value::{AgentType, Capability, Metadata, Object, Permission, Tool};

/// All events; the variant is the name in subjects, the struct's name the `type`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The agent became known.
    Deployed(AgentDeployed),
    /// The agent went to work.
    Activated(AgentActivated),
    /// The agent is held back.
    Suspended(AgentSuspended),
    /// The agent is out of reach.
    WentOffline(AgentWentOffline),
    /// The agent's life ended.
    Decommissioned(AgentDecommissioned),
    /// The agent gained or lost capabilities.
    CapabilitiesUpdated(CapabilitiesUpdated),
    /// The agent gained permissions.
    PermissionsGranted(PermissionsGranted),
    /// The agent lost permissions.
    PermissionsRevoked(PermissionsRevoked),
    /// The agent gained tools.
    ToolsEnabled(ToolsEnabled),
    /// The agent lost tools.
    ToolsDisabled(ToolsDisabled),
    /// The agent's settings changed.
    ConfigurationChanged(ConfigurationChanged),
}

/// Payload of `deployed`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AgentDeployed {
    /// The agent.
    pub agent_id: String,
    /// The kind of automaton.
    pub agent_type: AgentType,
    /// The words about it.
    pub metadata: Metadata,
    /// When.
    pub deployed_at: Timestamp,
    /// Who.
    pub deployed_by: Option<String>,
}

/// Payload of `activated`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AgentActivated {
    /// The agent.
    pub agent_id: String,
    /// When.
    pub activated_at: Timestamp,
    /// Who.
    pub activated_by: Option<String>,
}

/// Payload of `suspended`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AgentSuspended {
    /// The agent.
    pub agent_id: String,
    /// Why.
    pub reason: String,
    /// When.
    pub suspended_at: Timestamp,
    /// Who.
    pub suspended_by: Option<String>,
}

/// Payload of `went_offline`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AgentWentOffline {
    /// The agent.
    pub agent_id: String,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub offline_at: Timestamp,
}

/// Payload of `decommissioned`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AgentDecommissioned {
    /// The agent.
    pub agent_id: String,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub decommissioned_at: Timestamp,
    /// Who.
    pub decommissioned_by: Option<String>,
}

/// Payload of `capabilities_updated`. No id is in both lists.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CapabilitiesUpdated {
    /// The agent.
    pub agent_id: String,
    /// New capabilities, and new values of those it had.
    pub added_capabilities: Vec<Capability>,
    /// Port ids of the capabilities it lost.
    pub removed_capabilities: Vec<String>,
    /// When.
    pub updated_at: Timestamp,
    /// Who.
    pub updated_by: Option<String>,
}

/// Payload of `permissions_granted`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PermissionsGranted {
    /// The agent.
    pub agent_id: String,
    /// New permissions, and new values of those it had.
    pub permissions: Vec<Permission>,
    /// When.
    pub granted_at: Timestamp,
    /// Who.
    pub granted_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Payload of `permissions_revoked`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PermissionsRevoked {
    /// The agent.
    pub agent_id: String,
    /// The permissions it lost.
    pub permission_ids: Vec<String>,
    /// When.
    pub revoked_at: Timestamp,
    /// Who.
    pub revoked_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Payload of `tools_enabled`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ToolsEnabled {
    /// The agent.
    pub agent_id: String,
    /// New tools, and new values of those it had.
    pub tools: Vec<Tool>,
    /// When.
    pub enabled_at: Timestamp,
    /// Who.
    pub enabled_by: Option<String>,
}

/// Payload of `tools_disabled`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ToolsDisabled {
    /// The agent.
    pub agent_id: String,
    /// The tools it lost.
    pub tool_ids: Vec<String>,
    /// When.
    pub disabled_at: Timestamp,
    /// Who.
    pub disabled_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Payload of `configuration_changed`. Both maps hold every changed key; `null` stands for a
/// setting that was not there, or is no longer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ConfigurationChanged {
    /// The agent.
    pub agent_id: String,
    /// The keys that changed, in order.
    pub changed_keys: Vec<String>,
    /// What stood before.
    pub old_values: Object,
    /// What stands now.
    pub new_values: Object,
    /// When.
    pub changed_at: Timestamp,
    /// Who.
    pub changed_by: Option<String>,
}
