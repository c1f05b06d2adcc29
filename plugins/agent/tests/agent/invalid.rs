//! Fields that make no sense: missing, mistyped, too long, malformed. Each is named by its path.

use plugin_agent::value::Status;
use serde_json::{Value, json};

use crate::{agent_in, deploy_payload, send, send_to_none};

/// Sends `deploy` with one field changed; `null` takes it out.
fn deploy_with(path: &str, value: Value) -> agent_guest::testing::Then<plugin_agent::Agent> {
    let mut payload = deploy_payload();
    let (parent, field) = path.rsplit_once('/').expect("a JSON pointer");
    let object = payload.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
    if value.is_null() {
        object.remove(field);
    } else {
        object.insert(field.to_owned(), value);
    }
    send_to_none("deploy", payload)
}

#[test]
fn a_missing_field_is_named() {
    for (path, field) in [
        ("/agent_type", "agent_type"),
        ("/metadata", "metadata"),
        ("/metadata/name", "metadata.name"),
        ("/metadata/description", "metadata.description"),
        ("/metadata/version", "metadata.version"),
        ("/metadata/owner_id", "metadata.owner_id"),
    ] {
        deploy_with(path, json!(null)).then_invalid(field);
    }
    for (verb, field) in [
        ("suspend", "reason"),
        ("grant_permissions", "permissions"),
        ("revoke_permissions", "permission_ids"),
        ("enable_tools", "tools"),
        ("disable_tools", "tool_ids"),
        ("update_configuration", "changes"),
    ] {
        let refused = send(agent_in(Status::Active), verb, json!({}));
        assert_eq!(refused.message(), format!("missing field `{field}`"));
        refused.then_invalid(field);
    }
    deploy_with("/metadata/tags", json!(null)).then_events(1);
}

#[test]
fn a_mistyped_field_is_named() {
    for (path, value, field) in [
        ("/agent_type", json!("Robot"), "agent_type"),
        ("/agent_type", json!(1), "agent_type"),
        ("/metadata", json!("scribe"), "metadata"),
        ("/metadata/name", json!(7), "metadata.name"),
        ("/metadata/tags", json!("text"), "metadata.tags"),
        ("/metadata/tags", json!(["text", 1]), "metadata.tags[1]"),
        ("/initial_configuration", json!({ "settings": [1] }), "initial_configuration.settings"),
        ("/deployed_by", json!({}), "deployed_by"),
    ] {
        deploy_with(path, value).then_invalid(field);
    }
    for (verb, payload, field) in [
        ("activate", json!({ "activated_by": 1 }), "activated_by"),
        ("suspend", json!({ "reason": ["x"] }), "reason"),
        ("go_offline", json!({ "reason": 1 }), "reason"),
        ("grant_permissions", json!({ "permissions": [{ "id": "a.b" }, {}] }), "permissions[1].id"),
        ("grant_permissions", json!({ "permissions": [{ "id": "a.b", "scope": 1 }] }), "permissions[0].scope"),
        ("revoke_permissions", json!({ "permission_ids": "a.b" }), "permission_ids"),
        ("enable_tools", json!({ "tools": [{ "id": "a", "enabled": "yes" }] }), "tools[0].enabled"),
        ("enable_tools", json!({ "tools": [{ "id": "a", "parameters": { "url": 1 } }] }), "tools[0].parameters.url"),
        ("disable_tools", json!({ "tool_ids": [1] }), "tool_ids[0]"),
        ("update_capabilities", json!({ "add_capabilities": [{}] }), "add_capabilities[0].port"),
        ("update_capabilities", json!({ "remove_capability_ids": null }), "remove_capability_ids"),
        ("update_configuration", json!({ "changes": [] }), "changes"),
    ] {
        send(agent_in(Status::Active), verb, payload).then_invalid(field);
    }
}

#[test]
fn a_malformed_value_is_named() {
    for (path, value, field) in [
        ("/metadata/name", json!(""), "metadata.name"),
        ("/metadata/name", json!(" "), "metadata.name"),
        ("/metadata/version", json!(""), "metadata.version"),
        ("/metadata/version", json!("1.0"), "metadata.version"),
        ("/metadata/owner_id", json!("me"), "metadata.owner_id"),
        ("/metadata/owner_id", json!("0190a5e4-0000-7000-8000-00000000000g"), "metadata.owner_id"),
        ("/initial_configuration", json!({ "settings": { "": 1 } }), "initial_configuration.settings"),
    ] {
        deploy_with(path, value).then_invalid(field);
    }
    for id in ["", ".", "graph", "graph.", ".read", "gr ph.read", "graph.*.read", "*.read", "graph.re*"] {
        let grant = json!({ "permissions": [{ "id": id }] });
        send(agent_in(Status::Active), "grant_permissions", grant).then_invalid("permissions[0].id");
        let revoke = json!({ "permission_ids": ["a.b", id] });
        send(agent_in(Status::Active), "revoke_permissions", revoke).then_invalid("permission_ids[1]");
    }
    for id in ["", "text generation", "text..generation", "text.*"] {
        let capability = json!({ "add_capabilities": [{ "port": { "id": id } }] });
        send(agent_in(Status::Active), "update_capabilities", capability).then_invalid("add_capabilities[0].port.id");
        let tool = json!({ "tools": [{ "id": id }] });
        send(agent_in(Status::Active), "enable_tools", tool).then_invalid("tools[0].id");
        let removed = json!({ "remove_capability_ids": [id] });
        send(agent_in(Status::Active), "update_capabilities", removed).then_invalid("remove_capability_ids[0]");
        send(agent_in(Status::Active), "disable_tools", json!({ "tool_ids": [id] })).then_invalid("tool_ids[0]");
    }
}

