//! The agent domain from outside: every command, event, rule and rejection, through given /
//! when / then. Speaks the JSON that clients speak and knows nothing of hosts.

mod configuration;
mod described;
mod invalid;
mod lifecycle;
mod order;
mod payloads;
mod possessions;

use agent_guest::testing::{TIME, Then, When, given};
use plugin_agent::{
    Agent, Event,
    event::{AgentActivated, AgentDecommissioned, AgentDeployed, AgentSuspended, AgentWentOffline},
    value::{AgentType, Metadata, Status},
};
use serde_json::{Value, json};

const ID: &str = "0190a5e4-7c3b-7d1e-8f00-0123456789ab";
const OWNER: &str = "0190a5e4-0000-7000-8000-000000000001";

/// What [`TIME`] looks like in payloads.
const TIME_TEXT: &str = "2026-01-01T00:00:00.000Z";

fn deployed() -> Event {
    Event::Deployed(AgentDeployed {
        agent_id: ID.to_owned(),
        agent_type: AgentType::Ai,
        metadata: Metadata {
            name: "scribe".to_owned(),
            description: "writes".to_owned(),
            version: "1.0.0".to_owned(),
            owner_id: OWNER.to_owned(),
            tags: ["text".to_owned()].into(),
        },
        deployed_at: TIME,
        deployed_by: None,
    })
}

/// A deployed agent that was brought into this state.
fn agent_in(status: Status) -> When<Agent> {
    let agent_id = ID.to_owned();
    let last = match status {
        Status::Deployed => None,
        Status::Active => Some(Event::Activated(AgentActivated { agent_id, activated_at: TIME, activated_by: None })),
        Status::Suspended => Some(Event::Suspended(AgentSuspended {
            agent_id,
            reason: "maintenance".to_owned(),
            suspended_at: TIME,
            suspended_by: None,
        })),
        Status::Offline => Some(Event::WentOffline(AgentWentOffline { agent_id, reason: None, offline_at: TIME })),
        Status::Decommissioned => Some(Event::Decommissioned(AgentDecommissioned {
            agent_id,
            reason: None,
            decommissioned_at: TIME,
            decommissioned_by: None,
        })),
    };
    given(ID).events([deployed()].into_iter().chain(last))
}

/// Events given as the JSON that is stored, after `deployed`.
fn agent_after(events: &[(&str, Value)]) -> When<Agent> {
    let decoded = events.iter().map(|(name, payload)| {
        let tagged = json!({ *name: payload });
        serde_json::from_value(tagged).expect("an event of the domain")
    });
    given(ID).events([deployed()].into_iter().chain(decoded))
}

/// Sends a command to an agent, its id filled in.
fn send(agent: When<Agent>, verb: &str, mut payload: Value) -> Then<Agent> {
    payload["agent_id"] = json!(ID);
    agent.when_json(verb, &payload.to_string())
}

/// Sends a command to an agent that does not exist.
fn send_to_none(verb: &str, payload: Value) -> Then<Agent> {
    send(given(ID).no_events(), verb, payload)
}

fn deploy_payload() -> Value {
    json!({
        "agent_type": "AI",
        "metadata": {
            "name": "scribe", "description": "writes", "version": "1.0.0",
            "owner_id": OWNER, "tags": ["text", "text"],
        },
    })
}

/// One command of each verb that is in order whatever the agent has, but for `deploy`.
fn later_commands() -> Vec<(&'static str, Value)> {
    vec![
        ("activate", json!({})),
        ("suspend", json!({ "reason": "maintenance" })),
        ("go_offline", json!({})),
        ("decommission", json!({})),
        ("update_capabilities", json!({ "add_capabilities": [{ "port": { "id": "text.generation" } }] })),
        ("grant_permissions", json!({ "permissions": [{ "id": "graph.read" }] })),
        ("revoke_permissions", json!({ "permission_ids": ["graph.read"] })),
        ("enable_tools", json!({ "tools": [{ "id": "http.get" }] })),
        ("disable_tools", json!({ "tool_ids": ["http.get"] })),
        ("update_configuration", json!({ "changes": { "retries": 3 } })),
    ]
}
