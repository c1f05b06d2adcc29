//! The rules about what an agent has: capabilities, permissions, tools. Knows nothing of its
//! life.

use agent_guest::{Context, Refusal};

use super::Decision;
use crate::{
    change,
    command::{DisableTools, EnableTools, GrantPermissions, RevokePermissions, UpdateCapabilities},
    event::{CapabilitiesUpdated, Event, PermissionsGranted, PermissionsRevoked, ToolsDisabled, ToolsEnabled},
    rejection,
    state::Record,
    value::covers,
};

pub(super) fn update_capabilities(agent: &Record, context: &Context, mut command: UpdateCapabilities) -> Decision {
    if command.add_capabilities.is_empty() && command.remove_capability_ids.is_empty() {
        return Err(rejection::empty_change("capabilities"));
    }
    let added = &command.add_capabilities;
    command.remove_capability_ids.retain(|id| added.iter().all(|capability| capability.port.id != *id));
    let removes = !command.remove_capability_ids.is_empty();
    let added_capabilities = change::additions(command.add_capabilities, &agent.capabilities);
    let removed_capabilities = change::removals(command.remove_capability_ids, &agent.capabilities);
    match (added_capabilities.is_empty(), removed_capabilities.is_empty()) {
        (true, true) if removes => Err(rejection::not_present("capabilities")),
        (true, true) => Err(rejection::no_change("capabilities")),
        _ => Ok(vec![Event::CapabilitiesUpdated(CapabilitiesUpdated {
            agent_id: context.aggregate_id().to_owned(),
            added_capabilities,
            removed_capabilities,
            updated_at: context.time(),
            updated_by: command.updated_by,
        })]),
    }
}

/// A permission that a held wildcard covers is granted all the same: it then stands on its
/// own and outlives the wildcard, so that is a change.
pub(super) fn grant_permissions(agent: &Record, context: &Context, command: GrantPermissions) -> Decision {
    if command.permissions.is_empty() {
        return Err(rejection::empty_change("permissions"));
    }
    let permissions = change::additions(command.permissions, &agent.permissions);
    if permissions.is_empty() {
        return Err(rejection::no_change("permissions"));
    }
    Ok(vec![Event::PermissionsGranted(PermissionsGranted {
        agent_id: context.aggregate_id().to_owned(),
        permissions,
        granted_at: context.time(),
        granted_by: command.granted_by,
        reason: command.reason,
    })])
}

/// Takes away exactly the ids named. What the agent has only through a wildcard cannot be
/// taken from it one by one; the rejection says which wildcard to revoke.
pub(super) fn revoke_permissions(agent: &Record, context: &Context, command: RevokePermissions) -> Decision {
    if command.permission_ids.is_empty() {
        return Err(rejection::empty_change("permissions"));
    }
    let named = command.permission_ids;
    let permission_ids = change::removals(named.clone(), &agent.permissions);
    if permission_ids.is_empty() {
        return Err(permissions_not_present(agent, &named));
    }
    Ok(vec![Event::PermissionsRevoked(PermissionsRevoked {
        agent_id: context.aggregate_id().to_owned(),
        permission_ids,
        revoked_at: context.time(),
        revoked_by: command.revoked_by,
        reason: command.reason,
    })])
}

fn permissions_not_present(agent: &Record, named: &[String]) -> Refusal {
    let covering = named.iter().find_map(|id| {
        let held = agent.permissions.keys().find(|held| covers(held, id))?;
        Some((id, held))
    });
    match covering {
        Some((id, held)) => rejection::held_by_wildcard(id, held),
        None => rejection::not_present("permissions"),
    }
}

pub(super) fn enable_tools(agent: &Record, context: &Context, command: EnableTools) -> Decision {
    if command.tools.is_empty() {
        return Err(rejection::empty_change("tools"));
    }
    let tools = change::additions(command.tools, &agent.tools);
    if tools.is_empty() {
        return Err(rejection::no_change("tools"));
    }
    Ok(vec![Event::ToolsEnabled(ToolsEnabled {
        agent_id: context.aggregate_id().to_owned(),
        tools,
        enabled_at: context.time(),
        enabled_by: command.enabled_by,
    })])
}

/// A disabled tool is taken away, not kept with `enabled: false`: enabling it again brings
/// its whole definition.
pub(super) fn disable_tools(agent: &Record, context: &Context, command: DisableTools) -> Decision {
    if command.tool_ids.is_empty() {
        return Err(rejection::empty_change("tools"));
    }
    let tool_ids = change::removals(command.tool_ids, &agent.tools);
    if tool_ids.is_empty() {
        return Err(rejection::not_present("tools"));
    }
    Ok(vec![Event::ToolsDisabled(ToolsDisabled {
        agent_id: context.aggregate_id().to_owned(),
        tool_ids,
        disabled_at: context.time(),
        disabled_by: command.disabled_by,
        reason: command.reason,
    })])
}
