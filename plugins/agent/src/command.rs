//! What an agent can be asked for, as it arrives, and which fields make no sense whatever the
//! agent's state. The agent's id is the host's business and is declared nowhere.
//!
//! A field that may be missing may also be `null`, except lists and objects. A missing
//! `*_by` or `reason` is `null` in the event.

use agent_guest::{Refusal, prelude::JsonSchema};
use serde::Deserialize;

use crate::{
    check,
    value::{AgentType, Capability, InitialConfiguration, Metadata, Object, Permission, Tool},
};

/// All commands; the variant is the verb, the struct's name the `type`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Makes a new agent known.
    Deploy(DeployAgent),
    /// Sets an agent to work.
    Activate(ActivateAgent),
    /// Holds an active agent back.
    Suspend(SuspendAgent),
    /// Notes that an agent is out of reach.
    GoOffline(MarkAgentOffline),
    /// Ends an agent's life.
    Decommission(DecommissionAgent),
    /// Gives an agent capabilities and takes others away.
    UpdateCapabilities(UpdateCapabilities),
    /// Gives an agent permissions.
    GrantPermissions(GrantPermissions),
    /// Takes permissions from an agent.
    RevokePermissions(RevokePermissions),
    /// Gives an agent tools.
    EnableTools(EnableTools),
    /// Takes tools from an agent.
    DisableTools(DisableTools),
    /// Changes an agent's settings.
    UpdateConfiguration(UpdateConfiguration),
}

/// Payload of `deploy`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DeployAgent {
    /// The kind of automaton.
    pub agent_type: AgentType,
    /// The words about it.
    pub metadata: Metadata,
    /// Settings to begin with; with any, `configuration_changed` follows `deployed`.
    pub initial_configuration: Option<InitialConfiguration>,
    /// Who deployed it.
    pub deployed_by: Option<String>,
}

/// Payload of `activate`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ActivateAgent {
    /// Who activated it.
    pub activated_by: Option<String>,
}

/// Payload of `suspend`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SuspendAgent {
    /// Why; an empty reason is rejected as `empty_change`.
    pub reason: String,
    /// Who suspended it.
    pub suspended_by: Option<String>,
}

/// Payload of `go_offline`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct MarkAgentOffline {
    /// Why, if that is known.
    pub reason: Option<String>,
}

/// Payload of `decommission`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DecommissionAgent {
    /// Why, if anyone said.
    pub reason: Option<String>,
    /// Who decommissioned it.
    pub decommissioned_by: Option<String>,
}

/// Payload of `update_capabilities`. An id in both lists is replaced: the addition counts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct UpdateCapabilities {
    /// Capabilities to add, or to replace by id.
    #[serde(default)]
    pub add_capabilities: Vec<Capability>,
    /// Port ids of capabilities to remove.
    #[serde(default)]
    pub remove_capability_ids: Vec<String>,
    /// Who updated them.
    pub updated_by: Option<String>,
}

/// Payload of `grant_permissions`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct GrantPermissions {
    /// Permissions to grant, or to replace by id.
    pub permissions: Vec<Permission>,
    /// Who granted them.
    pub granted_by: Option<String>,
    /// Why, if anyone said.
    pub reason: Option<String>,
}

/// Payload of `revoke_permissions`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RevokePermissions {
    /// Exact ids as they were granted; a wildcard names only itself.
    pub permission_ids: Vec<String>,
    /// Who revoked them.
    pub revoked_by: Option<String>,
    /// Why, if anyone said.
    pub reason: Option<String>,
}

/// Payload of `enable_tools`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct EnableTools {
    /// Tools to enable, or to replace by id.
    pub tools: Vec<Tool>,
    /// Who enabled them.
    pub enabled_by: Option<String>,
}

/// Payload of `disable_tools`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DisableTools {
    /// Ids of tools to take away.
    pub tool_ids: Vec<String>,
    /// Who disabled them.
    pub disabled_by: Option<String>,
    /// Why, if anyone said.
    pub reason: Option<String>,
}

/// Payload of `update_configuration`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct UpdateConfiguration {
    /// Settings by key; `null` removes a setting.
    pub changes: Object,
    /// Who changed them.
    pub changed_by: Option<String>,
}

impl Command {
    /// Checks the fields that make no sense whatever the agent's state.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for the first field at fault.
    pub fn validate(&self) -> Result<(), Refusal> {
        let by = |field, who: &Option<String>| check::optional(check::label, field, who.as_deref());
        let reason = |why: &Option<String>| check::optional(check::text, "reason", why.as_deref());
        match self {
            Self::Deploy(command) => {
                check::within("metadata", command.metadata.validate())?;
                if let Some(initial) = &command.initial_configuration {
                    check::keys("initial_configuration.settings", initial.settings.keys())?;
                }
                by("deployed_by", &command.deployed_by)
            }
            Self::Activate(command) => by("activated_by", &command.activated_by),
            Self::Suspend(command) => {
                check::text("reason", &command.reason)?;
                by("suspended_by", &command.suspended_by)
            }
            Self::GoOffline(command) => reason(&command.reason),
            Self::Decommission(command) => {
                reason(&command.reason)?;
                by("decommissioned_by", &command.decommissioned_by)
            }
            Self::UpdateCapabilities(command) => {
                let added = &command.add_capabilities;
                check::each("add_capabilities", added, Capability::validate)?;
                let removed = &command.remove_capability_ids;
                check::each("remove_capability_ids", removed, |id| check::dotted("", id))?;
                by("updated_by", &command.updated_by)
            }
            Self::GrantPermissions(command) => {
                check::each("permissions", &command.permissions, Permission::validate)?;
                by("granted_by", &command.granted_by)?;
                reason(&command.reason)
            }
            Self::RevokePermissions(command) => {
                let ids = &command.permission_ids;
                check::each("permission_ids", ids, |id| check::permission_id("", id))?;
                by("revoked_by", &command.revoked_by)?;
                reason(&command.reason)
            }
            Self::EnableTools(command) => {
                check::each("tools", &command.tools, Tool::validate)?;
                by("enabled_by", &command.enabled_by)
            }
            Self::DisableTools(command) => {
                check::each("tool_ids", &command.tool_ids, |id| check::dotted("", id))?;
                by("disabled_by", &command.disabled_by)?;
                reason(&command.reason)
            }
            Self::UpdateConfiguration(command) => {
                check::keys("changes", command.changes.keys())?;
                by("changed_by", &command.changed_by)
            }
        }
    }
}