#[test]
fn every_text_has_an_end() {
    let label = json!("x".repeat(257));
    let text = json!("x".repeat(4_097));
    for (path, value, field) in [
        ("/metadata/name", &label, "metadata.name"),
        ("/metadata/description", &text, "metadata.description"),
        ("/metadata/version", &label, "metadata.version"),
        ("/deployed_by", &label, "deployed_by"),
    ] {
        deploy_with(path, value.clone()).then_invalid(field);
    }
    deploy_with("/metadata/tags", json!([label])).then_invalid("metadata.tags[0]");
    deploy_with("/metadata/name", json!("x".repeat(256))).then_events(1);
    deploy_with("/metadata/description", json!("x".repeat(4_096))).then_events(1);
    for (verb, payload, field) in [
        ("activate", json!({ "activated_by": label }), "activated_by"),
        ("suspend", json!({ "reason": text }), "reason"),
        ("suspend", json!({ "reason": "x", "suspended_by": label }), "suspended_by"),
        ("go_offline", json!({ "reason": text }), "reason"),
        ("decommission", json!({ "reason": text }), "reason"),
        ("decommission", json!({ "decommissioned_by": label }), "decommissioned_by"),
        ("update_capabilities", json!({ "updated_by": label }), "updated_by"),
        ("grant_permissions", json!({ "permissions": [], "granted_by": label }), "granted_by"),
        ("grant_permissions", json!({ "permissions": [{ "id": "a.b", "scope": label }] }), "permissions[0].scope"),
        ("revoke_permissions", json!({ "permission_ids": [], "reason": text }), "reason"),
        ("enable_tools", json!({ "tools": [{ "id": "a", "metadata": { "x".repeat(257): 1 } }] }), "tools[0].metadata"),
        ("enable_tools", json!({ "tools": [], "enabled_by": label }), "enabled_by"),
        ("disable_tools", json!({ "tool_ids": [], "disabled_by": label }), "disabled_by"),
        ("update_configuration", json!({ "changes": {}, "changed_by": label }), "changed_by"),
        ("update_configuration", json!({ "changes": { "x".repeat(257): 1 } }), "changes"),
    ] {
        send(agent_in(Status::Active), verb, payload).then_invalid(field);
    }
}

#[test]
fn every_list_has_an_end() {
    let ids: Vec<_> = (0..257).map(|n| format!("a.b{n}")).collect();
    let items: Vec<_> = ids.iter().map(|id| json!({ "id": id, "port": { "id": id } })).collect();
    let object: Value = ids.iter().map(|id| (id.clone(), json!(1))).collect();
    deploy_with("/metadata/tags", json!(ids)).then_invalid("metadata.tags");
    for (verb, payload, field) in [
        ("update_capabilities", json!({ "add_capabilities": items }), "add_capabilities"),
        ("update_capabilities", json!({ "remove_capability_ids": ids }), "remove_capability_ids"),
        ("grant_permissions", json!({ "permissions": items }), "permissions"),
        ("revoke_permissions", json!({ "permission_ids": ids }), "permission_ids"),
        ("enable_tools", json!({ "tools": items }), "tools"),
        ("disable_tools", json!({ "tool_ids": ids }), "tool_ids"),
        ("update_configuration", json!({ "changes": object }), "changes"),
    ] {
        send(agent_in(Status::Active), verb, payload).then_invalid(field);
    }
}

#[test]
fn a_type_must_agree_with_the_verb() {
    send(agent_in(Status::Deployed), "activate", json!({ "type": "ActivateAgent" })).then_events(1);
    for wrong in [json!("DeployAgent"), json!("activate"), json!(1), json!({})] {
        send(agent_in(Status::Deployed), "activate", json!({ "type": wrong })).then_invalid("type");
    }
}

#[test]
fn unknown_fields_are_ignored() {
    let payload = json!({ "activated_by": "ada", "from_the_future": { "a": [1, { "type": "x" }] } });
    send(agent_in(Status::Deployed), "activate", payload).then_events(1);
}
