//! An agent's settings.

use plugin_agent::{Agent, value::Status};
use serde_json::{Value, json};

use crate::{ID, TIME_TEXT, agent_after, agent_in, deploy_payload, send, send_to_none};

fn changed(keys: &[&str], old: Value, new: Value) -> Value {
    json!({
        "type": "ConfigurationChanged", "agent_id": ID, "changed_keys": keys,
        "old_values": old, "new_values": new, "changed_at": TIME_TEXT, "changed_by": null,
    })
}

fn configured() -> agent_guest::testing::When<Agent> {
    let event = changed(&["model", "retries"], json!({}), json!({ "model": "a", "retries": 3 }));
    agent_after(&[("configuration_changed", event)])
}

#[test]
fn an_agent_can_be_deployed_with_settings() {
    let mut payload = deploy_payload();
    payload["initial_configuration"] = json!({ "settings": { "retries": 3, "nothing": null } });
    payload["deployed_by"] = json!("ada");
    let mut event = changed(&["retries"], json!({ "retries": null }), json!({ "retries": 3 }));
    event["changed_by"] = json!("ada");
    let after = send_to_none("deploy", payload);
    let metadata = json!({
        "name": "scribe", "description": "writes", "version": "1.0.0", "owner_id": crate::OWNER, "tags": ["text"],
    });
    let view = after
        .then_json(&[
            (
                "deployed",
                json!({
                    "type": "AgentDeployed", "agent_id": ID, "agent_type": "AI", "metadata": metadata,
                    "deployed_at": TIME_TEXT, "deployed_by": "ada",
                }),
            ),
            ("configuration_changed", event),
        ])
        .view();
    let expected = json!({ "settings": { "retries": 3 }, "version": 1, "updated_at": TIME_TEXT });
    assert_eq!(view["configuration"], expected);
}

#[test]
fn no_settings_are_no_event() {
    for initial in [json!(null), json!({}), json!({ "settings": {} }), json!({ "settings": { "a": null } })] {
        let mut payload = deploy_payload();
        payload["initial_configuration"] = initial;
        let view = send_to_none("deploy", payload).then([crate::deployed()]).view();
        assert_eq!(view["configuration"], json!({ "settings": {}, "version": 0, "updated_at": TIME_TEXT }));
    }
}

#[test]
fn settings_change_and_go() {
    let wish = json!({ "changes": { "retries": 5, "model": null, "timeout": 30, "same": null } });
    let view = send(configured(), "update_configuration", wish)
        .then_json(&[(
            "configuration_changed",
            changed(
                &["model", "retries", "timeout"],
                json!({ "model": "a", "retries": 3, "timeout": null }),
                json!({ "model": null, "retries": 5, "timeout": 30 }),
            ),
        )])
        .view();
    let settings = json!({ "retries": 5, "timeout": 30 });
    assert_eq!(view["configuration"], json!({ "settings": settings, "version": 2, "updated_at": TIME_TEXT }));
}

#[test]
fn only_what_differs_is_in_the_event() {
    let wish = json!({ "changes": { "retries": 3, "model": "b" } });
    send(configured(), "update_configuration", wish)
        .then_json(&[("configuration_changed", changed(&["model"], json!({ "model": "a" }), json!({ "model": "b" })))]);
}

#[test]
fn changes_that_change_nothing_are_refused() {
    let change = |changes: Value| send(configured(), "update_configuration", json!({ "changes": changes }));
    change(json!({})).then_rejected("empty_change");
    change(json!({ "missing": null })).then_rejected("not_present");
    change(json!({ "retries": 3 })).then_rejected("no_change");
    send(agent_in(Status::Active), "update_configuration", json!({})).then_invalid("changes");
}
