//! Which rejection it is where several hold. `invalid` comes before all of them.

use plugin_agent::value::Status;
use serde_json::json;

use crate::{agent_after, agent_in, deploy_payload, send, send_to_none};

#[test]
fn invalid_comes_before_everything() {
    send_to_none("suspend", json!({})).then_invalid("reason");
    send_to_none("grant_permissions", json!({ "permissions": [{ "id": "" }] })).then_invalid("permissions[0].id");
    let mut payload = deploy_payload();
    payload["metadata"]["name"] = json!("");
    send(agent_in(Status::Active), "deploy", payload).then_invalid("metadata.name");
    let many = json!({ "reason": "x".repeat(4_097) });
    send(agent_in(Status::Decommissioned), "decommission", many).then_invalid("reason");
}

#[test]
fn not_found_comes_before_an_empty_change() {
    send_to_none("suspend", json!({ "reason": "" })).then_rejected("agent_not_found");
    send_to_none("grant_permissions", json!({ "permissions": [] })).then_rejected("agent_not_found");
}

#[test]
fn already_deployed_comes_before_decommissioned() {
    send(agent_in(Status::Decommissioned), "deploy", deploy_payload()).then_rejected("already_deployed");
}

#[test]
fn decommissioned_comes_before_the_rest() {
    for (verb, payload) in [
        ("suspend", json!({ "reason": "" })),
        ("enable_tools", json!({ "tools": [] })),
        ("activate", json!({})),
        ("disable_tools", json!({ "tool_ids": ["http.get"] })),
    ] {
        send(agent_in(Status::Decommissioned), verb, payload).then_rejected("agent_decommissioned");
    }
}

#[test]
fn an_empty_change_comes_before_a_forbidden_transition() {
    send(agent_in(Status::Deployed), "suspend", json!({ "reason": "" })).then_rejected("empty_change");
}

#[test]
fn not_present_comes_before_no_change() {
    let standing = json!({ "port": { "id": "text.generation" } });
    let updated = json!({
        "agent_id": crate::ID, "added_capabilities": [standing], "removed_capabilities": [],
        "updated_at": crate::TIME_TEXT, "updated_by": null,
    });
    let both = json!({ "add_capabilities": [standing], "remove_capability_ids": ["image.analysis"] });
    send(agent_after(&[("capabilities_updated", updated)]), "update_capabilities", both).then_rejected("not_present");

    let changed = json!({
        "agent_id": crate::ID, "changed_keys": ["retries"], "old_values": {}, "new_values": { "retries": 3 },
        "changed_at": crate::TIME_TEXT, "changed_by": null,
    });
    let both = json!({ "changes": { "retries": 3, "timeout": null } });
    send(agent_after(&[("configuration_changed", changed)]), "update_configuration", both).then_rejected("not_present");
}
