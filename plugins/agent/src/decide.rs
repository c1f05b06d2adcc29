//! The rules: which events a command leads to, or which rejection. Takes a command whose
//! fields make sense and changes nothing.
//!
//! Rejections are looked at in this order, and the first that holds is the answer:
//! `agent_not_found`, `already_deployed`, `agent_decommissioned`, `empty_change`,
//! `invalid_transition`, `not_present`, `no_change`.
//!
//! Where a command names several things, those that would change nothing are left out of the
//! event. It is refused only if nothing is left: as `not_present` if it named anything to
//! take away, else as `no_change`.

use agent_guest::{Context, Refusal};
use serde_json::Value;

use crate::{
    change,
    command::{
        ActivateAgent, Command, DecommissionAgent, DeployAgent, MarkAgentOffline, SuspendAgent, UpdateConfiguration,
    },
    event::{
        AgentActivated, AgentDecommissioned, AgentDeployed, AgentSuspended, AgentWentOffline, ConfigurationChanged,
        Event,
    },
    rejection,
    state::Record,
    value::{Object, Status},
};

mod possessions;

type Decision = Result<Vec<Event>, Refusal>;

pub(crate) fn decide(agent: Option<&Record>, context: &Context, command: Command) -> Decision {
    match (agent, command) {
        (None, Command::Deploy(command)) => Ok(deploy(context, command)),
        (None, _) => Err(rejection::agent_not_found()),
        (Some(_), Command::Deploy(_)) => Err(rejection::already_deployed()),
        (Some(agent), _) if agent.status == Status::Decommissioned => Err(rejection::agent_decommissioned()),
        (Some(agent), Command::Activate(command)) => activate(agent, context, command),
        (Some(agent), Command::Suspend(command)) => suspend(agent, context, command),
        (Some(agent), Command::GoOffline(command)) => go_offline(agent, context, command),
        (Some(agent), Command::Decommission(command)) => decommission(agent, context, command),
        (Some(agent), Command::UpdateCapabilities(command)) => {
            possessions::update_capabilities(agent, context, command)
        }
        (Some(agent), Command::GrantPermissions(command)) => possessions::grant_permissions(agent, context, command),
        (Some(agent), Command::RevokePermissions(command)) => possessions::revoke_permissions(agent, context, command),
        (Some(agent), Command::EnableTools(command)) => possessions::enable_tools(agent, context, command),
        (Some(agent), Command::DisableTools(command)) => possessions::disable_tools(agent, context, command),
        (Some(agent), Command::UpdateConfiguration(command)) => update_configuration(agent, context, command),
    }
}

fn deploy(context: &Context, command: DeployAgent) -> Vec<Event> {
    let settings = command.initial_configuration.unwrap_or_default().settings;
    let nothing = Object::new();
    let changes = change::settings(settings, &nothing);
    let configured = configuration_changed(context, &nothing, changes, command.deployed_by.clone());
    let deployed = Event::Deployed(AgentDeployed {
        agent_id: context.aggregate_id().to_owned(),
        agent_type: command.agent_type,
        metadata: command.metadata,
        deployed_at: context.time(),
        deployed_by: command.deployed_by,
    });
    [deployed].into_iter().chain(configured).collect()
}

fn activate(agent: &Record, context: &Context, command: ActivateAgent) -> Decision {
    transition(agent, Status::Active)?;
    Ok(vec![Event::Activated(AgentActivated {
        agent_id: context.aggregate_id().to_owned(),
        activated_at: context.time(),
        activated_by: command.activated_by,
    })])
}

fn suspend(agent: &Record, context: &Context, command: SuspendAgent) -> Decision {
    if command.reason.trim().is_empty() {
        return Err(rejection::empty_change("reason"));
    }
    transition(agent, Status::Suspended)?;
    Ok(vec![Event::Suspended(AgentSuspended {
        agent_id: context.aggregate_id().to_owned(),
        reason: command.reason,
        suspended_at: context.time(),
        suspended_by: command.suspended_by,
    })])
}

fn go_offline(agent: &Record, context: &Context, command: MarkAgentOffline) -> Decision {
    transition(agent, Status::Offline)?;
    Ok(vec![Event::WentOffline(AgentWentOffline {
        agent_id: context.aggregate_id().to_owned(),
        reason: command.reason,
        offline_at: context.time(),
    })])
}

fn decommission(agent: &Record, context: &Context, command: DecommissionAgent) -> Decision {
    transition(agent, Status::Decommissioned)?;
    Ok(vec![Event::Decommissioned(AgentDecommissioned {
        agent_id: context.aggregate_id().to_owned(),
        reason: command.reason,
        decommissioned_at: context.time(),
        decommissioned_by: command.decommissioned_by,
    })])
}

fn update_configuration(agent: &Record, context: &Context, command: UpdateConfiguration) -> Decision {
    if command.changes.is_empty() {
        return Err(rejection::empty_change("configuration keys"));
    }
    let standing = &agent.configuration.settings;
    let misses = |(key, value): (&String, &Value)| value.is_null() && !standing.contains_key(key);
    let names_missing = command.changes.iter().any(misses);
    let changes = change::settings(command.changes, standing);
    match configuration_changed(context, standing, changes, command.changed_by) {
        Some(event) => Ok(vec![event]),
        None if names_missing => Err(rejection::not_present("settings")),
        None => Err(rejection::no_change("settings")),
    }
}

fn transition(agent: &Record, to: Status) -> Result<(), Refusal> {
    if agent.status.may_become(to) {
        return Ok(());
    }
    Err(rejection::invalid_transition(agent.status, to))
}

/// The event for settings that change, if any do.
fn configuration_changed(
    context: &Context,
    standing: &Object,
    changes: Object,
    changed_by: Option<String>,
) -> Option<Event> {
    if changes.is_empty() {
        return None;
    }
    let mut old_values = Object::new();
    for key in changes.keys() {
        old_values.insert(key.clone(), standing.get(key).cloned().unwrap_or(Value::Null));
    }
    Some(Event::ConfigurationChanged(ConfigurationChanged {
        agent_id: context.aggregate_id().to_owned(),
        changed_keys: changes.keys().cloned().collect(),
        old_values,
        new_values: changes,
        changed_at: context.time(),
        changed_by,
    }))
}
