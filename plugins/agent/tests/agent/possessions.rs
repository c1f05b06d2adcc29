//! What an agent has: capabilities, permissions, tools. What changes nothing stays out of the
//! event, and a command that would change nothing at all is refused.

use agent_guest::testing::When;
use plugin_agent::{Agent, value::Status};
use serde_json::{Value, json};

use crate::{ID, TIME_TEXT, agent_after, agent_in, send};

/// A capability as it is stored, with every field.
fn capability(id: &str, enabled: bool) -> Value {
    json!({
        "port": {
            "id": id, "name": "", "category": "", "description": "",
            "required_inputs": [], "expected_outputs": [], "metadata": {},
        },
        "enabled": enabled, "config": {},
    })
}

fn permission(id: &str) -> Value {
    json!({ "id": id, "description": "", "scope": null })
}

fn tool(id: &str) -> Value {
    json!({
        "id": id, "name": "", "version": "", "description": "",
        "parameters": {}, "enabled": true, "metadata": {},
    })
}

fn with_capabilities(ids: &[&str]) -> When<Agent> {
    let added: Vec<_> = ids.iter().map(|id| capability(id, true)).collect();
    agent_after(&[("capabilities_updated", capabilities_updated(&added, &[]))])
}

fn capabilities_updated(added: &[Value], removed: &[&str]) -> Value {
    json!({
        "type": "CapabilitiesUpdated", "agent_id": ID, "added_capabilities": added,
        "removed_capabilities": removed, "updated_at": TIME_TEXT, "updated_by": null,
    })
}

fn with_permissions(ids: &[&str]) -> When<Agent> {
    agent_after(&[("permissions_granted", permissions_granted(ids))])
}

fn permissions_granted(ids: &[&str]) -> Value {
    let permissions: Vec<_> = ids.iter().map(|id| permission(id)).collect();
    json!({
        "type": "PermissionsGranted", "agent_id": ID, "permissions": permissions,
        "granted_at": TIME_TEXT, "granted_by": null, "reason": null,
    })
}

fn with_tools(ids: &[&str]) -> When<Agent> {
    agent_after(&[("tools_enabled", tools_enabled(ids))])
}

fn tools_enabled(ids: &[&str]) -> Value {
    let tools: Vec<_> = ids.iter().map(|id| tool(id)).collect();
    json!({
        "type": "ToolsEnabled", "agent_id": ID, "tools": tools,
        "enabled_at": TIME_TEXT, "enabled_by": null,
    })
}

#[test]
fn capabilities_are_added_and_removed() {
    let wish = json!({
        "add_capabilities": [{ "port": { "id": "image.analysis" } }],
        "remove_capability_ids": ["text.generation"],
    });
    let view = send(with_capabilities(&["text.generation", "text.embedding"]), "update_capabilities", wish)
        .then_json(&[(
            "capabilities_updated",
            capabilities_updated(&[capability("image.analysis", true)], &["text.generation"]),
        )])
        .view();
    let ids: Vec<_> = view["capabilities"].as_object().expect("a map").keys().collect();
    assert_eq!(ids, ["image.analysis", "text.embedding"]);
}

#[test]
fn only_what_changes_is_in_the_event() {
    let wish = json!({
        "add_capabilities": [
            { "port": { "id": "a" } }, { "port": { "id": "b" }, "enabled": false },
            { "port": { "id": "c" } }, { "port": { "id": "c" }, "enabled": false },
        ],
        "remove_capability_ids": ["d", "missing", "d"],
    });
    send(with_capabilities(&["a", "b", "d"]), "update_capabilities", wish).then_json(&[(
        "capabilities_updated",
        capabilities_updated(&[capability("b", false), capability("c", false)], &["d"]),
    )]);
    send(
        with_permissions(&["graph.read"]),
        "grant_permissions",
        json!({
            "permissions": [{ "id": "graph.read" }, { "id": "graph.write" }],
        }),
    )
    .then_json(&[("permissions_granted", permissions_granted(&["graph.write"]))]);
    send(with_tools(&["http.get"]), "enable_tools", json!({ "tools": [{ "id": "http.get" }, { "id": "http.post" }] }))
        .then_json(&[("tools_enabled", tools_enabled(&["http.post"]))]);
}

#[test]
fn what_is_both_removed_and_added_is_replaced() {
    let wish = |enabled| {
        json!({
            "add_capabilities": [{ "port": { "id": "a" }, "enabled": enabled }],
            "remove_capability_ids": ["a"],
        })
    };
    send(with_capabilities(&["a"]), "update_capabilities", wish(false))
        .then_json(&[("capabilities_updated", capabilities_updated(&[capability("a", false)], &[]))]);
    send(with_capabilities(&["a"]), "update_capabilities", wish(true)).then_rejected("no_change");
}

#[test]
fn an_addition_counts_where_the_removals_miss() {
    let wish = json!({ "add_capabilities": [{ "port": { "id": "b" } }], "remove_capability_ids": ["missing"] });
    send(with_capabilities(&["a"]), "update_capabilities", wish)
        .then_json(&[("capabilities_updated", capabilities_updated(&[capability("b", true)], &[]))]);
}

