//! What is stored and what a query shows, to the letter.

use agent_guest::live::{Aggregate, EvolveError};
use plugin_agent::{Agent, value::Status};
use serde_json::{Value, json};

use crate::{ID, OWNER, TIME_TEXT, agent_after, agent_in, send};

#[test]
fn lifecycle_events_have_their_fields() {
    let cases = [
        (
            Status::Deployed,
            "activate",
            json!({}),
            "activated",
            json!({
                "type": "AgentActivated", "agent_id": ID, "activated_at": TIME_TEXT, "activated_by": null,
            }),
        ),
        (
            Status::Active,
            "suspend",
            json!({ "reason": "maintenance", "suspended_by": "ada" }),
            "suspended",
            json!({
                "type": "AgentSuspended", "agent_id": ID, "reason": "maintenance",
                "suspended_at": TIME_TEXT, "suspended_by": "ada",
            }),
        ),
        (
            Status::Active,
            "go_offline",
            json!({ "reason": "lost" }),
            "went_offline",
            json!({
                "type": "AgentWentOffline", "agent_id": ID, "reason": "lost", "offline_at": TIME_TEXT,
            }),
        ),
        (
            Status::Suspended,
            "go_offline",
            json!({}),
            "went_offline",
            json!({
                "type": "AgentWentOffline", "agent_id": ID, "reason": null, "offline_at": TIME_TEXT,
            }),
        ),
        (
            Status::Offline,
            "decommission",
            json!({ "decommissioned_by": "ada" }),
            "decommissioned",
            json!({
                "type": "AgentDecommissioned", "agent_id": ID, "reason": null,
                "decommissioned_at": TIME_TEXT, "decommissioned_by": "ada",
            }),
        ),
    ];
    for (status, verb, payload, name, event) in cases {
        send(agent_in(status), verb, payload).then_json(&[(name, event)]);
    }
}

#[test]
fn the_type_comes_first() {
    let mut agent = Aggregate::<Agent>::new(ID);
    let context = agent_guest::Context::new("c", ID, 0, agent_guest::testing::TIME);
    let payload = crate::deploy_payload().to_string();
    let events = agent.decide(&context, "deploy", payload.as_bytes()).expect("deployed");
    let start = format!(r#"{{"type":"AgentDeployed","agent_id":"{ID}","agent_type":"AI","#);
    assert!(events[0].payload.starts_with(start.as_bytes()));
    agent.evolve([(events[0].name, &events[0].payload[..])]).expect("evolves");
}

#[test]
fn capabilities_and_tools_keep_what_the_client_said() {
    let capability = json!({
        "port": {
            "id": "text.generation", "name": "Text", "category": "text", "description": "writes",
            "required_inputs": ["prompt"], "expected_outputs": ["text"], "metadata": { "a": "b" },
        },
        "enabled": false, "config": { "model": "x", "temperature": 0.7 },
    });
    let tool = json!({
        "id": "http.get", "name": "GET", "version": "1.0.0", "description": "fetches",
        "parameters": {
            "url": { "name": "url", "type_hint": "string", "required": true, "default": null, "description": null },
            "tries": { "name": "tries", "type_hint": "number", "required": false, "default": 3, "description": "n" },
        },
        "enabled": false, "metadata": { "category": "http" },
    });
    let view = send(agent_in(Status::Active), "update_capabilities", json!({ "add_capabilities": [capability] }))
        .then_events(1)
        .view();
    assert_eq!(view["capabilities"], json!({ "text.generation": capability }));
    let view = send(agent_in(Status::Active), "enable_tools", json!({ "tools": [tool] })).then_events(1).view();
    assert_eq!(view["tools"], json!({ "http.get": tool }));
}

#[test]
fn the_view_has_its_fields() {
    let view = send(agent_in(Status::Deployed), "activate", json!({})).then_events(1).view();
    let expected = json!({
        "agent_id": ID, "agent_type": "AI", "status": "Active",
        "metadata": { "name": "scribe", "description": "writes", "version": "1.0.0", "owner_id": OWNER, "tags": ["text"] },
        "capabilities": {}, "permissions": {}, "tools": {},
        "configuration": { "settings": {}, "version": 0, "updated_at": TIME_TEXT },
        "deployed_at": TIME_TEXT,
    });
    assert_eq!(view, expected);
}

#[test]
fn every_agent_type_goes_by_its_name() {
    for agent_type in ["System", "AI", "External", "Integration"] {
        let mut payload = crate::deploy_payload();
        payload["agent_type"] = json!(agent_type);
        let view = crate::send_to_none("deploy", payload).then_events(1).view();
        assert_eq!(view["agent_type"], json!(agent_type));
    }
}

#[test]
fn a_history_that_cannot_be_is_an_error() {
    let evolve = |events: &[(&str, Value)]| {
        let texts: Vec<_> = events.iter().map(|(name, payload)| (*name, payload.to_string())).collect();
        Aggregate::<Agent>::new(ID).evolve(texts.iter().map(|(name, text)| (*name, text.as_bytes())))
    };
    let activated = json!({ "agent_id": ID, "activated_at": TIME_TEXT, "activated_by": null });
    let first = "an agent's first event must be `deployed`".to_owned();
    assert_eq!(evolve(&[("activated", activated.clone())]), Err(EvolveError { index: 0, message: first }));

    let deployed = serde_json::to_value(crate::deployed()).expect("JSON")["deployed"].clone();
    let twice = evolve(&[("deployed", deployed.clone()), ("deployed", deployed.clone())]);
    assert_eq!(twice, Err(EvolveError { index: 1, message: "agent is deployed a second time".to_owned() }));

    let torn = evolve(&[("deployed", deployed), ("activated", json!({ "agent_id": ID }))]);
    let message = "event `activated`, field activated_at: missing field `activated_at`".to_owned();
    assert_eq!(torn, Err(EvolveError { index: 1, message }));
}

#[test]
fn older_events_without_optional_fields_still_evolve() {
    let view = send(
        agent_after(&[("activated", json!({ "agent_id": ID, "activated_at": "2026-01-01T01:00:00+01:00" }))]),
        "go_offline",
        json!({}),
    )
    .then_events(1)
    .view();
    assert_eq!(view["status"], json!("Offline"));
}
