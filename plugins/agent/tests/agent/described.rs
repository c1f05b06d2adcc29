//! What the plugin says about itself.

use agent_guest::{
    IdFormat,
    describe::{MessageType, describe},
    testing::schemas_in_step,
};
use plugin_agent::Agent;
use serde_json::{Value, json};

fn names(types: &[MessageType]) -> Vec<&str> {
    types.iter().map(|of| of.name.as_str()).collect()
}

fn schema(types: &[MessageType], name: &str) -> Value {
    let found = types.iter().find(|of| of.name == name).expect(name);
    assert!(!found.description.is_empty(), "{name}");
    serde_json::from_str(&found.schema).expect("JSON")
}

#[test]
fn the_file_of_schemas_says_what_the_types_say() {
    schemas_in_step::<Agent>("schemas.json");
}

#[test]
fn commands_and_events_go_by_their_names() {
    let described = describe::<Agent>("1.2.3");
    assert_eq!((described.domain.as_str(), described.version.as_str()), ("agent", "1.2.3"));
    assert_eq!((described.id_field.as_str(), described.id_format), ("agent_id", IdFormat::Uuid));
    let verbs: Vec<_> =
        std::iter::once("deploy").chain(crate::later_commands().iter().map(|(verb, _)| *verb)).collect();
    assert_eq!(names(&described.commands), verbs);
    assert_eq!(
        names(&described.events),
        [
            "deployed",
            "activated",
            "suspended",
            "went_offline",
            "decommissioned",
            "capabilities_updated",
            "permissions_granted",
            "permissions_revoked",
            "tools_enabled",
            "tools_disabled",
            "configuration_changed",
        ]
    );
}

#[test]
fn every_command_has_its_id_and_its_type() {
    let described = describe::<Agent>("1.2.3");
    let types = [
        ("deploy", "DeployAgent"),
        ("activate", "ActivateAgent"),
        ("suspend", "SuspendAgent"),
        ("go_offline", "MarkAgentOffline"),
        ("decommission", "DecommissionAgent"),
        ("update_capabilities", "UpdateCapabilities"),
        ("grant_permissions", "GrantPermissions"),
        ("revoke_permissions", "RevokePermissions"),
        ("enable_tools", "EnableTools"),
        ("disable_tools", "DisableTools"),
        ("update_configuration", "UpdateConfiguration"),
    ];
    for (verb, said) in types {
        let schema = schema(&described.commands, verb);
        assert_eq!(schema["properties"]["type"], json!({ "const": said }), "{verb}");
        assert_eq!(schema["properties"]["agent_id"]["type"], json!("string"), "{verb}");
        let required = schema["required"].as_array().expect("a list");
        assert!(required.contains(&json!("agent_id")) && !required.contains(&json!("type")), "{verb}");
    }
}

#[test]
fn a_schema_stands_on_its_own() {
    let described = describe::<Agent>("1.2.3");
    let deploy = schema(&described.commands, "deploy");
    assert_eq!(deploy["$schema"], json!("https://json-schema.org/draft/2020-12/schema"));
    assert_eq!(deploy["required"], json!(["agent_id", "agent_type", "metadata"]));
    let definitions: Vec<_> = deploy["$defs"].as_object().expect("definitions").keys().collect();
    assert_eq!(definitions, ["InitialConfiguration", "Metadata"]);
    let deployed = schema(&described.events, "deployed");
    assert_eq!(deployed["properties"]["type"]["const"], json!("AgentDeployed"));
    assert!(schema(&described.commands, "activate").get("$defs").is_none());
}