#[test]
fn nothing_given_is_an_empty_change() {
    for (verb, payload) in [
        ("update_capabilities", json!({})),
        ("update_capabilities", json!({ "add_capabilities": [], "remove_capability_ids": [] })),
        ("grant_permissions", json!({ "permissions": [] })),
        ("revoke_permissions", json!({ "permission_ids": [] })),
        ("enable_tools", json!({ "tools": [] })),
        ("disable_tools", json!({ "tool_ids": [] })),
    ] {
        send(agent_in(Status::Active), verb, payload).then_rejected("empty_change");
    }
}

#[test]
fn taking_away_only_what_is_not_there_is_not_present() {
    for (verb, payload) in [
        ("update_capabilities", json!({ "remove_capability_ids": ["text.generation"] })),
        ("revoke_permissions", json!({ "permission_ids": ["graph.read", "graph.write"] })),
        ("disable_tools", json!({ "tool_ids": ["http.get"] })),
    ] {
        send(agent_in(Status::Active), verb, payload).then_rejected("not_present");
    }
}

#[test]
fn giving_only_what_stands_is_no_change() {
    let wish = json!({ "add_capabilities": [{ "port": { "id": "a" }, "enabled": true }] });
    send(with_capabilities(&["a"]), "update_capabilities", wish).then_rejected("no_change");
    let wish = json!({ "permissions": [{ "id": "graph.read", "description": "" }] });
    send(with_permissions(&["graph.read"]), "grant_permissions", wish).then_rejected("no_change");
    let wish = json!({ "tools": [{ "id": "http.get" }, { "id": "http.get" }] });
    send(with_tools(&["http.get"]), "enable_tools", wish).then_rejected("no_change");
}

#[test]
fn permissions_are_granted_and_revoked() {
    let wish =
        json!({ "permissions": [{ "id": "workflow.*", "scope": "tenant" }], "granted_by": "ada", "reason": "new" });
    send(agent_in(Status::Deployed), "grant_permissions", wish).then_json(&[(
        "permissions_granted",
        json!({
            "type": "PermissionsGranted", "agent_id": ID,
            "permissions": [{ "id": "workflow.*", "description": "", "scope": "tenant" }],
            "granted_at": TIME_TEXT, "granted_by": "ada", "reason": "new",
        }),
    )]);
    let wish = json!({ "permission_ids": ["graph.read", "missing.one", "graph.read"], "revoked_by": "ada" });
    let view = send(with_permissions(&["graph.read", "graph.write"]), "revoke_permissions", wish)
        .then_json(&[(
            "permissions_revoked",
            json!({
                "type": "PermissionsRevoked", "agent_id": ID, "permission_ids": ["graph.read"],
                "revoked_at": TIME_TEXT, "revoked_by": "ada", "reason": null,
            }),
        )])
        .view();
    assert_eq!(view["permissions"], json!({ "graph.write": permission("graph.write") }));
}

#[test]
fn a_covered_permission_stands_on_its_own_once_it_is_granted() {
    let wish = json!({ "permissions": [{ "id": "workflow.execute" }] });
    send(with_permissions(&["workflow.*"]), "grant_permissions", wish)
        .then_json(&[("permissions_granted", permissions_granted(&["workflow.execute"]))]);
    let wish = json!({ "permission_ids": ["workflow.*"] });
    let view =
        send(with_permissions(&["workflow.*", "workflow.execute"]), "revoke_permissions", wish).then_events(1).view();
    assert_eq!(view["permissions"], json!({ "workflow.execute": permission("workflow.execute") }));
}

#[test]
fn what_only_a_wildcard_gives_is_not_taken_one_by_one() {
    let wish = json!({ "permission_ids": ["workflow.graph.modify"] });
    let refused = send(with_permissions(&["workflow.*"]), "revoke_permissions", wish);
    assert_eq!(refused.message(), "agent has workflow.graph.modify only through workflow.*, revoke that instead");
    refused.then_rejected("not_present");
}

#[test]
fn tools_are_enabled_and_disabled() {
    send(agent_in(Status::Offline), "enable_tools", json!({ "tools": [{ "id": "http.get" }] }))
        .then_json(&[("tools_enabled", tools_enabled(&["http.get"]))]);
    let wish = json!({ "tool_ids": ["http.get", "missing"], "disabled_by": "ada", "reason": "unsafe" });
    let view = send(with_tools(&["http.get", "http.post"]), "disable_tools", wish)
        .then_json(&[(
            "tools_disabled",
            json!({
                "type": "ToolsDisabled", "agent_id": ID, "tool_ids": ["http.get"],
                "disabled_at": TIME_TEXT, "disabled_by": "ada", "reason": "unsafe",
            }),
        )])
        .view();
    assert_eq!(view["tools"], json!({ "http.post": tool("http.post") }));
}
