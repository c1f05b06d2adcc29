//! Every command of the agent domain over the wire, each with the event it leads to. The domain's
//! rules are tested natively beside the plugin; this must not repeat them.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Agent, Host, Nats, agent};

/// Verb, `type`, fields, and the event's token and `type`.
fn life() -> Vec<(&'static str, &'static str, Value, &'static str, &'static str)> {
    let port = json!({
        "id": "text.generation", "name": "Text", "category": "text", "description": "writes",
        "required_inputs": ["prompt"], "expected_outputs": ["text"], "metadata": {},
    });
    let tool = json!({
        "id": "http.get", "name": "Get", "version": "1.0.0", "description": "fetches",
        "parameters": {"url": {"name": "url", "type_hint": "string", "required": true}},
        "enabled": true, "metadata": {},
    });
    vec![
        ("deploy", "DeployAgent", agent::deployment(), "deployed", "AgentDeployed"),
        ("activate", "ActivateAgent", json!({"activated_by": "me"}), "activated", "AgentActivated"),
        ("suspend", "SuspendAgent", json!({"reason": "rest"}), "suspended", "AgentSuspended"),
        ("go_offline", "MarkAgentOffline", json!({"reason": "night"}), "went_offline", "AgentWentOffline"),
        (
            "update_capabilities",
            "UpdateCapabilities",
            json!({"add_capabilities": [{"port": port, "enabled": true, "config": {}}], "remove_capability_ids": []}),
            "capabilities_updated",
            "CapabilitiesUpdated",
        ),
        (
            "grant_permissions",
            "GrantPermissions",
            json!({"permissions": [{"id": "workflow.execute", "description": "runs"}]}),
            "permissions_granted",
            "PermissionsGranted",
        ),
        (
            "revoke_permissions",
            "RevokePermissions",
            json!({"permission_ids": ["workflow.execute"]}),
            "permissions_revoked",
            "PermissionsRevoked",
        ),
        ("enable_tools", "EnableTools", json!({"tools": [tool]}), "tools_enabled", "ToolsEnabled"),
        ("disable_tools", "DisableTools", json!({"tool_ids": ["http.get"]}), "tools_disabled", "ToolsDisabled"),
        (
            "update_configuration",
            "UpdateConfiguration",
            json!({"changes": {"model": "large"}}),
            "configuration_changed",
            "ConfigurationChanged",
        ),
        ("decommission", "DecommissionAgent", json!({"reason": "done"}), "decommissioned", "AgentDecommissioned"),
    ]
}

#[tokio::test]
async fn every_verb_leads_to_its_event() -> Result<()> {
    let nats = Nats::start().await?;
    let _host = Host::start(&nats).await?;
    let agent = Agent::new();

    for (index, (verb, r#type, mut fields, token, event_type)) in life().into_iter().enumerate() {
        fields["type"] = json!(r#type);
        let reply = nats.ask(agent.command(verb, &fields)).await?.ok().context(verb)?;
        ensure!(reply.version()? == index as u64 + 1, "{verb}: {}", reply.body);
        let events = nats.stored(&agent.id).await?;
        let event = events.last().context("no event")?;
        ensure!(event.subject == format!("agent.events.{}.{token}", agent.id), "{verb}: {}", event.subject);
        ensure!(event.data["type"] == event_type && event.data["agent_id"] == agent.id.as_str(), "{}", event.data);
    }
    Ok(())
}

#[tokio::test]
async fn what_all_verbs_have_done_is_shown_and_survives_a_crash() -> Result<()> {
    let nats = Nats::start().await?;
    let mut host = Host::start(&nats).await?;
    let agent = Agent::new();
    for (verb, _, fields, _, _) in life() {
        nats.ask(agent.command(verb, &fields)).await?.ok().context(verb)?;
    }

    let before = nats.ask(agent.state()).await?.ok()?;
    let state = before.state();
    ensure!(state["agent_id"] == agent.id.as_str() && state["agent_type"] == "AI", "{state}");
    ensure!(state["status"] == "Decommissioned" && state["metadata"]["name"] == "Scout", "{state}");
    ensure!(state["capabilities"]["text.generation"]["port"]["name"] == "Text", "{state}");
    ensure!(state["permissions"] == json!({}) && state["tools"] == json!({}), "{state}");
    ensure!(state["configuration"]["settings"] == json!({"model": "large"}), "{state}");
    ensure!(state["configuration"]["version"] == 1 && state["deployed_at"].is_string(), "{state}");

    host.kill().await?;
    let _host = Host::start(&nats).await?;
    let after = nats.ask(agent.state()).await?.ok()?;
    ensure!(after.body == before.body, "{} became {}", before.body, after.body);
    Ok(())
}
